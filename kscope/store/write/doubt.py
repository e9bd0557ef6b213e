"""A batch that may be stored in part: which of its rows are there."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.generate.clickhouse.tables import LATE
from kscope.generate.tables import CategoryTables
from kscope.store.backends.base import Session
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.progress import SECOND
from kscope.store.sums.grouping import Columns
from kscope.store.write.batch import TableRows
from kscope.store.write.late_rows import DAY
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
    session: Session, tables: CategoryTables, rows: TableRows, ids: Mapping[str, int], now: int
) -> tuple[Found, TableRows]:
    """Return those of the rows of one batch that are there at `now` (us), and the others."""
    names = [column.name for column in tables.category.all_columns]
    wanted = merged([rows], ids) if len(rows) else {name: [] for name in names}
    there = await _stored(session, tables, wanted) if len(rows) else {}
    listed = [*zip(*(wanted[name] for name in names), strict=True)]
    retention = tables.category.retention
    kept_from = 0 if retention is None else now - retention * SECOND
    late = await in_thread(len(listed), _late_marks, listed, there, kept_from)
    here = zip(*(listed[place] for place in late), strict=True)
    columns: Columns = dict(zip(names, map(list, here), strict=True)) if late else {}
    left = [
        [value for place, value in enumerate(column) if place not in late]
        for column in rows.columns
    ]
    return Found(tables, columns, [*late.values()]), replace(rows, columns=left)


def _late_marks(
    wanted: Sequence[Row], there: Mapping[Row, list[int]], kept_from: int
) -> dict[int, int]:
    """Return the places of rows that are there, each with the marks that it has.

    Those of a day are stored whole or not at all: if one of them is not there, the others are of
    batches that have rows alike. Before `kept_from` rows may have been removed.
    """
    days: defaultdict[int, list[int]] = defaultdict(list)
    for place, (time, *_) in enumerate(wanted):
        days[time // DAY].append(place)
    found: dict[int, int] = {}
    for day, places in days.items():
        marks = {place: each.pop() for place in places if (each := there.get(wanted[place]))}
        if len(marks) == len(places) or day * DAY < kept_from:
            found |= marks
    return found


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
