"""Heat maps: events by time and size."""

from collections.abc import Iterator, Mapping, Sequence

from kscope.declare.charts.base import NO_SIZES, ChartKind, Mark, keys
from kscope.declare.model import Column
from kscope.declare.types.base import Role


def _one_per_size(columns: Sequence[Column]) -> Iterator[Mapping[str, str]]:
    for column in columns:
        if column.type.heatmap:
            yield keys(value=column)


KINDS = (
    ChartKind(
        name="heatmap",
        help="how often which value, over time",
        question="heatmap",
        mark=Mark.CELLS,
        title="{value} over time, by size",
        value=frozenset({Role.VALUE, Role.HISTOGRAM}),
        needs=frozenset({"value"}),
        grafana=NO_SIZES,
        suggest=_one_per_size,
    ),
)
