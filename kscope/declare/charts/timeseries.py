"""Time series: a value over time."""

from collections.abc import Iterator, Mapping, Sequence

from kscope.declare.charts.base import ChartKind, Mark, Panel, grouping, measured
from kscope.declare.model import Column


def _one_per_value(columns: Sequence[Column]) -> Iterator[Mapping[str, Column | None]]:
    for value in (*measured(columns),) or (None,):
        yield {"value": value, "by": grouping(columns)}


KINDS = (
    ChartKind(
        name="timeseries",
        help="a value over time, one line per group",
        question="timeseries",
        mark=Mark.AREA,
        unstacked=Mark.LINE,
        title="{value} over time",
        takes=frozenset({"by", "aggregate"}),
        grafana=Panel("timeseries", over="time"),
        suggest=_one_per_value,
    ),
)
