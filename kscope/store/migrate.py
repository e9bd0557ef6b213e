"""The declared tables against those that a database holds -> the statements between them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.errors import DeclarationError, Problem
from kscope.generate.ddl import table_statements, view_statements
from kscope.store.base import StoreError
from kscope.store.encode import encode
from kscope.store.interning import text_hash
from kscope.store.planner import Progress
from kscope.store.writer import today

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kscope.declare.model import Category, Column
    from kscope.generate.tables import CategoryTables, Schema
    from kscope.store.engine import Relation, Session

LAYOUT = 1

# What a column may become without a stored value losing its meaning.
_WIDENINGS = {("label", "string"), ("string", "label"), ("ip", "string"), ("ip", "label")}


@dataclass(frozen=True)
class Step:
    """One statement. `default` is the text that `{default}` stands for, by its id."""

    text: str
    default: str | None = None

    def __str__(self) -> str:
        return self.text.replace("{default}", f"(id of {self.default!r})")


@dataclass(frozen=True)
class Migration:
    steps: tuple[Step, ...]
    notes: Mapping[str, str]
    """Rows of kscope_meta to be written with them."""


@dataclass(frozen=True)
class Held:
    """What a database holds."""

    relations: Mapping[str, Relation]
    notes: Mapping[str, str]


async def held(session: Session, schema: Schema) -> Held:
    relations = await session.relations()
    meta = schema.dictionaries.meta
    if meta.name not in relations:
        return Held(relations, {})
    rows = await session.fetch(sa.select(meta.c.name, meta.c.value))
    return Held(relations, {str(name): str(value) for name, value in rows})


def plan(schema: Schema, found: Held, dialect: sa.engine.Dialect) -> Migration:
    """Raise DeclarationError where a declared change would lose data."""
    _check_layout(found)
    problems: list[Problem] = []
    steps: list[Step] = []
    notes: dict[str, str] = {}
    if "layout" not in found.notes:
        notes["layout"] = str(LAYOUT)
    dictionaries = schema.dictionaries
    for table in (
        dictionaries.string,
        dictionaries.stack,
        dictionaries.batch,
        dictionaries.meta,
        dictionaries.progress,
    ):
        steps += _creation(table, found, dialect)
    for tables in schema.categories.values():
        problems += _losses(tables, found)
        steps += _category_steps(tables, found, dialect, problems)
        declared = json.dumps({c.name: c.type.name for c in tables.category.all_columns})
        if found.notes.get(_note_name(tables.category)) != declared:
            notes[_note_name(tables.category)] = declared
    if problems:
        raise DeclarationError(problems)
    return Migration(tuple(steps), notes)


async def apply(session: Session, schema: Schema, migration: Migration) -> None:
    for step in migration.steps:
        text = step.text
        if step.default is not None:
            text = text.replace("{default}", str(await _string_id(session, schema, step.default)))
        await session.run(text)
    meta = schema.dictionaries.meta
    for name, value in migration.notes.items():
        await session.execute(sa.delete(meta).where(meta.c.name == name))
        await session.execute(sa.insert(meta).values(name=name, value=value))
    await _store_default_stacks(session, schema)
    await _store_progress(session, schema)


def _check_layout(found: Held) -> None:
    layout = int(found.notes.get("layout", LAYOUT))
    if layout > LAYOUT:
        raise StoreError(
            f"this database was made by a newer kscope (layout {layout}, this one knows {LAYOUT}):"
            " use that version"
        )


def _note_name(category: Category) -> str:
    return f"category {category.table}"


def _creation(table: sa.Table, found: Held, dialect: sa.engine.Dialect) -> list[Step]:
    if table.name in found.relations:
        return []
    return [Step(text) for text in table_statements(table, dialect)]


def _losses(tables: CategoryTables, found: Held) -> Iterator[Problem]:
    """What was declared before and would be lost, or read as something else."""
    category = tables.category
    before = json.loads(found.notes.get(_note_name(category), "{}"))
    for name, kind in before.items():
        column = category.column(name)
        if column is None:
            message = (
                f"column '{name}' is in the database and no longer declared: put it back, or"
                " declare the new shape under another table name"
            )
            yield Problem(category.file, category.line, "columns", message)
        elif column.type.name != kind and (kind, column.type.name) not in _WIDENINGS:
            message = (
                f"column '{name}' is stored as {kind} and cannot become {column.type.name}:"
                " give the new column another name"
            )
            yield Problem(category.file, column.line, "columns", message)
    relation = found.relations.get(category.table)
    if relation is not None and not relation.is_view:
        message = (
            f"the database holds a table '{category.table}' that kscope did not make:"
            " rename it there, or use another database"
        )
        yield Problem(category.file, category.line, "table", message)


def _category_steps(
    tables: CategoryTables, found: Held, dialect: sa.engine.Dialect, problems: list[Problem]
) -> list[Step]:
    category = tables.category
    steps: list[Step] = []
    for table in (tables.rows, *(rollup.table for rollup in tables.rollups)):
        relation = found.relations.get(str(table.name))
        if relation is None:
            steps += _creation(table, found, dialect)
            continue
        for stored in table.columns:
            if stored.name in relation.columns:
                continue
            column = category.column(stored.name)
            if column is None or not column.optional:
                problems.append(_needs_default(category, stored.name))
            else:
                steps.append(_addition(table, stored, column, dialect))
    view = found.relations.get(category.table)
    flat = [column.name for column in category.all_columns]
    if view is None or list(view.columns) != flat:
        steps += [Step(text) for text in view_statements(tables, dialect)]
    return steps


def _needs_default(category: Category, name: str) -> Problem:
    column = category.column(name)
    message = f"column '{name}' is new in a table that exists: give it a default"
    return Problem(category.file, column.line if column else category.line, "columns", message)


def _addition(
    table: sa.Table, stored: sa.Column[Any], column: Column, dialect: sa.engine.Dialect
) -> Step:
    preparer = dialect.identifier_preparer
    kind = stored.type.compile(dialect=dialect)
    head = f"ALTER TABLE {preparer.format_table(table)} ADD COLUMN {preparer.quote(column.name)}"
    value = default_value(column)
    if column.type.storage is Storage.STRING_ID:
        return Step(f"{head} {kind} NOT NULL DEFAULT {{default}}", str(value))
    literal = sa.literal(value).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    # MySQL takes a default of a TEXT column only in brackets, SQLite takes none in them.
    text = f"({literal})" if dialect.name == "mysql" else str(literal)
    return Step(f"{head} {kind} NOT NULL DEFAULT {text}")


def default_value(column: Column) -> Any:
    """Give the default as rows hold it; for a string still the text."""
    if column.type.storage is Storage.STACK_ID:
        return text_hash(column.default)
    return encode(column.type, [column.default])[0]


async def _store_progress(session: Session, schema: Schema) -> None:
    """Each level has its row from the start: it is what servers lock."""
    table = schema.dictionaries.progress
    found = {tuple(row) for row in await session.fetch(sa.select(table.c.category, table.c.bucket))}
    start = Progress()
    for name, tables in schema.categories.items():
        for bucket in (0, *(rollup.rollup.bucket for rollup in tables.rollups)):
            if (name, bucket) not in found:
                values = {"category": name, "bucket": bucket}
                times = {"closed": start.closed, "removed": start.removed}
                await session.execute(sa.insert(table).values(**values, **times))


async def _string_id(session: Session, schema: Schema, text: str) -> int:
    table = schema.dictionaries.string
    select = sa.select(table.c.id).where(table.c.hash == text_hash(text))
    rows = await session.fetch(select)
    if not rows:
        new = sa.insert(table).values(hash=text_hash(text), day=today(), text=text)
        await session.execute(new)
        rows = await session.fetch(select)
    return int(rows[0][0])


async def _store_default_stacks(session: Session, schema: Schema) -> None:
    """A stack that an added column defaults to must be there to be joined."""
    table = schema.dictionaries.stack
    for tables in schema.categories.values():
        for column in tables.category.columns:
            if column.type.storage is not Storage.STACK_ID or not column.optional:
                continue
            key = text_hash(column.default)
            if not await session.fetch(sa.select(table.c.id).where(table.c.id == key)):
                new = sa.insert(table).values(id=key, day=today(), frames=column.default)
                await session.execute(new)
