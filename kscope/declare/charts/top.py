"""Rankings: the groups with the largest values."""

from kscope.declare.charts.base import ChartKind, Mark, Panel

KINDS = (
    ChartKind(
        name="top",
        help="the groups with the most",
        question="top",
        mark=Mark.RANKING,
        title="Most {value}",
        takes=frozenset({"by", "aggregate"}),
        grouped=True,
        grafana=Panel("table", over="by"),
    ),
)
