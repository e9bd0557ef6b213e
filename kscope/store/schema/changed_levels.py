"""Rollup levels that are added to a category with rows, or removed from it."""

import re
from collections.abc import Collection, Iterable

import sqlalchemy as sa

from kscope.declare.units import seconds
from kscope.generate.tables import ROWS_PREFIX, CategoryTables, Schema
from kscope.store.backends.base import Session
from kscope.store.schema.alterations import Step
from kscope.store.schema.progress import SECOND, Progress, progress_of


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
    """Insert the progress of new levels: servers lock it.

    A new level starts after rows that were removed, as it cannot sum that time in full.
    """
    for name, tables in schema.categories.items():
        found = await progress_of(session.fetch, schema, name)
        if 0 not in found:
            await _insert(session, schema, name, 0, Progress())
        removed = found.get(0, Progress()).removed
        for level in tables.rollups:
            bucket = level.rollup.bucket
            if bucket not in found:
                width = bucket * SECOND
                removed = -(-removed // width) * width
                # Sums without progress have an unknown origin.
                await session.execute(sa.delete(level.table))
                await _insert(session, schema, name, bucket, Progress(removed, removed))
            removed = found.get(bucket, Progress(removed, removed)).removed


async def _insert(
    session: Session, schema: Schema, name: str, bucket: int, progress: Progress
) -> None:
    row = {"closed": progress.closed, "removed": progress.removed}
    new = sa.insert(schema.dictionaries.progress).values(category=name, bucket=bucket, **row)
    await session.execute(new)
