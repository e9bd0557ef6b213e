"""Build a table of ClickHouse again with a column less.

The engine does not drop a column that the order of rows needs. The twin numbers of rows that are
alike without the column are others, too. So all rows are copied, while the table takes none.
"""

from collections.abc import AsyncIterator
from secrets import token_hex

import sqlalchemy as sa

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.layout import Use, layout_of
from kscope.generate.clickhouse.statements import copy_creation, refusing, removal
from kscope.generate.clickhouse.tables import CHECKED, TWIN, columns, hashed_columns
from kscope.store.backends.base import Session

_PREFIX = "kscope_new_"
_HOUR = 3600 * 1_000_000


async def build_again(session: Session, table: sa.Table, dialect: ClickHouseDDL) -> None:
    """Build a table as it is declared now. If it is interrupted, it can be repeated."""
    quote = dialect.identifier_preparer.quote
    name, other = str(table.name), f"{_PREFIX}{table.name}"
    await remove_other(session, table, dialect)
    await session.run(refusing(name, dialect))
    await session.inserts_ended()
    await session.run(copy_creation(table, other, token_hex(4), dialect))
    async for statement in _copies(session, table, other, dialect):
        await session.run(statement)
    await session.run(f"EXCHANGE TABLES {quote(name)} AND {quote(other)}")
    await remove_other(session, table, dialect)


async def remove_other(session: Session, table: sa.Table, dialect: ClickHouseDDL) -> None:
    """Remove the copy that was begun; after the exchange it is the table of old."""
    await session.run(removal(f"{_PREFIX}{table.name}", dialect))


async def _copies(
    session: Session, table: sa.Table, other: str, dialect: ClickHouseDDL
) -> AsyncIterator[str]:
    """Yield the statements that copy the rows; for twin numbers, those of one hour at a time."""
    quote = dialect.identifier_preparer.quote
    source = quote(str(table.name))
    names = [each.name for each in columns(table, dialect) if each.stored and each.name != CHECKED]
    values = {name: quote(name) for name in names}
    if layout_of(table).use is not Use.ROWS:
        yield _copy(quote(other), values, source)
        return
    alike = ", ".join(["time", *map(quote, hashed_columns(table))])
    values[TWIN] = f"toUInt16(row_number() OVER (PARTITION BY {alike} ORDER BY {TWIN}) - 1)"
    hours = await session.rows(f"SELECT DISTINCT intDiv(time, {_HOUR}) FROM {source}")  # noqa: S608
    for hour in sorted(int(each) for (each,) in hours):
        yield f"{_copy(quote(other), values, source)} WHERE intDiv(time, {_HOUR}) = {hour}"


def _copy(target: str, values: dict[str, str], source: str) -> str:
    into, chosen = ", ".join(f"`{name}`" for name in values), ", ".join(values.values())
    return f"INSERT INTO {target} ({into}) SELECT {chosen} FROM {source}"  # noqa: S608 - quoted
