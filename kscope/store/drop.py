"""Drop tables that no category declares any more, and single columns."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.errors import UsageError, did_you_mean
from kscope.store.backends.base import BACKGROUND_SECONDS, Relation, Session
from kscope.store.reader import DEADLINE
from kscope.store.schema.alterations import index_removal
from kscope.store.schema.changed_levels import tables_held
from kscope.store.schema.kept_categories import shape_note, without_column
from kscope.store.schema.meta import category_note, known_categories, write_meta
from kscope.store.schema.migrate import Held, are_empty, held
from kscope.store.store import Store


@dataclass(frozen=True)
class Loss:
    """A table whose rows go, or lose a column; times in microseconds since 1970, UTC."""

    table: str
    rows: int
    first: int | None
    last: int | None


@dataclass(frozen=True)
class Drop:
    """`column` is empty if all of the category goes. `losses` has the rows' table first."""

    category: str
    column: str
    losses: tuple[Loss, ...]


async def plan_drop(store: Store, named: str, declared: Mapping[str, Collection[str]]) -> Drop:
    """Return the losses if `TABLE` or `TABLE.COLUMN` is dropped.

    `declared` has the columns of each table. Raises UsageError if there is no such thing, or a file
    still declares it.
    """
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        found = await held(session, store.schema)
    table, _, column = named.partition(".")
    known = known_categories(found.notes)
    why = ""
    if table not in known:
        why = f"there is no table '{table}'{did_you_mean(table, known)}"
    elif "." in named:
        why = _column_problem(table, column, known[table], declared.get(table, ()))
    elif table in declared:
        why = f"a category file declares '{table}'; remove that file first"
    if why:
        raise UsageError(f"--drop {named}: {why}")
    losses = [await _loss(store, name) for name in tables_held(table, found.relations)]
    return Drop(table, column, tuple(losses))


async def drop(store: Store, chosen: Drop) -> None:
    """Drop it. `kscope retention` later removes strings and stacks that no row uses."""
    async with store.backend.migration() as session:
        found = await held(session, store.schema)
        if chosen.column:
            await _drop_column(session, store, found, chosen)
        else:
            await _drop_table(session, store, found, chosen.category)


def leftover(table: str) -> str:
    """Say that a table has rows that no category declares, and the command that drops them."""
    return (
        f"the database has rows of '{table}', which no category file declares; they stay until"
        f" `kscope migrate --drop {table}`"
    )


async def leftovers(store: Store) -> list[str]:
    """Return the tables with rows or sums that no category declares."""
    async with store.backend.snapshot(DEADLINE) as session:
        found = await held(session, store.schema)
        return [
            category
            for category in sorted(known_categories(found.notes).keys() - store.schema.categories)
            if not await are_empty(session, tables_held(category, found.relations))
        ]


def _column_problem(
    table: str, column: str, known: Mapping[str, str], declared: Collection[str]
) -> str:
    if column in ("time", "hostname"):
        return f"every table has '{column}'; drop {table} instead"
    if column not in known:
        return f"'{table}' has no column '{column}'{did_you_mean(column, known)}"
    if column in declared:
        return f"a category file declares '{column}'; remove it there first"
    return ""


async def _loss(store: Store, name: str) -> Loss:
    time: sa.ColumnClause[int] = sa.column("time")
    columns: list[sa.ColumnElement[Any]] = [sa.func.count(), sa.func.min(time), sa.func.max(time)]
    counted = sa.select(*columns).select_from(sa.table(name))
    ((rows, first, last),) = await store.backend.fetch_in_background(counted)
    return Loss(name, int(rows), first, last)


async def _drop_table(session: Session, store: Store, found: Held, category: str) -> None:
    """Delete the notes last: if the command is interrupted, it can be repeated."""
    quote = store.backend.dialect.identifier_preparer.quote
    await session.run(f"DROP VIEW IF EXISTS {quote(category)}")
    for name in tables_held(category, found.relations):
        await session.run(f"DROP TABLE {quote(name)}")
    dictionaries = store.schema.dictionaries
    progress, meta = dictionaries.progress, dictionaries.meta
    await session.execute(sa.delete(progress).where(progress.c.category == category))
    gone = [category_note(category), shape_note(category), f"view {category}"]
    await session.execute(sa.delete(meta).where(meta.c.name.in_(gone)))


async def _drop_column(session: Session, store: Store, found: Held, chosen: Drop) -> None:
    quote = store.backend.dialect.identifier_preparer.quote
    # The next start creates it again, with the columns that are left.
    await session.run(f"DROP VIEW IF EXISTS {quote(chosen.category)}")
    for name in tables_held(chosen.category, found.relations):
        if chosen.column not in found.relations[name].columns:
            continue
        for index in _indexes_of(found.relations[name], chosen.column):
            await session.run(index_removal(index, name, store.backend.dialect))
        await session.run(f"ALTER TABLE {quote(name)} DROP COLUMN {quote(chosen.column)}")
    await _forget_column(session, store, found, chosen)


def _indexes_of(relation: Relation, column: str) -> Sequence[str]:
    # kscope_index_ and eight digits of the table's hash: see tables.py.
    return [name for name in relation.indexes if name[len("kscope_index_") + 9 :] == column]


async def _forget_column(session: Session, store: Store, found: Held, chosen: Drop) -> None:
    """Remove the column from the note and from the stored shape, which would restore it."""
    kinds = dict(known_categories(found.notes)[chosen.category])
    kinds.pop(chosen.column, None)
    await write_meta(session, store.schema, category_note(chosen.category), json.dumps(kinds))
    shape = without_column(found.notes.get(shape_note(chosen.category)), chosen.column)
    if shape:
        await write_meta(session, store.schema, shape_note(chosen.category), shape)
    meta = store.schema.dictionaries.meta
    await session.execute(sa.delete(meta).where(meta.c.name == f"view {chosen.category}"))
