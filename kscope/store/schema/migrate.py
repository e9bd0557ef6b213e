"""The declared tables and those of a database -> the statements between the two."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

import sqlalchemy as sa

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Storage
from kscope.declare.units import duration
from kscope.errors import DeclarationError, Problem
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import accepting, renumbering
from kscope.generate.ddl import table_statements, view_statements
from kscope.generate.tables import CategoryTables, Schema
from kscope.store.backends.base import Relation, Session
from kscope.store.backends.errors import StoreBusy, StoreError
from kscope.store.schema.alterations import (
    Note,
    Step,
    addition,
    default_value,
    indexes,
    removal,
    table_removal,
)
from kscope.store.schema.changed_levels import (
    begin_progress,
    forgetting,
    tables_held,
    undeclared_levels,
)
from kscope.store.schema.closing import closing_note, closing_of
from kscope.store.schema.emptiness import are_empty
from kscope.store.schema.interning import STACKS, STRINGS, TextKind, store_texts, text_hash, today
from kscope.store.schema.kept_categories import shape, shape_note
from kscope.store.schema.meta import (
    can_hold,
    category_note,
    declared_types,
    read_meta,
    write_identity,
    write_notes,
)
from kscope.store.schema.progress import SECOND, Progress, progress_of

Upgrade = Callable[[Schema, "Held"], list[Step]]
# In order. A Note is a row of kscope_meta.
Migration = Sequence[Step | Note]

LAYOUT = 2


def _without_late_notes(schema: Schema, *_: object) -> list[Step]:
    """Layout 1 noted which sums late rows had left in pieces; they stay valid."""
    name = schema.dictionaries.meta.name
    return [Step(f"DELETE FROM {name} WHERE substr(name, 1, 5) = 'late '")]  # noqa: S608


# Layout -> the steps to the next one. A change of the kscope_* tables raises LAYOUT, and adds its
# steps here.
UPGRADES: Mapping[int, Upgrade] = {1: _without_late_notes}


@dataclass(frozen=True)
class Held:
    """The state of a database. `dialect` renders statements with their values.

    For a plan, `oldest` has the time of the first sum of each rollup table that is no longer
    declared, and `vacant` names the categories without any row, which may change in any way.
    """

    dialect: sa.engine.Dialect
    relations: Mapping[str, Relation] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    progress: Mapping[str, Mapping[int, Progress]] = field(default_factory=dict)
    oldest: Mapping[str, int | None] = field(default_factory=dict)
    vacant: Collection[str] = ()


async def held(session: Session, schema: Schema) -> Held:
    dialect = session.ddl
    relations = await session.relations()
    meta, progress = schema.dictionaries.meta, schema.dictionaries.progress
    if meta.name not in relations or progress.name not in relations:
        return Held(dialect, relations)
    notes = await read_meta(session, schema)
    stored = {name: await progress_of(session.fetch, schema, name) for name in schema.categories}
    return Held(dialect, relations, notes, stored)


async def planned(session: Session, schema: Schema, *, discard_sums: bool = False) -> Migration:
    """Compare the declared tables with the database's, and plan; see plan."""
    found = await held(session, schema)
    oldest = {
        name: await _first_time(session, name)
        for tables in schema.categories.values()
        for name in undeclared_levels(tables, found.relations)
    }
    found = replace(found, oldest=oldest)
    try:
        return plan(schema, found, discard_sums=discard_sums)
    except DeclarationError:
        # Rows are looked for only if a change would lose some: a damaged table lets a server start.
        vacant = {
            name
            for name in schema.categories
            if await are_empty(session, tables_held(name, found.relations))
        }
        return plan(schema, replace(found, vacant=vacant), discard_sums=discard_sums)


async def _first_time(session: Session, table: str) -> int | None:
    time: sa.ColumnClause[int | None] = sa.column("time")
    ((first,),) = await session.fetch(sa.select(sa.func.min(time)).select_from(sa.table(table)))
    return None if first is None else int(first)


def plan(schema: Schema, found: Held, *, discard_sums: bool = False) -> Migration:
    """Return the steps between the two. Raise DeclarationError if a change would lose data.

    With `discard_sums` a level that is no longer declared is dropped, even with sums of rows that
    no longer exist. The declared columns are noted before all other steps: from then on a server
    with other columns writes no sums, see is_current. A view is noted after it was made.
    """
    steps: list[Step | Note] = [*_layout_steps(schema, found)]
    declared: dict[str, str] = {}
    made = {"layout": str(LAYOUT)}
    problems: list[Problem] = []
    for table in schema.dictionaries:
        steps += _creation(table, found)
    for tables in schema.categories.values():
        category = tables.category
        note = category_note(category.table), json.dumps(declared_types(category))
        losses = [*_losses(tables, found), *([] if discard_sums else _lost_sums(tables, found))]
        changes = _category_steps(tables, found, losses)
        if losses and category.table in found.vacant:
            steps += _recreation(tables, found, Note(*note))
        else:
            steps += changes
            problems += losses
            declared |= dict([note])
        problems += _foreign(tables, found)
        made[_view_note(tables)] = _digest(tables, found)
        made[shape_note(category.table)] = shape(category)
    if problems:
        raise DeclarationError(problems)
    first, last = _changed(declared, found), _changed(made, found)
    if schema.dictionaries.meta.name not in found.relations:
        return [*steps, *first, *last]
    return [*first, *steps, *last]


def _changed(notes: Mapping[str, str], found: Held) -> list[Note]:
    return [Note(*each) for each in notes.items() if found.notes.get(each[0]) != each[1]]


async def apply(session: Session, schema: Schema, migration: Migration) -> None:
    """Run the steps. Raise StoreBusy if rows were added to a table that must be empty."""
    for are_notes, steps in groupby(migration, lambda step: isinstance(step, Note)):
        if are_notes:
            notes = {step.name: step.value for step in steps if isinstance(step, Note)}
            await write_notes(session, schema, notes)
            continue
        for step in steps:
            assert isinstance(step, Step)
            await _run(session, schema, step)
    await write_identity(session, schema)
    await _store_defaults(session, schema, STACKS, Storage.STACK_ID)
    if isinstance(session.ddl, ClickHouseDDL) and session.ddl.cluster:
        # Another shard's migration has added the column here, and has stored its text there.
        await _store_defaults(session, schema, STRINGS, Storage.STRING_ID)
    await begin_progress(session, schema)


async def _run(session: Session, schema: Schema, step: Step) -> None:
    if step.guard is not None:
        await session.run(step.guard[0])
        await session.inserts_ended()
    if not await are_empty(session, step.empty):
        if step.guard is not None:
            await session.run(step.guard[1])
        raise StoreBusy(f"rows came to {step.empty[0]}, which must be empty to change: try again")
    text = step.text
    if step.default is not None:
        key = text_hash(step.default)
        numbers = await store_texts(session, schema, STRINGS, {key: step.default}, [today()])
        text = text.replace("{default}", str(numbers[key]))
    await (session.run_on_each if step.on_each else session.run)(text)


def _layout_steps(schema: Schema, found: Held) -> list[Step]:
    layout = int(found.notes.get("layout", LAYOUT))
    if layout > LAYOUT:
        raise StoreError(
            f"this database was made by a newer kscope (layout {layout}, this one knows {LAYOUT}):"
            " use that version"
        )
    if layout < LAYOUT:
        upgrades = [UPGRADES[number] for number in range(layout, LAYOUT)]
        return [step for upgrade in upgrades for step in upgrade(schema, found)]
    for table in schema.dictionaries:
        relation = found.relations.get(table.name)
        missing = {*table.columns.keys()} - relation.columns if relation else ()
        if missing:
            raise StoreError(
                f"the table {table.name} has no column '{min(missing)}': kscope did not make"
                " it so; restore a backup, or use another database"
            )
    return []


def _creation(table: sa.Table, found: Held) -> list[Step]:
    if table.name in found.relations:
        return []
    return [Step(text) for text in table_statements(table, found.dialect)]


def _losses(tables: CategoryTables, found: Held) -> Iterator[Problem]:
    """Yield columns whose stored values would be lost, or change their meaning."""
    category = tables.category
    before = json.loads(found.notes.get(category_note(category.table), "{}"))
    for name, kind in before.items():
        column = category.column(name)
        if column is None:
            message = (
                f"column '{name}' is in the database and no longer declared: put it back, or"
                f" drop its values with `kscope migrate --drop {category.table}.{name}`"
            )
            yield Problem(category.file, category.line, "columns", message)
        elif not can_hold(kind, column.type.name):
            message = (
                f"column '{name}' is stored as {kind} and cannot become {column.type.name}:"
                " give the new column another name"
            )
            yield Problem(category.file, column.line, "columns", message)
    yield from _other_nulls(tables, found)


def _other_nulls(tables: CategoryTables, found: Held) -> Iterator[Problem]:
    relation = found.relations.get(str(tables.rows.name))
    for column in tables.category.columns:
        if relation is None or column.name not in relation.columns:
            continue
        if column.nullable != (column.name in relation.nullable):
            now = "may be null" if column.nullable else "must have a value"
            message = f"column '{column.name}' {now}, and was stored otherwise: restore its default"
            yield Problem(tables.category.file, column.line, "columns", message)


def _foreign(tables: CategoryTables, found: Held) -> Iterator[Problem]:
    category = tables.category
    relation = found.relations.get(category.table)
    if relation is not None and not relation.is_view:
        message = (
            f"the database holds a table '{category.table}' that kscope did not make:"
            " rename it there, or use another database"
        )
        yield Problem(category.file, category.line, "table", message)


def _lost_sums(tables: CategoryTables, found: Held) -> Iterator[Problem]:
    """Yield levels that are no longer declared, and are older than the rows."""
    category = tables.category
    for name, bucket in undeclared_levels(tables, found.relations).items():
        oldest = found.oldest.get(name)
        progress = found.progress.get(category.table, {})
        removed = progress.get(0, Progress()).removed
        if oldest is not None and bucket in progress and oldest < removed:
            since = datetime.fromtimestamp(oldest / SECOND, UTC)
            message = (
                f"'{duration(bucket)}' is no longer declared, and holds sums since"
                f" {since:%Y-%m-%d} of rows that were removed by age: put it back, or let its"
                " sums go with `kscope migrate --discard-sums`"
            )
            yield Problem(category.file, category.line, "rollup", message)


def _category_steps(
    tables: CategoryTables, found: Held, problems: list[Problem]
) -> list[Step | Note]:
    category = tables.category
    steps: list[Step | Note] = []
    for table in (tables.rows, *(rollup.table for rollup in tables.rollups)):
        relation = found.relations.get(str(table.name))
        if relation is None:
            steps += _creation(table, found)
            continue
        for stored in table.columns:
            column = category.column(stored.name)
            if column is not None and column.optional:
                steps += addition(table, column, relation, found.dialect)
            elif stored.name not in relation.columns:
                problems.append(_needs_default(category, stored.name))
        steps += indexes(table, relation, found.dialect)
        if isinstance(found.dialect, ClickHouseDDL) and not relation.takes_rows:
            steps.append(Step(accepting(str(table.name), found.dialect)))
    steps += _level_removals(tables, found)
    is_new = found.notes.get(_view_note(tables)) != _digest(tables, found)
    if is_new or category.table not in found.relations:
        if isinstance(found.dialect, ClickHouseDDL) and str(tables.rows.name) in found.relations:
            steps.append(Step(renumbering(tables.rows, found.dialect)))
        steps += [Step(text) for text in view_statements(tables, found.dialect)]
    return steps


def _recreation(tables: CategoryTables, found: Held, note: Note) -> Iterator[Step | Note]:
    """Drop the category's tables, which are empty, and create them as declared.

    The note is written while there is no table: at any other time it would contradict one.
    """
    dialect = found.dialect
    yield Step(f"DROP VIEW IF EXISTS {dialect.identifier_preparer.quote(tables.category.table)}")
    yield from removal(tables_held(tables.category.table, found.relations), dialect)
    for bucket in undeclared_levels(tables, found.relations).values():
        yield forgetting(tables.category.table, bucket, dialect)
    yield note
    for table in (tables.rows, *(level.table for level in tables.rollups)):
        yield from (Step(text) for text in table_statements(table, dialect))
    yield from (Step(text) for text in view_statements(tables, dialect))


def _level_removals(tables: CategoryTables, found: Held) -> Iterator[Step | Note]:
    """Drop levels that are no longer declared: late rows are not added to them.

    Their progress is deleted first: no question reads a table without it.
    """
    category = tables.category.table
    gone = undeclared_levels(tables, found.relations)
    closing = closing_of(found.notes, category)
    for name, bucket in gone.items():
        if bucket in closing:
            yield Note(closing_note(category, bucket), closing[bucket].gone().text)
        yield forgetting(category, bucket, found.dialect)
        yield table_removal(name, found.dialect)


def _view_note(tables: CategoryTables) -> str:
    return f"view {tables.category.table}"


def _digest(tables: CategoryTables, found: Held) -> str:
    text = "\n".join(view_statements(tables, found.dialect))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _needs_default(category: Category, name: str) -> Problem:
    column = category.column(name)
    message = f"column '{name}' is new in a table that exists: give it a default"
    return Problem(category.file, column.line if column else category.line, "columns", message)


async def _store_defaults(
    session: Session, schema: Schema, kind: TextKind, storage: Storage
) -> None:
    """Store the default of each column of stacks, or of strings: statements join it."""
    texts = {
        text_hash(text): text
        for tables in schema.categories.values()
        for column in tables.category.columns
        if column.type.storage is storage and column.optional
        for text in _default_text(column)
    }
    if texts:
        ordered = dict(sorted(texts.items()))
        await store_texts(session, schema, kind, ordered, [today()] * len(ordered))


def _default_text(column: Column) -> Iterator[str]:
    if column.type.storage is Storage.STACK_ID:
        yield column.default
    elif column.default is not None:
        yield str(default_value(column))
