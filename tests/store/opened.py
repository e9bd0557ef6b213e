"""A store in this process, for tests that look at it between its steps."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.files.category import read_category
from kscope.declare.model import Catalog
from kscope.store.open import backend_of
from kscope.store.schema.interning import text_hash
from kscope.store.store import Store
from kscope.store.sums.functions import total, weight
from kscope.store.write.batch import Batch, TableRows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from kscope.config import Settings
    from kscope.declare.model import Category
    from tests.databases import Database

WAITS = """\
table: waits
columns:
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: sizes, type: histogram}
"""


def category(text: str = WAITS, file: str = "waits.yaml") -> Category:
    reading = read_category(text, file, Path("/probes"))
    assert reading.category is not None, reading.problems
    return reading.category


async def opened_store(chosen: Settings, catalog: Catalog) -> Store:
    """Return a store of these categories, as a server opens one."""
    store = Store(backend_of(chosen), Catalog(()), chosen.query_deadline)
    await store.connect()
    try:
        await store.adopt(catalog)
    except BaseException:
        await store.close()
        raise
    return store


@asynccontextmanager
async def opened(database: Database, *categories: Category) -> AsyncIterator[Store]:
    store = await opened_store(database.settings, Catalog(categories))
    try:
        yield store
    finally:
        await store.close()


def batch(of: Category, rows: Sequence[Sequence[Any]], key: bytes = b"") -> Batch:
    """Rows of `waits` as (time in us, hostname, process, pid, stack text, elapsed, sizes)."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    stacks = {text_hash(text): text for text in columns[4]}
    columns[4] = [text_hash(text) for text in columns[4]]
    return Batch(key, [TableRows(of, columns)], stacks)


async def totals(
    store: Store, start: int, stop: int, columns: Iterable[str] = ("process", "elapsed")
) -> dict[str, tuple[int, int]]:
    """Process -> (rows, elapsed) over a range, by whatever tables the plan names."""
    plan = await store.reader.plan("waits", start, stop, set(columns))
    strings = store.schema.dictionaries.string
    found: dict[str, tuple[int, int]] = {}
    for segment in plan.segments:
        table = segment.table
        select = (
            sa.select(strings.c.text, weight(table), total(table.c.elapsed))
            .join_from(table, strings, strings.c.id == table.c.process)
            .where(segment.within)
            .group_by(strings.c.text)
        )
        for name, rows, elapsed in await store.reader.fetch(select):
            before = found.get(name, (0, 0))
            found[name] = (before[0] + int(rows), before[1] + int(elapsed))
    return found
