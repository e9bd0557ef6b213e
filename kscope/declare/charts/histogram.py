"""Histograms: events by size."""

from kscope.declare.charts.base import NO_SIZES, ChartKind, Mark
from kscope.declare.types.base import Role

KINDS = (
    ChartKind(
        name="histogram",
        help="how often which value",
        question="histogram",
        mark=Mark.BARS,
        title="{value} by size",
        value=frozenset({Role.VALUE, Role.HISTOGRAM}),
        needs=frozenset({"value"}),
        grafana=NO_SIZES,
    ),
)
