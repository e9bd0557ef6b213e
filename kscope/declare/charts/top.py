"""Rankings: the groups with the largest values."""

from kscope.declare.charts.base import ChartKind, Mark, Panel
from kscope.declare.types.base import Role

KINDS = (
    ChartKind(
        name="top",
        help="the groups with the most",
        question="top",
        mark=Mark.RANKING,
        title="Most {value}",
        value=frozenset({Role.VALUE, Role.HISTOGRAM}),
        takes=frozenset({"by", "aggregate"}),
        grouped=True,
        grafana=Panel("table", over="by"),
    ),
)
