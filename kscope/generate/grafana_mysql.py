"""Grafana's data source of MySQL and MariaDB."""

from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.generate.dialects.mysql import MYSQL
from kscope.generate.expressions import Spelled, whole_divide
from kscope.generate.grafana_sql import SqlSource
from kscope.generate.grafana_sums import Number, Range
from kscope.generate.tables import Texts

_SECOND = 1_000_000


class frames_of(Spelled):  # noqa: N801 - SQL functions are lower case
    """The names in a path, as a table of `place`, from 1 on, and `label`."""

    everywhere = False
    common = (
        """JSON_TABLE(CONCAT('[', REPLACE(JSON_QUOTE({0}), ';', '","'), ']'), '$[*]'"""
        " COLUMNS (place FOR ORDINALITY, label LONGTEXT CHARACTER SET utf8mb4 PATH '$'))"
    )


class first_names(Spelled):  # noqa: N801
    """The first names in a path, as bytes that sort a node directly before those below it."""

    everywhere = False
    common = "CAST(REPLACE(SUBSTRING_INDEX({0}, ';', {1}), ';', CHAR(1)) AS BINARY)"


class MySQLEngine:
    """Macros of Grafana take no brackets inside, and write numbers."""

    range = Range(
        sa.literal_column("$__unixEpochFrom() * 1000000"),
        sa.literal_column("$__unixEpochTo() * 1000000"),
        sa.literal_column("$__interval_ms * 1000"),
    )
    joins = True

    def moment(self, time: Number) -> Number:
        return whole_divide(time, _SECOND)

    def text(self, value: Number) -> Number:
        return sa.cast(value, sa.CHAR())

    def texts(self, _column: Column, found: Texts, _wanted: sa.Select[Any]) -> Texts:
        """Each row looks up its text by its key."""
        return found

    def frames(self, stacks: sa.CTE) -> sa.Select[Any]:
        path = stacks.c.path
        names = frames_of(path).table_valued("place", "label", name="kscope_names")
        place = names.c.place
        below = sa.func.char_length(path) - sa.func.char_length(sa.func.replace(path, ";", ""))
        own = sa.case((place == below + 1, stacks.c.value), else_=0)
        node = first_names(path, place)
        return (
            sa.select(
                names.c.label,
                (place - 1).label("level"),
                sa.func.sum(stacks.c.value).label("value"),
                sa.func.sum(own).label("self"),
            )
            .select_from(stacks.join(names, sa.true()))
            .group_by(names.c.label, place, node)
            .order_by(node)
        )


def _form(over_time: bool) -> dict[str, Any]:  # noqa: FBT001 - the only one
    form = "time_series" if over_time else "table"
    return {"editorMode": "code", "format": form, "rawQuery": True}


SOURCE = SqlSource(
    folder="mysql",
    plugin="mysql",
    label="Database",
    suffix="",
    legend="",
    engine=MySQLEngine(),
    dialect=MYSQL,
    form=_form,
)
