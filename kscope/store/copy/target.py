"""The database that is copied into: its categories, its progress, and what was begun in it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from kscope.config import Settings
from kscope.declare.model import Catalog, Category
from kscope.errors import DeclarationError, KscopeError
from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.copy.source import Source
from kscope.store.copy.spans import Division, division, was_removed
from kscope.store.housekeeping.loop import roll_up
from kscope.store.housekeeping.retention import BATCH_KEEP, first_time
from kscope.store.open import backend_of
from kscope.store.schema.meta import IDENTITY, declared_types, read_meta, write_meta
from kscope.store.schema.progress import SECOND, Progress, progress_of, progress_rows
from kscope.store.store import Store
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import NewTextLimits, NewTexts

# Seconds between attempts: another server may hold a lock, or the database may restart.
_PAUSES = (1, 2, 5, 10, 20)
_DAY = 86400


@dataclass(frozen=True)
class Begun:
    """Since when a table is copied (us), and which times of each level."""

    at: int
    division: Division


@asynccontextmanager
async def opened_target(settings: Settings) -> AsyncIterator[Store]:
    """Open a database to copy into it. It takes any number of new texts."""
    limits = NewTextLimits(NewTexts(0), NewTexts(0))
    store = Store(backend_of(settings), Catalog(()), settings.query_deadline, limits)
    await store.connect()
    try:
        yield store
    finally:
        await store.close()


async def notes_of(store: Store) -> dict[str, str]:
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        if store.schema.dictionaries.meta.name not in await session.relations():
            return {}
        return await read_meta(session, store.schema)


def check_others(identity: str, notes: Mapping[str, str]) -> None:
    """Raise KscopeError if the target is the source itself, or was made from a copy of its file."""
    if notes.get(IDENTITY) == identity:
        raise KscopeError(
            "--from and --to are the same database, or a backup of it; name another one as --to"
        )


async def adopt(store: Store, catalog: Catalog) -> None:
    """Declare the source's categories in the target, beside those that it has.

    Raises KscopeError if one that it has cannot hold the source's rows.
    """
    present = await store.remembered()
    chosen = {category.table: category for category in present}
    for category in catalog:
        own = chosen.get(category.table)
        if own is None or not _is_alike(own, category):
            chosen[category.table] = category
    try:
        await store.adopt(Catalog(tuple(chosen[table] for table in sorted(chosen))))
    except DeclarationError as error:
        place = error.problems[0]
        raise KscopeError(
            f"the target declares a category of the source in another way: {place.message}."
            " Run `kscope migrate` on both with the same category files first"
        ) from None


def _is_alike(one: Category, other: Category) -> bool:
    """Return whether both have the same columns and levels; each may keep them for another time."""
    shapes = [
        (
            declared_types(each),
            {column.name for column in each.columns if column.nullable},
            {rollup.bucket for rollup in each.rollup},
        )
        for each in (one, other)
    ]
    return shapes[0] == shapes[1]


async def begin(store: Store, source: Source, table: str, notes: Mapping[str, str]) -> Begun:
    """Return how the copying of a table was begun; begin it if this is the first time."""
    if (begun := begun_before(source, table, notes)) is not None:
        return begun
    category = store.schema.categories[table].category
    progress = await progress_of(source.fetch, source.schema, table)
    begun = Begun(time.time_ns() // 1000, division(category, progress))
    _check_summed(table, progress, begun.division)
    own = store.schema.categories[table].rows
    if await first_time(store, own) is not None:
        # Rows that it had must be summed before the progress passes them.
        await sum_up(store)
    # Earlier sums are the source's.
    division_ = begun.division
    levels = {
        each: Progress(closed, division_.removed[each]) for each, closed in division_.summed.items()
    }
    await put_progress(store, table, levels)
    async with store.backend.transaction() as session:
        await write_meta(session, store.schema, _note(source, table), _written(begun))
    return begun


def begun_before(source: Source, table: str, notes: Mapping[str, str]) -> Begun | None:
    """Return how it was begun, None if it was not. Raises KscopeError if that is too long ago."""
    text = notes.get(_note(source, table))
    return _checked(text, table) if text else None


def _note(source: Source, table: str) -> str:
    return f"copy {source.identity} {table}"


def _written(begun: Begun) -> str:
    return msgspec.json.encode(begun).decode()


def _checked(text: str, table: str) -> Begun:
    begun = msgspec.json.decode(text, type=Begun)
    if time.time_ns() // 1000 - begun.at > (BATCH_KEEP - _DAY) * SECOND:
        raise KscopeError(
            f"the copy of '{table}' began {BATCH_KEEP // _DAY} days ago: the target forgets by now"
            " which rows it has; name a new database as --to"
        )
    return begun


def _check_summed(table: str, progress: Mapping[int, Progress], chosen: Division) -> None:
    for bucket, start in chosen.summed.items():
        if was_removed(start) and progress.get(bucket, Progress()).closed < start:
            raise KscopeError(
                f"{table}: the source has not summed yet what it removed; let its server run for a"
                " minute, or run `kscope retention` on it, and copy again"
            )


async def put_progress(store: Store, table: str, levels: Mapping[int, Progress]) -> None:
    """Let the levels be closed and removed until these times, or later."""
    columns = progress_rows({(table, bucket): each for bucket, each in levels.items()})
    async with store.backend.transaction() as session:
        progress = store.schema.dictionaries.progress
        await session.insert(progress, columns, {"closed": "max", "removed": "max"})


async def sum_up(store: Store, closed: Callable[[str], None] = lambda _: None) -> None:
    """Sum all buckets that are due, unless a server of the target does it."""
    async with store.backend.duty() as is_ours:
        if is_ours:
            await roll_up(store, closed=closed)


async def write(store: Store, batch: Batch) -> Stored:
    """Store a batch; try again if the database is busy, or away for a moment."""
    for pause in _PAUSES:
        try:
            return await store.writer.write(batch)
        except (StoreBusy, StoreAway) as error:
            await asyncio.sleep(max(pause, error.retry_after))
    return await store.writer.write(batch)
