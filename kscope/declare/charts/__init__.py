"""One file per chart kind: the question it asks, and how the answer is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kscope.declare.aggregates import ADDING, suggested
from kscope.declare.charts.base import ROWS, ChartKind, Mark, grouping, unit
from kscope.declare.model import IMPLICIT_COLUMNS, Category, Chart, Column
from kscope.discovery import discovered

KINDS: Mapping[str, ChartKind] = discovered(__name__, __path__, "KINDS")


def derive(columns: Sequence[Column]) -> tuple[Chart, ...]:
    """Charts for a category that declares none: one of each kind that its columns allow."""
    known = {column.name: column for column in columns}
    return tuple(
        declared(
            {"kind": kind.name} | {key: each.name for key, each in keys.items() if each}, known
        )
        for kind in KINDS.values()
        if kind.suggest
        for keys in kind.suggest(columns)
    )


def declared(raw: Mapping[str, str], columns: Mapping[str, Column]) -> Chart:
    """A chart as its category declares it. Without a value it counts rows."""
    kind = KINDS[raw["kind"]]
    value = columns.get(raw.get("value", ROWS))
    by = columns.get(raw.get("by", ""))
    if by is None and kind.grouped:
        own = (column for column in columns.values() if column not in IMPLICIT_COLUMNS)
        by = grouping(own) or columns.get("hostname")
    aggregate = raw.get("aggregate", "")
    return Chart(
        kind.name,
        raw.get("title") or kind.titled(value, by, aggregate),
        value=value.name if value else "",
        stack=raw.get("stack", ""),
        by=by.name if by else "",
        aggregate=aggregate or kind.aggregate,
    )


def _mark(category: Category, chart: Chart) -> Mark:
    """Return how the page draws a chart."""
    kind = KINDS[chart.kind]
    aggregate = chart.aggregate or suggested(category.column(chart.value))
    return kind.unstacked if kind.unstacked and aggregate not in ADDING else kind.mark


def unit_of(category: Category, chart: Chart) -> str:
    """Return the unit of a chart's value, or a word for what it counts."""
    value = category.column(chart.value)
    return unit(value, chart.aggregate, category.weight_of(value) if value else None)


def asked_by(category: Category, question: str) -> Chart | None:
    """Return the category's first chart that asks a question, such as `top`."""
    return next((c for c in category.charts if KINDS[c.kind].question == question), None)


@dataclass(frozen=True, slots=True)
class ChartConfig:
    """One chart of the page: `query` names the question and its parameters."""

    kind: str
    title: str
    unit: str
    mark: Mark
    query: dict[str, str]


def chart_configs(category: Category) -> list[ChartConfig]:
    """Return one configuration per chart, in the order of the category."""
    return [_config(category, chart) for chart in category.charts]


def _config(category: Category, chart: Chart) -> ChartConfig:
    names = ("value", "stack", "by", "aggregate")
    given = {name: text for name in names if (text := getattr(chart, name))}
    query = {"question": KINDS[chart.kind].question, "value": ROWS} | given
    unit = unit_of(category, chart)
    return ChartConfig(chart.kind, chart.title, unit, _mark(category, chart), query)
