"""Copy what is no row: the keys of stored batches, and the symbol table."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kscope.generate.clickhouse.tables import DONE, STATE
from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.copy.source import Source
from kscope.store.schema.meta import write_meta
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store
from kscope.store.symbols.packing import Symbols
from kscope.store.symbols.table import SymbolTable
from kscope.store.write.batch import MEMO

_KEYS_AT_ONCE = 5000
# A batch is committed later than its time, by servers whose clocks differ.
_MARGIN = 3600 * SECOND
_UNLIMITED = 2**62


async def copy_keys(source: Source, target: Store, notes: Mapping[str, str]) -> int:
    """Copy the keys of batches, so that a sender's retry stays a duplicate; return how many."""
    note = f"copy {source.identity}"
    since = int(notes.get(note, 0)) - _MARGIN
    began = time.time_ns() // 1000
    batch = source.schema.dictionaries.batch
    columns = [batch.c.key, batch.c.received, batch.c.answer]
    # Those of an earlier copy into the source name no batch that is sent again.
    select = sa.select(*columns).where(batch.c.received >= since)
    if not source.backend.transactional:
        # Rows of a batch that is only begun may be missing: its sender comes again.
        select = select.where(sa.literal_column(STATE) == DONE)
    copied, rows = 0, list[Sequence[Any]]()
    async for row in source.stream(select.order_by(batch.c.received)):
        if MEMO not in row[2]:
            rows.append(row)
        if len(rows) == _KEYS_AT_ONCE:
            copied += await _store_keys(target, rows)
            rows = []
    copied += await _store_keys(target, rows)
    async with target.backend.transaction() as session:
        await write_meta(session, target.schema, note, str(began))
    return copied


async def _store_keys(target: Store, rows: Sequence[Sequence[Any]]) -> int:
    table = target.schema.dictionaries.batch
    async with target.backend.transaction() as session:
        keys = [bytes(row[0]) for row in rows]
        found = {bytes(key) for (key,) in await session.look_up(table.c.key, [table.c.key], keys)}
        new = [row for row in rows if bytes(row[0]) not in found]
        if new:
            values = zip(*new, strict=True)
            columns = dict(zip(("key", "received", "answer"), values, strict=True))
            # Another server may store the same key at this moment.
            await session.insert(table, columns, {"received": "max"})
    return len(new)


async def missing_symbols(source: Source, target: Store | None) -> list[Any]:
    """Return the files of the source whose names the target does not have, the oldest first."""
    files = await _table(source).files()
    present = [] if target is None else await _table(target).files()
    known = {each.build: each.functions for each in present}
    return [each for each in reversed(files) if known.get(each.build, -1) < each.functions]


async def copy_symbols(source: Source, target: Store) -> int:
    """Copy the names of functions; return how many files."""
    missing = await missing_symbols(source, target)
    for each in missing:
        pages = await _table(source).pages(each.build)
        symbols = Symbols(each.build, each.file, each.functions, pages)
        await _table(target).add(symbols, fetched=each.fetched, added=each.added)
    return len(missing)


def _table(database: Source | Store) -> SymbolTable:
    return SymbolTable(database.backend, database.schema, _UNLIMITED)


async def count_keys(source: Source) -> int:
    batch = source.schema.dictionaries.batch
    async with source.backend.snapshot(BACKGROUND_SECONDS) as session:
        ((count,),) = await session.fetch(sa.select(sa.func.count()).select_from(batch))
    return int(count)
