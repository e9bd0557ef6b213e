"""Heat maps: events by time and size."""

from collections.abc import Mapping, Sequence

from kscope.declare.charts.base import NO_SIZES, ChartKind, Mark
from kscope.declare.model import Column


def _one_per_size(columns: Sequence[Column]) -> list[Mapping[str, Column | None]]:
    return [{"value": column} for column in columns if column.type.heatmap]


KINDS = (
    ChartKind(
        name="heatmap",
        help="how often which value, over time",
        question="heatmap",
        mark=Mark.CELLS,
        title="{value} over time, by size",
        needs=frozenset({"value"}),
        grafana=NO_SIZES,
        suggest=_one_per_size,
    ),
)
