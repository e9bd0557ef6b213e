"""A batch that may be stored in part: which of its rows are there."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.generate.clickhouse.tables import LATE
from kscope.generate.tables import CategoryTables
from kscope.store.backends.base import Session
from kscope.store.sums.grouping import Columns
from kscope.store.write.batch import TableRows
from kscope.store.write.transaction import merged

# Of a row's columns, in the order of its category.
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that are there, as they are stored, and the longest bucket each is late for."""

    tables: CategoryTables
    rows: Columns
    late: list[int]


async def found_rows(
    session: Session, tables: CategoryTables, rows: TableRows, ids: Mapping[str, int]
) -> tuple[Found, TableRows]:
    """Return those of the rows of one batch that are there, and the others."""
    names = [column.name for column in tables.category.all_columns]
    wanted = merged([rows], ids) if len(rows) else {name: [] for name in names}
    there = await _stored(session, tables, wanted) if len(rows) else {}
    here: list[Row] = []
    late: list[int] = []
    missing: list[int] = []
    for place, row in enumerate(zip(*(wanted[name] for name in names), strict=True)):
        marks = there.get(row)
        if marks:
            here.append(row)
            late.append(marks.pop())
        else:
            missing.append(place)
    columns = dict(zip(names, map(list, zip(*here, strict=True)), strict=True)) if here else {}
    left = [[column[place] for place in missing] for column in rows.columns]
    return Found(tables, columns, late), replace(rows, columns=left)


async def _stored(
    session: Session, tables: CategoryTables, wanted: Columns
) -> dict[Row, list[int]]:
    """Return the hosts' rows of these times, each with the marks of those alike."""
    table = tables.rows
    columns = [table.c[column.name] for column in tables.category.all_columns]
    statement = sa.select(*columns, sa.literal_column(LATE)).where(
        _among(table.c.hostname, wanted["hostname"]), _among(table.c.time, wanted["time"])
    )
    found: defaultdict[Row, list[int]] = defaultdict(list)
    for *row, late in await session.fetch(statement):
        found[tuple(row)].append(int(late))
    return found


def _among(column: sa.Column[Any], values: Collection[int]) -> sa.ColumnElement[bool]:
    listed = msgspec.json.encode(sorted(set(values))).decode()
    kind: sa.ColumnClause[str] = sa.literal_column("'Array(Int64)'")
    among = sa.func.JSONExtract(sa.literal(listed, sa.Text()), kind)
    return column.op("IN", is_comparison=True)(among)
