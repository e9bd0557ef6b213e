"""Flame graphs: values by call stack."""

from collections.abc import Iterator, Mapping, Sequence

from kscope.declare.charts.base import ChartKind, Mark, Panel, grouping, measured
from kscope.declare.model import Column
from kscope.declare.types.base import Role


def _one_per_stack(columns: Sequence[Column]) -> Iterator[Mapping[str, Column | None]]:
    value = next(iter(measured(columns)), None)
    for column in columns:
        if column.type.role is Role.STACK:
            yield {"value": value, "by": grouping(columns), "stack": column}


KINDS = (
    ChartKind(
        name="flamegraph",
        help="values by stack",
        question="flamegraph",
        mark=Mark.FLAME,
        title="{value} by stack",
        value=frozenset({Role.VALUE}),
        needs=frozenset({"stack"}),
        takes=frozenset({"by"}),
        grafana=Panel("flamegraph", over="stack"),
        suggest=_one_per_stack,
    ),
)
