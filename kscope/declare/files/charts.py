"""The charts of a category file: their checks, and the model made of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kscope.declare import aggregates
from kscope.declare.charts import KINDS, declared, derive
from kscope.declare.charts.base import ROWS
from kscope.declare.files.shapes import entries
from kscope.declare.files.yaml_lines import Found, Path
from kscope.declare.model import IMPLICIT_COLUMNS, Chart, Column
from kscope.declare.types.base import Role
from kscope.errors import did_you_mean, printable

# Of charts: keys that a kind may need, and the fault of those that it does not take.
_NEEDED = {"stack": "the column that holds the stacks", "value": "the column that it shows"}
_REFUSED = {
    "stack": "does not take a stack",
    "by": "cannot be split",
    "aggregate": "does not take an aggregate",
}


def check_charts(charts: Any, columns: Mapping[str, Column]) -> Iterator[Found]:
    for i, chart in entries(charts):
        if str(chart.get("kind")) in KINDS:
            yield from _check_chart(i, chart, columns)


def _check_chart(i: int, chart: dict[str, Any], columns: Mapping[str, Column]) -> Iterator[Found]:
    kind = KINDS[chart["kind"]]
    path: Path = ("charts", i)
    words = () if "value" in kind.needs else (ROWS,)
    roles = {"value": kind.value, "stack": {Role.STACK}, "by": {Role.DIMENSION}}
    for key, of in roles.items():
        allowed = words if key == "value" else ()
        yield from _check_reference((*path, key), chart.get(key), columns, of, allowed)
    for key, is_what in _NEEDED.items():
        if key in kind.needs and key not in chart:
            yield path, f"a {kind.name} needs '{key}', {is_what}"
    for key, fault in _REFUSED.items():
        if key in chart and key not in kind.keys:
            yield (*path, key), f"a {kind.name} {fault}; remove this key"
    if "aggregate" in kind.keys and (why := _aggregate_problem(chart, columns)):
        yield (*path, "aggregate"), why


def _aggregate_problem(chart: dict[str, Any], columns: Mapping[str, Column]) -> str:
    """Say why the chart's value has no such aggregate; empty if it has, or the name is unknown."""
    given, value = chart.get("aggregate"), chart.get("value", ROWS)
    if given not in aggregates.NAMES or not (value == ROWS or value in columns):
        return ""
    allowed = aggregates.allowed(columns.get(value))
    names = ", ".join(allowed)
    return "" if given in allowed else f"{value} does not have the aggregate {given}: use {names}"


def _check_reference(
    path: Path,
    name: Any,
    columns: Mapping[str, Column],
    roles: Collection[Role],
    words: tuple[str, ...] = (),
) -> Iterator[Found]:
    """`words` can be in the place of a column."""
    if not isinstance(name, str) or name in words:
        return
    known = {column.name: column for column in IMPLICIT_COLUMNS} | dict(columns)
    columns_of_role = (column.name for column in known.values() if column.type.role in roles)
    fitting = [*words, *columns_of_role]
    if name not in known:
        shown = printable(name)
        yield path, f"there is no column '{shown}'{did_you_mean(name, fitting)}"
    elif name not in fitting:
        kind = known[name].type.name
        yield path, f"'{name}' is of type {kind}{did_you_mean(name, fitting)}"


def charts_of(charts: Any, columns: Sequence[Column]) -> tuple[Chart, ...]:
    if not charts:
        return derive(columns)
    known = {column.name: column for column in (*columns, *IMPLICIT_COLUMNS)}
    return tuple(declared(raw, known) for raw in charts)
