"""Drop tables that no category declares any more, and single columns."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.errors import UsageError, did_you_mean
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.tables import schema as schema_of
from kscope.store.backends.base import BACKGROUND_SECONDS, Session
from kscope.store.reader import DEADLINE
from kscope.store.schema.alterations import index_removal, table_removal
from kscope.store.schema.changed_levels import tables_held
from kscope.store.schema.closing import closing_prefix
from kscope.store.schema.emptiness import are_empty
from kscope.store.schema.kept_categories import category_without, shape_note, without_column
from kscope.store.schema.meta import category_note, known_categories, write_meta
from kscope.store.schema.migrate import Held, held
from kscope.store.schema.rebuilding import build_again, remove_other
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


class NothingToDropError(UsageError):
    """The database has no such table or column."""


async def plan_drop(store: Store, named: str, declared: Mapping[str, Collection[str]]) -> Drop:
    """Return the losses if `TABLE` or `TABLE.COLUMN` is dropped.

    `declared` has the columns of each table. Raises UsageError if there is no such thing, or a file
    still declares it.
    """
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        found = await held(session, store.schema)
    table, dot, column = named.partition(".")
    known = known_categories(found.notes)
    why = ""
    if table not in known or (dot and column not in ("time", *known[table])):
        raise NothingToDropError(f"--drop {named}: {_unknown(table, column, known)}")
    if dot:
        why = _column_problem(table, column, declared.get(table, ()))
    elif table in declared:
        why = f"a category file declares '{table}'; remove that file first"
    if not why and column and store.backend.has_replicas:
        why = (
            f"the table would be built again, which a shard with replicas does not do yet; declare"
            f" '{column}' with a default instead: then senders can leave it out"
        )
    if why:
        raise UsageError(f"--drop {named}: {why}")
    losses = [await _loss(store, name) for name in tables_held(table, found.relations)]
    return Drop(table, column, tuple(losses))


async def drop(store: Store, chosen: Drop) -> None:
    """Drop it. `kscope retention` later removes strings and stacks that no row uses.

    The notes are deleted last: if the command is interrupted, it can be repeated.
    """
    category, dictionaries = chosen.category, store.schema.dictionaries
    progress, meta = dictionaries.progress, dictionaries.meta
    gone = [f"view {category}"]
    async with store.backend.migration() as session:
        found = await held(session, store.schema)
        # The next start creates it again, with the columns that are left.
        view = found.dialect.identifier_preparer.quote(category)
        await session.run(f"DROP VIEW IF EXISTS {view}")
        if chosen.column and isinstance(found.dialect, ClickHouseDDL):
            await _build_without(session, found, chosen, found.dialect)
        else:
            for name in tables_held(category, found.relations):
                if chosen.column:
                    for statement in _column_removal(found, name, chosen.column):
                        await session.run(statement)
                else:
                    await session.run_on_each(table_removal(name, found.dialect).text)
        if chosen.column:
            await _forget_column(session, store, found, chosen)
        else:
            await session.execute(sa.delete(progress).where(progress.c.category == category))
            gone += [category_note(category), shape_note(category)]
            gone += [name for name in found.notes if name.startswith(closing_prefix(category))]
        await session.execute(sa.delete(meta).where(meta.c.name.in_(gone)))


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


def _unknown(table: str, column: str, known: Mapping[str, Mapping[str, str]]) -> str:
    if table not in known:
        return f"there is no table '{table}'{did_you_mean(table, known)}"
    return f"'{table}' has no column '{column}'{did_you_mean(column, known[table])}"


def _column_problem(table: str, column: str, declared: Collection[str]) -> str:
    if column in ("time", "hostname"):
        return f"every table has '{column}'; drop {table} instead"
    if column in declared:
        return f"a category file declares '{column}'; remove it there first"
    return ""


async def _loss(store: Store, name: str) -> Loss:
    time: sa.ColumnClause[int] = sa.column("time")
    columns: list[sa.ColumnElement[Any]] = [sa.func.count(), sa.func.min(time), sa.func.max(time)]
    counted = sa.select(*columns).select_from(sa.table(name))
    ((rows, first, last),) = await store.backend.fetch_in_background(counted)
    return Loss(name, int(rows), first, last)


def _column_removal(found: Held, table: str, column: str) -> Iterator[str]:
    """Yield the statements that drop a table's column, if it is there, and its indexes."""
    quote, relation = found.dialect.identifier_preparer.quote, found.relations[table]
    if column in relation.columns:
        for index in sorted(relation.indexes):
            # kscope_index_ and eight digits of the table's hash: see tables.py.
            if index[len("kscope_index_") + 9 :] == column:
                yield index_removal(index, table, found.dialect)
        yield f"ALTER TABLE {quote(table)} DROP COLUMN {quote(column)}"


async def _build_without(
    session: Session, found: Held, chosen: Drop, dialect: ClickHouseDDL
) -> None:
    category = category_without(found.notes, found.relations, chosen.category, chosen.column)
    if category is None:
        raise UsageError(
            f"--drop {chosen.category}.{chosen.column}: '{chosen.category}' is no category without"
            f" this column; drop {chosen.category} instead"
        )
    tables = schema_of(Catalog((category,))).categories[chosen.category]
    for table in (tables.rows, *(level.table for level in tables.rollups)):
        relation = found.relations.get(str(table.name))
        if relation is not None and chosen.column in relation.columns:
            await build_again(session, table, dialect)
        else:
            await remove_other(session, table, dialect)


async def _forget_column(session: Session, store: Store, found: Held, chosen: Drop) -> None:
    """Remove the column from the note and from the stored shape, which would restore it."""
    kinds = dict(known_categories(found.notes)[chosen.category])
    kinds.pop(chosen.column, None)
    await write_meta(session, store.schema, category_note(chosen.category), json.dumps(kinds))
    shape = without_column(found.notes.get(shape_note(chosen.category)), chosen.column)
    if shape:
        await write_meta(session, store.schema, shape_note(chosen.category), shape)
