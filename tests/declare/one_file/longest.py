"""The longest single events: the whole of a chart kind. Copied to kscope/declare/charts/."""

from __future__ import annotations

from kscope.declare.charts.base import ChartKind, Mark, Panel
from kscope.declare.types.base import Role

KINDS = (
    ChartKind(
        name="longest",
        help="the groups with the largest single events",
        question="top",
        mark=Mark.RANKING,
        title="Longest {value}",
        value=frozenset({Role.VALUE}),
        needs=frozenset({"value"}),
        takes=frozenset({"by"}),
        grouped=True,
        aggregate="max",
        grafana=Panel("table", over="by"),
    ),
)
