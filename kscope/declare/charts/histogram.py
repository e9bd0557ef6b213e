"""Histograms: events by size."""

from kscope.declare.charts.base import NO_SIZES, ChartKind, Mark

KINDS = (
    ChartKind(
        name="histogram",
        help="how often which value",
        question="histogram",
        mark=Mark.BARS,
        title="{value} by size",
        needs=frozenset({"value"}),
        grafana=NO_SIZES,
    ),
)
