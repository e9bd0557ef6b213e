"""The tables over all shards: in a second database of each server, made again if columns change."""

from collections.abc import Mapping

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import (
    OVER_ALL,
    over_shards,
    over_shards_views,
    renamed_over_shards,
)
from kscope.generate.tables import Schema
from kscope.store.backends.base import Session
from kscope.store.backends.clickhouse import ClickHouseBackend


async def make_tables_over_shards(backend: ClickHouseBackend, schema: Schema) -> None:
    """Make those that are missing, or have other columns than the shard's own; drop those of
    tables that are gone.
    """
    settings = backend.settings
    database, dialect = settings.database, ClickHouseDDL(settings.cluster)
    quote = dialect.identifier_preparer.quote
    everywhere = quote(f"{database}{OVER_ALL}")
    async with backend.migration() as session:
        await session.run(f"CREATE DATABASE IF NOT EXISTS {everywhere}")
        own, theirs = (
            await _columns(session, database),
            await _columns(session, f"{database}{OVER_ALL}"),
        )
        here = {renamed_over_shards(table) for table in schema.metadata.sorted_tables}
        for table in schema.metadata.sorted_tables:
            name = renamed_over_shards(table)
            if table is schema.dictionaries.progress:
                continue
            if own.get(str(table.name)) == theirs.get(name):
                continue
            await session.run(f"DROP TABLE IF EXISTS {everywhere}.{quote(name)}")
            await session.run(over_shards(table, database, dialect))
        for name in theirs.keys() - own.keys() - here:
            await session.run(f"DROP TABLE IF EXISTS {everywhere}.{quote(name)}")
        for text in over_shards_views(
            schema.dictionaries.meta, schema.dictionaries.progress, database, dialect
        ):
            await session.run(text)


async def _columns(session: Session, database: str) -> Mapping[str, frozenset[str]]:
    """Return the names and types of the columns of each table."""
    rows = await session.rows(
        "SELECT table, concat(name, ' ', type) FROM system.columns"
        " WHERE database = {database:String}",
        {"database": database},
    )
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(str(table), set()).add(str(column))
    return {table: frozenset(columns) for table, columns in found.items()}
