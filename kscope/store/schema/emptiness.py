"""Which tables have rows."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from kscope.store.backends.base import Session

# Of one statement; SQLite takes 500.
_TABLES = 100


async def are_empty(session: Session, tables: Iterable[str]) -> bool:
    return not await with_rows(session, tables)


async def with_rows(session: Session, tables: Iterable[str]) -> list[str]:
    """Return the tables that have at least one row."""
    names = list(tables)
    found: list[str] = []
    for start in range(0, len(names), _TABLES):
        part = names[start : start + _TABLES]
        asked = sa.union_all(*map(_first, range(len(part)), part)).subquery()
        rows = await session.fetch(sa.select(asked.c.place))
        found += sorted(part[place] for (place,) in rows)
    return found


def _first(place: int, name: str) -> sa.Select[Any]:
    """Select the place if the table has a row."""
    one = sa.select(sa.literal_column("1")).select_from(sa.table(name)).limit(1).subquery()
    number: sa.ColumnElement[int] = sa.literal_column(str(place))
    return sa.select(number.label("place")).select_from(one)
