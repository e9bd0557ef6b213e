"""Rollup levels that are added to a category with rows, or removed from it."""

import re
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from kscope.declare.units import seconds
from kscope.generate.tables import ROWS_PREFIX, CategoryTables, Schema
from kscope.store.backends.appending import AppendingSession
from kscope.store.backends.base import Session
from kscope.store.schema.alterations import Step
from kscope.store.schema.closing import closing_note, new_level
from kscope.store.schema.emptiness import with_rows
from kscope.store.schema.meta import read_meta, write_notes
from kscope.store.schema.progress import SECOND, Progress, progress_of_all, progress_rows


def levels_held(category: str, relations: Iterable[str]) -> dict[str, int]:
    """Return the rollup tables of a category that a database has, with the bucket in seconds."""
    pattern = re.compile(rf"kscope_rollup_(\d+[smhdw])_{re.escape(category)}")
    return {name: seconds(match[1]) for name in relations if (match := pattern.fullmatch(name))}


def tables_held(category: str, relations: Collection[str]) -> list[str]:
    """Return the tables of a category that a database has, the one with the rows first."""
    names = [f"{ROWS_PREFIX}{category}", *levels_held(category, relations)]
    return [name for name in names if name in relations]


def undeclared_levels(tables: CategoryTables, relations: Iterable[str]) -> dict[str, int]:
    known = {rollup.table.name for rollup in tables.rollups}
    held = levels_held(tables.category.table, relations)
    return {name: bucket for name, bucket in held.items() if name not in known}


def forgetting(category: str, bucket: int, dialect: sa.engine.Dialect) -> Step:
    progress = sa.table("kscope_progress", sa.column("category"), sa.column("bucket"))
    gone = sa.delete(progress).where(progress.c.category == category, progress.c.bucket == bucket)
    return Step(str(gone.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))


async def begin_progress(session: Session, schema: Schema) -> None:
    """Insert the progress of new levels: servers lock it."""
    found = await progress_of_all(session.fetch, schema)
    begun = {
        (name, bucket): progress
        for name, tables in schema.categories.items()
        for bucket, progress in _new_levels(tables, found.get(name, {})).items()
    }
    if not begun:
        return
    levels = [
        level.table
        for name, tables in schema.categories.items()
        for level in tables.rollups
        if (name, level.rollup.bucket) in begun
    ]
    # Sums without progress have an unknown origin.
    for name in await with_rows(session, [str(table.name) for table in levels]):
        await session.execute(sa.delete(schema.metadata.tables[name]))
    if isinstance(session, AppendingSession):
        await _begin_closing(session, schema, begun)
    await session.insert(schema.dictionaries.progress, progress_rows(begun))


async def _begin_closing(
    session: Session, schema: Schema, begun: Iterable[tuple[str, int]]
) -> None:
    """Store the marks of new levels."""
    notes = dict(await read_meta(session, schema))
    made = {}
    for name, bucket in begun:
        if bucket:
            text = new_level(notes, name).text
            notes[closing_note(name, bucket)] = made[closing_note(name, bucket)] = text
    if made:
        await write_notes(session, schema, made)


def _new_levels(tables: CategoryTables, found: Mapping[int, Progress]) -> dict[int, Progress]:
    """Return the progress of the rows and levels that have none.

    A new level starts after rows that were removed, as it cannot sum that time in full.
    """
    new = {} if 0 in found else {0: Progress()}
    removed = found.get(0, Progress()).removed
    for level in tables.rollups:
        bucket = level.rollup.bucket
        if bucket in found:
            removed = found[bucket].removed
        else:
            width = bucket * SECOND
            removed = -(-removed // width) * width
            new[bucket] = Progress(removed, removed)
    return new
