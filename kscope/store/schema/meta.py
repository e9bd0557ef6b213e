"""The notes in kscope_meta: the layout, and each category as declared."""

import json
from collections.abc import Iterable, Mapping
from secrets import token_hex

import sqlalchemy as sa

from kscope.declare.model import Category
from kscope.declare.types import TYPES
from kscope.generate.tables import Schema
from kscope.store.backends.base import Session
from kscope.store.schema.progress import Fetch

_CATEGORY = "category "
# The note of a name that no other database has. A copy of a database's file keeps it.
IDENTITY = "database"


async def read_meta(session: Session, schema: Schema) -> dict[str, str]:
    meta = schema.dictionaries.meta
    rows = await session.fetch(sa.select(meta.c.name, meta.c.value))
    return {str(name): str(value) for name, value in rows}


async def write_identity(session: Session, schema: Schema) -> None:
    """Store a unique name of the database, unless it has one."""
    if IDENTITY not in await read_meta(session, schema):
        await write_meta(session, schema, IDENTITY, token_hex(8))


async def stored_tables(fetch: Fetch, schema: Schema) -> set[str]:
    """Return the categories that the database has tables of."""
    meta = schema.dictionaries.meta
    names = await fetch(sa.select(meta.c.name))
    return set(known_categories({str(name): "{}" for (name,) in names}))


async def write_meta(session: Session, schema: Schema, name: str, value: str) -> None:
    await write_notes(session, schema, {name: value})


async def write_notes(session: Session, schema: Schema, notes: Mapping[str, str]) -> None:
    columns = {"name": [*notes], "value": [*notes.values()]}
    await session.insert(schema.dictionaries.meta, columns, {"value": "replace"})


def category_note(table: str) -> str:
    return f"{_CATEGORY}{table}"


def declared_types(category: Category) -> dict[str, str]:
    """Column -> type."""
    return {column.name: column.type.name for column in category.all_columns}


def known_categories(found: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return table -> column -> type of every category that this database was used with."""
    return {
        name.removeprefix(_CATEGORY): json.loads(value)
        for name, value in found.items()
        if name.startswith(_CATEGORY)
    }


async def is_current(session: Session, schema: Schema, category: Category) -> bool:
    """Tell whether this server's columns are the declared ones.

    Another server may have added a column since. Sums without it would stay wrong.
    """
    meta = schema.dictionaries.meta
    select = sa.select(meta.c.name, meta.c.value)
    rows = await session.fetch(select.where(meta.c.name == category_note(category.table)))
    return is_noted({str(name): str(value) for name, value in rows}, category)


def is_noted(notes: Mapping[str, str], category: Category) -> bool:
    """Tell the same from some notes."""
    noted = notes.get(category_note(category.table))
    return noted is not None and json.loads(noted) == declared_types(category)


def can_hold(stored: str, declared: str) -> bool:
    """Return whether values of the stored type mean the same as the declared type."""
    return stored == declared or (stored in TYPES and declared in TYPES[stored].widens_to)


async def contradicted(
    session: Session, schema: Schema, written: Iterable[Category]
) -> Category | None:
    """Return a category that has a column of another type now, if there is one.

    A column that only one side knows does not count: it has a default.
    """
    by_note = {category_note(category.table): category for category in written}
    meta = schema.dictionaries.meta
    columns = [meta.c.name, meta.c.value]
    for name, value in await session.look_up(meta.c.name, columns, sorted(by_note)):
        if contradicts(by_note[name], json.loads(value)):
            return by_note[name]
    return None


def contradicts(category: Category, noted: Mapping[str, str]) -> bool:
    """Return whether a column has another type than the one that is noted."""
    mine = declared_types(category)
    return any(not can_hold(mine[each], noted.get(each, mine[each])) for each in mine)
