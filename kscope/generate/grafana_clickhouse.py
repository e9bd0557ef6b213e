"""Grafana's data source of ClickHouse, the plugin grafana-clickhouse-datasource."""

from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.dialects.clickhouse import CLICKHOUSE
from kscope.generate.expressions import whole_divide
from kscope.generate.grafana_sql import SqlSource
from kscope.generate.grafana_sums import Number, Range
from kscope.generate.tables import Texts

_SECOND = 1_000_000
# The plugin's formats of an answer.
_SERIES, _TABLE = 0, 1


class ClickHouseEngine:
    """Times are signed: the engine does not compare them with unsigned ones everywhere."""

    range = Range(
        sa.literal_column("toInt64(toUnixTimestamp($__fromTime)) * 1000000"),
        sa.literal_column("toInt64(toUnixTimestamp($__toTime)) * 1000000"),
        sa.literal_column("toInt64($__interval_ms) * 1000"),
    )
    joins = False

    def moment(self, time: Number) -> Number:
        return sa.func.toDateTime(whole_divide(time, _SECOND), "UTC")

    def text(self, value: Number) -> Number:
        return sa.func.toString(value)

    def texts(self, column: Column, found: Texts, wanted: sa.Select[Any]) -> Texts:
        """A join keeps its right side in memory: of stacks only those that are wanted.

        On a cluster the list of their numbers goes to each shard.
        """
        if column.type.storage is not Storage.STACK_ID:
            return found
        columns = found.key.label("id"), found.text.label("shown")
        among = found.key.op("GLOBAL IN")(wanted.scalar_subquery())
        table = sa.select(*columns).where(among).subquery(f"shown_{found.table.name}")
        return Texts(table, table.c.id, table.c.shown)

    def frames(self, stacks: sa.CTE) -> sa.Select[Any]:
        names = sa.func.splitByChar(";", stacks.c.path)
        place = sa.func.arrayJoin(sa.func.arrayEnumerate(names))
        columns = stacks.c.value.label("amount"), names.label("names"), place.label("place")
        nodes = sa.select(*columns).cte("kscope_nodes")
        own = sa.case((nodes.c.place == sa.func.length(nodes.c.names), nodes.c.amount), else_=0)
        node = sa.func.arraySlice(nodes.c.names, 1, nodes.c.place)
        return (
            sa.select(
                sa.func.arrayElement(nodes.c.names, nodes.c.place).label("label"),
                (nodes.c.place - 1).label("level"),
                sa.func.sum(nodes.c.amount).label("value"),
                sa.func.sum(own).label("self"),
            )
            .group_by(sa.literal_column("1"), sa.literal_column("2"), node)
            .order_by(node)
        )


def _form(over_time: bool) -> dict[str, Any]:  # noqa: FBT001 - the only one
    kind = "timeseries" if over_time else "table"
    form = _SERIES if over_time else _TABLE
    return {"pluginVersion": "4.0.0", "editorType": "sql", "queryType": kind, "format": form}


SOURCE = SqlSource(
    folder="clickhouse",
    plugin="grafana-clickhouse-datasource",
    label="Database",
    suffix=" (ClickHouse)",
    legend="${__field.labels.metric}",
    engine=ClickHouseEngine(),
    dialect=CLICKHOUSE,
    form=_form,
)
