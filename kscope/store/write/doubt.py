"""A batch that may be stored in part: which of its rows are there."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.generate.clickhouse.tables import LATE
from kscope.generate.tables import CategoryTables
from kscope.store.backends.base import Session
from kscope.store.backends.in_thread import in_thread
from kscope.store.sums.grouping import Columns
from kscope.store.write.batch import TableRows
from kscope.store.write.cardinality import OVER, limited_places
from kscope.store.write.transaction import merged

# Of a row's columns, in the order of its category.
Row = tuple[Any, ...]
# Ways in which the limit's texts replace some columns of a row; a batch has one or two.
_MOST_WAYS = 64


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
    listed = [*zip(*(wanted[name] for name in names), strict=True)]
    here, missing = await in_thread(len(listed), _matched, listed, there, _limits_of(rows))
    found = zip(*(row for row, _ in here), strict=True)
    columns = dict(zip(names, map(list, found), strict=True)) if here else {}
    left = [[column[place] for place in missing] for column in rows.columns]
    return Found(tables, columns, [late for _, late in here]), replace(rows, columns=left)


def _limits_of(rows: TableRows) -> dict[int, int]:
    """Return the text that may stand in place of another one: column -> its number."""
    return {place: kind.hash(OVER[kind]) for kind in OVER for place in limited_places(rows, kind)}


def _matched(
    wanted: Sequence[Row], there: Mapping[Row, list[int]], limits: Mapping[int, int]
) -> tuple[list[tuple[Row, int]], list[int]]:
    """Return the rows that are there, each with its marks, and the places of those that are not.

    An attempt may have stored a limit's text in place of one that is within the limit now.
    """
    here: list[tuple[Row, int]] = []
    missing = list(range(len(wanted)))
    for way in ((), *_ways(there, limits)):
        left = []
        for place in missing:
            row = _replaced(wanted[place], way, limits)
            if marks := there.get(row):
                here.append((row, marks.pop()))
            else:
                left.append(place)
        missing = left
    return here, missing


def _ways(there: Iterable[Row], limits: Mapping[int, int]) -> list[tuple[int, ...]]:
    """Return the columns that the limits' texts are in together, in any row."""
    found = Counter(
        tuple(place for place, text in limits.items() if row[place] == text) for row in there
    )
    found.pop((), None)
    return [way for way, _ in found.most_common(_MOST_WAYS)]


def _replaced(row: Row, way: tuple[int, ...], limits: Mapping[int, int]) -> Row:
    if not way:
        return row
    return tuple(limits[place] if place in way else value for place, value in enumerate(row))


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
