"""Category -> SQLAlchemy tables: the one description that the DDL and every query are made from."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from kscope.declare.model import Catalog, Category, Column, Rollup
from kscope.declare.types.base import Role, Storage
from kscope.declare.units import duration
from kscope.generate.clickhouse.layout import Layout, Use, described, sorting
from kscope.generate.dialects import DIALECTS
from kscope.generate.expressions import readable_time


def _type(name: str, general: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return a type that each dialect may replace by its own."""
    for dialect in DIALECTS.values():
        if name in dialect.types:
            general = general.with_variant(dialect.types[name], dialect.name)
    return general


TEXT = _type("text", sa.Text())
_NAME = _type("name", sa.String(128))
_SERIAL = _type("serial", sa.BigInteger())
_KEY = _type("key", sa.LargeBinary(16))
_BLOB = _type("blob", sa.LargeBinary())
_OPTIONS = {name: value for each in DIALECTS.values() for name, value in each.table_options.items()}
_CLUSTERED = _OPTIONS | {
    name: value for each in DIALECTS.values() for name, value in each.clustered_options.items()
}

_SQL_TYPES: Mapping[Storage, sa.types.TypeEngine[Any]] = {
    Storage.TIME: sa.BigInteger(),
    Storage.INTEGER: sa.BigInteger(),
    Storage.REAL: sa.Double(),
    Storage.TEXT: TEXT,
    Storage.BOOLEAN: sa.SmallInteger(),
    Storage.STRING_ID: _type("string_id", sa.Integer()),
    Storage.STACK_ID: sa.BigInteger(),
    Storage.HISTOGRAM: _type("histogram", TEXT),
}


class Dictionaries(NamedTuple):
    """Tables of the texts that rows refer to by number, of names that frames refer to by build id,
    and of notes of the store about itself.
    """

    string: sa.Table
    stack: sa.Table
    batch: sa.Table
    meta: sa.Table
    progress: sa.Table
    symbols: sa.Table
    symbol_page: sa.Table


@dataclass(frozen=True)
class RollupTable:
    rollup: Rollup
    table: sa.Table


@dataclass(frozen=True)
class CategoryTables:
    """A category's tables. `rollups` go from the finest bucket to the coarsest."""

    category: Category
    rows: sa.Table
    rollups: tuple[RollupTable, ...]
    flat: sa.Select[Any]


@dataclass(frozen=True)
class Schema:
    """Everything a database holds for a catalog."""

    catalog: Catalog
    metadata: sa.MetaData
    dictionaries: Dictionaries
    categories: Mapping[str, CategoryTables]


def schema(catalog: Catalog) -> Schema:
    metadata = sa.MetaData()
    dictionaries = _dictionaries(metadata)
    tables = (_category_tables(category, metadata, dictionaries) for category in catalog.stored)
    return Schema(catalog, metadata, dictionaries, {each.category.table: each for each in tables})


ROWS_PREFIX = "kscope_rows_"


def rows_name(category: Category) -> str:
    return f"{ROWS_PREFIX}{category.table}"


def rollup_name(category: Category, rollup: Rollup) -> str:
    return f"kscope_rollup_{duration(rollup.bucket)}_{category.table}"


def _used_day() -> sa.Column[int]:
    """When a row last came that refers to it: what no row can refer to any more is removed."""
    return sa.Column("day", sa.Integer(), nullable=False, comment="last used, days since 1970")


def _dictionaries(metadata: sa.MetaData) -> Dictionaries:
    table = partial(_dictionary, metadata)
    return Dictionaries(
        table(
            Use.TEXTS,
            "kscope_string",
            "Every distinct string once; rows hold its id.",
            sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
            # Unique over the hash, not the text: an index over long text would store it twice.
            sa.Column("hash", sa.BigInteger(), nullable=False, unique=True),
            _used_day(),
            sa.Column("text", TEXT, nullable=False),
            by_rowid=True,
        ),
        table(
            Use.TEXTS,
            "kscope_stack",
            "Every distinct stack once, folded; id is the 64-bit hash of its text.",
            sa.Column("id", _SERIAL, primary_key=True, autoincrement=False),
            _used_day(),
            sa.Column("frames", TEXT, nullable=False),
            by_rowid=True,
        ),
        table(
            Use.BATCHES,
            "kscope_batch",
            "Batches that were stored: a batch that is sent twice counts once.",
            # Hashed, so that a key of any length and alphabet fits every database's index.
            sa.Column("key", _KEY, primary_key=True),
            sa.Column("received", sa.BigInteger(), nullable=False, index=True),
            sa.Column("answer", TEXT, nullable=False),
        ),
        table(
            Use.NOTES,
            "kscope_meta",
            "Notes of the store: its layout's version, each category's declared types.",
            sa.Column("name", _NAME, primary_key=True),
            sa.Column("value", TEXT, nullable=False),
        ),
        table(
            Use.PROGRESS,
            "kscope_progress",
            "The end of a level and the start of its kept rows, in us; bucket 0 is rows.",
            sa.Column("category", _NAME, primary_key=True),
            sa.Column("bucket", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("closed", sa.BigInteger(), nullable=False),
            sa.Column("removed", sa.BigInteger(), nullable=False),
        ),
        table(
            Use.NOTES,
            "kscope_symbols",
            "Each file whose function names are kept, by its build id.",
            sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
            sa.Column("build", _NAME, nullable=False, unique=True),
            sa.Column("file", TEXT, nullable=False),
            sa.Column("fetched", sa.SmallInteger(), nullable=False, comment="0: added by a user"),
            sa.Column("functions", sa.BigInteger(), nullable=False),
            sa.Column("bytes", sa.BigInteger(), nullable=False),
            sa.Column("added", sa.BigInteger(), nullable=False, comment="us since 1970, UTC"),
            by_rowid=True,
        ),
        table(
            Use.NOTES,
            "kscope_symbol_page",
            "Names of the functions from an address on, packed; file is an id of kscope_symbols.",
            sa.Column("file", sa.BigInteger(), primary_key=True, autoincrement=False),
            sa.Column("first", sa.BigInteger(), primary_key=True, autoincrement=False),
            sa.Column("functions", _BLOB, nullable=False),
        ),
    )


def _dictionary(
    metadata: sa.MetaData,
    use: Use,
    name: str,
    comment: str,
    *columns: sa.Column[Any],
    by_rowid: bool = False,
) -> sa.Table:
    table = _table(metadata, name, comment, *columns, by_rowid=by_rowid)
    return described(table, Layout(use))


def _table(
    metadata: sa.MetaData,
    name: str,
    comment: str,
    *parts: sa.Column[Any] | sa.Index,
    by_rowid: bool = False,
) -> sa.Table:
    """Return a table. SQLite keeps it in the order of its key, unless that is a row's number."""
    options = _OPTIONS if by_rowid else _CLUSTERED
    return sa.Table(name, metadata, *parts, comment=comment, **options)


def _category_tables(
    category: Category, metadata: sa.MetaData, dictionaries: Dictionaries
) -> CategoryTables:
    rows = _rows_table(category, metadata)
    rollups = tuple(
        RollupTable(rollup, _rollup_table(category, rollup, metadata))
        for rollup in sorted(category.rollup, key=lambda rollup: rollup.bucket)
    )
    return CategoryTables(category, rows, rollups, _flat(category, rows, dictionaries))


def _rows_table(category: Category, metadata: sa.MetaData) -> sa.Table:
    columns = [_data_column(column) for column in category.all_columns if column.name != "time"]
    indexed = (column for column in category.columns if column.index)
    indexes = [sa.Index(_index_name(category, each), each.name) for each in indexed]
    parts: list[sa.Column[Any] | sa.Index] = [*_place_in_time(), *columns, *indexes]
    table = _table(metadata, rows_name(category), category.prettyname, *parts)
    layout = Layout(Use.ROWS, sorting(category.all_columns))
    return described(table, layout, category.all_columns)


INDEX_PREFIX = "kscope_index_"


def _index_name(category: Category, column: Column) -> str:
    """SQLite wants index names unique in the database, MySQL at most 64 characters."""
    table = hashlib.blake2b(category.table.encode(), digest_size=4).hexdigest()
    return f"{INDEX_PREFIX}{table}_{column.name}"


def _rollup_table(category: Category, rollup: Rollup, metadata: sa.MetaData) -> sa.Table:
    kept = category.with_role(Role.DIMENSION, Role.STACK, Role.VALUE, Role.HISTOGRAM)
    comment = f"{category.prettyname}, summed per {duration(rollup.bucket)}"
    summed = sa.Column(ROLLUP_ROWS, sa.BigInteger(), nullable=False, comment="rows summed")
    parts = (*_place_in_time(), *map(_data_column, kept), summed)
    table = _table(metadata, rollup_name(category, rollup), comment, *parts)
    return described(table, Layout(Use.SUMS, sorting(kept), rollup.bucket), kept)


ROLLUP_ROWS = "kscope_rows"


def _place_in_time() -> Iterator[sa.Column[Any]]:
    """Rows lie in the order of time, so that a range is one stretch of the file."""
    keys = {
        "time": "microseconds since the epoch, UTC",
        "seq": "tells rows of one microsecond apart",
    }
    for key, text in keys.items():
        yield sa.Column(key, sa.BigInteger(), primary_key=True, autoincrement=False, comment=text)


def _data_column(column: Column) -> sa.Column[Any]:
    comment = column.prettyname + (f", {column.unit}" if column.unit else "")
    kind = _SQL_TYPES[column.type.storage]
    return sa.Column(column.name, kind, nullable=column.nullable, comment=comment)


def _flat(category: Category, rows: sa.Table, dictionaries: Dictionaries) -> sa.Select[Any]:
    """The flat shape of 2016, for a person at a SQL prompt.

    Outer joins: databases leave out those whose text a question does not ask for, and none begins
    with the texts and looks for rows of each.
    """
    joined: sa.FromClause = rows
    shown: list[sa.ColumnElement[Any]] = []
    for column in category.all_columns:
        stored: sa.ColumnElement[Any] = rows.c[column.name]
        if found := texts_of(column, dictionaries):
            joined = joined.outerjoin(found.table, found.key == stored)
            stored = found.text
        elif column.type.storage is Storage.TIME:
            stored = readable_time(stored)
        shown.append(stored.label(column.name))
    return sa.select(*shown).select_from(joined)


@dataclass(frozen=True)
class Texts:
    """The table that has a column's texts, under a separate name: rows hold the `key`."""

    table: NamedFromClause
    key: sa.ColumnElement[Any]
    text: sa.ColumnElement[Any]


def texts_of(column: Column, dictionaries: Dictionaries) -> Texts | None:
    """Return where the texts of a column are, if rows hold only their numbers."""
    match column.type.storage:
        case Storage.STRING_ID:
            strings = dictionaries.string.alias(f"string_{column.name}")
            return Texts(strings, strings.c.id, strings.c.text)
        case Storage.STACK_ID:
            stacks = dictionaries.stack.alias(f"stack_{column.name}")
            return Texts(stacks, stacks.c.id, stacks.c.frames)
    return None
