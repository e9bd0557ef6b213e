"""The chart kinds: what each needs, and which of them a category gets without asking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from kscope.declare.model import Chart, Column
from kscope.declare.types.base import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ChartKind:
    """`values` are the roles that the chart's value may have; empty where it takes none."""

    name: str
    help: str
    values: tuple[Role, ...]
    needs_stack: bool = False
    needs_value: bool = False
    takes_by: bool = False
    needs_by: bool = False


_KINDS = (
    ChartKind("flamegraph", "values by stack", (Role.VALUE,), needs_stack=True, takes_by=True),
    ChartKind(
        "heatmap",
        "how often which value, over time",
        (Role.VALUE, Role.HISTOGRAM),
        needs_value=True,
    ),
    ChartKind("timeseries", "a value over time, one line per group", (Role.VALUE,), takes_by=True),
    ChartKind("histogram", "how often which value", (Role.VALUE, Role.HISTOGRAM), needs_value=True),
    ChartKind("top", "the groups with the most", (Role.VALUE,), takes_by=True, needs_by=True),
)

KINDS: Mapping[str, ChartKind] = MappingProxyType({kind.name: kind for kind in _KINDS})

# The word for the number of rows, in place of a value column's name. No column can be called that:
# it is a word of SQL.
ROWS = "rows"

# What a chart shows that nobody titled: {value} is the pretty name of its value or "Rows".
_TITLES = {
    "flamegraph": "{value} by stack",
    "heatmap": "{value} over time, by size",
    "timeseries": "{value} over time",
    "histogram": "{value} by size",
    "top": "Most {value}",
}


def title(kind: str, value: Column | None, by: Column | None) -> str:
    text = _TITLES[kind].format(value=value.prettyname if value else "Rows")
    return f"{text}, by {by.prettyname.lower()}" if by else text


def unit(value: Column | None) -> str:
    """The unit of a chart's value, or a word for what it counts."""
    return (value.unit or value.prettyname.lower()) if value else ROWS


def derive(columns: Sequence[Column]) -> tuple[Chart, ...]:
    """Charts for a category that declares none: one of each kind that its columns allow."""
    by = grouping(columns)
    values = [column for column in columns if column.type.role is Role.VALUE]
    # A count says how many events a row sums: what was measured comes before it.
    values.sort(key=lambda column: column.type.counts_events)
    first = values[0] if values else None
    charts = [
        _chart("flamegraph", first, by, stack=column.name)
        for column in columns
        if column.type.role is Role.STACK
    ]
    charts += [_chart("heatmap", column, None) for column in columns if column.type.heatmap]
    charts += [_chart("timeseries", value, by) for value in values]
    if not values:
        charts.append(_chart("timeseries", None, by))
    return tuple(charts)


def grouping(columns: Sequence[Column]) -> Column | None:
    """The column to group by if none is named: the first label, or else the first string."""
    ranked = [column for column in columns if column.type.group_rank]
    return min(ranked, key=lambda column: column.type.group_rank, default=None)


def declared(raw: Mapping[str, str], columns: Mapping[str, Column]) -> Chart:
    """A chart as its category declares it. Without a value it counts rows."""
    kind = raw["kind"]
    value = columns.get(raw.get("value", ROWS))
    by = columns.get(raw.get("by", ""))
    if by is None and KINDS[kind].needs_by:
        by = grouping(tuple(columns.values())) or columns.get("hostname")
    return replace(
        _chart(kind, value, by, stack=raw.get("stack", "")),
        **({"title": raw["title"]} if raw.get("title") else {}),
    )


def _chart(kind: str, value: Column | None, by: Column | None, stack: str = "") -> Chart:
    return Chart(
        kind,
        title(kind, value, by),
        value=value.name if value else "",
        stack=stack,
        by=by.name if by else "",
    )
