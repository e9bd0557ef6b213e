"""Category -> SQLAlchemy tables: the one description that the DDL and every query are made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from kscope.declare.types.base import Role, Storage
from kscope.declare.units import duration
from kscope.generate.expressions import readable_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.declare.model import Catalog, Category, Column, Rollup

# MySQL compares text without regard to case unless told; a name from a kernel is its bytes.
_MYSQL_COLLATION = "utf8mb4_bin"

TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(collation=_MYSQL_COLLATION), "mysql")
_NAME = sa.String(128).with_variant(mysql.VARCHAR(128, collation=_MYSQL_COLLATION), "mysql")
# SQLite gives only INTEGER PRIMARY KEY the table's own key.
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQL_TYPES: Mapping[Storage, sa.types.TypeEngine[Any]] = {
    Storage.TIME: sa.BigInteger(),
    Storage.INTEGER: sa.BigInteger(),
    Storage.REAL: sa.Double(),
    Storage.TEXT: TEXT,
    Storage.BOOLEAN: sa.SmallInteger(),
    Storage.STRING_ID: sa.Integer(),
    Storage.STACK_ID: sa.BigInteger(),
    Storage.HISTOGRAM: TEXT,
}


@dataclass(frozen=True)
class Dictionaries:
    """What rows refer to by number, and what the store notes about itself."""

    string: sa.Table
    stack: sa.Table
    batch: sa.Table
    meta: sa.Table
    progress: sa.Table

    @property
    def tables(self) -> tuple[sa.Table, ...]:
        return (self.string, self.stack, self.batch, self.meta, self.progress)


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

    metadata: sa.MetaData
    dictionaries: Dictionaries
    categories: Mapping[str, CategoryTables]


def schema(catalog: Catalog) -> Schema:
    metadata = sa.MetaData()
    dictionaries = _dictionaries(metadata)
    tables = {
        category.table: _category_tables(category, metadata, dictionaries) for category in catalog
    }
    return Schema(metadata, dictionaries, tables)


ROWS_PREFIX = "kscope_rows_"


def rows_name(category: Category) -> str:
    return f"{ROWS_PREFIX}{category.table}"


def rollup_name(category: Category, rollup: Rollup) -> str:
    return f"kscope_rollup_{duration(rollup.bucket)}_{category.table}"


def _used_day() -> sa.Column[int]:
    """When a row last came that refers to it: what no row can refer to any more is removed."""
    return sa.Column("day", sa.Integer(), nullable=False, comment="last used, days since 1970")


def _dictionaries(metadata: sa.MetaData) -> Dictionaries:
    string = sa.Table(
        "kscope_string",
        metadata,
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        # Unique over the hash, not the text: an index over long text would store it twice.
        sa.Column("hash", sa.BigInteger(), nullable=False, unique=True),
        _used_day(),
        sa.Column("text", TEXT, nullable=False),
        comment="Every distinct string once; rows hold its id.",
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    stack = sa.Table(
        "kscope_stack",
        metadata,
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=False),
        _used_day(),
        sa.Column("frames", TEXT, nullable=False),
        comment="Every distinct stack once, folded; id is the 64-bit hash of its text.",
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    batch = sa.Table(
        "kscope_batch",
        metadata,
        # Hashed, so that a key of any length and alphabet fits every engine's index.
        sa.Column(
            "key", sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql"), primary_key=True
        ),
        sa.Column("received", sa.BigInteger(), nullable=False, index=True),
        sa.Column("answer", TEXT, nullable=False),
        comment="Batches that were stored: a batch that is sent twice counts once.",
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        sqlite_with_rowid=False,
    )
    meta = sa.Table(
        "kscope_meta",
        metadata,
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
        comment="Notes of the store: its layout's version, each category's declared types.",
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        sqlite_with_rowid=False,
    )
    progress = sa.Table(
        "kscope_progress",
        metadata,
        sa.Column("category", _NAME, primary_key=True),
        sa.Column("bucket", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("closed", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        comment="Up to which time (us) buckets are summed, and removed by age; bucket 0 is rows.",
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        sqlite_with_rowid=False,
    )
    return Dictionaries(string, stack, batch, meta, progress)


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
    indexes = [
        sa.Index(_index_name(category, column), column.name)
        for column in category.columns
        if column.index
    ]
    return _clustered(rows_name(category), metadata, columns, indexes, category.prettyname)


INDEX_PREFIX = "kscope_index_"


def _index_name(category: Category, column: Column) -> str:
    """SQLite wants index names unique in the database, MySQL at most 64 characters."""
    table = hashlib.blake2b(category.table.encode(), digest_size=4).hexdigest()
    return f"{INDEX_PREFIX}{table}_{column.name}"


def _rollup_table(category: Category, rollup: Rollup, metadata: sa.MetaData) -> sa.Table:
    kept = category.with_role(Role.DIMENSION, Role.STACK, Role.VALUE, Role.HISTOGRAM)
    columns = [
        *(_data_column(column) for column in kept),
        sa.Column(ROLLUP_ROWS, sa.BigInteger(), nullable=False, comment="rows summed"),
    ]
    comment = f"{category.prettyname}, summed per {duration(rollup.bucket)}"
    return _clustered(rollup_name(category, rollup), metadata, columns, [], comment)


ROLLUP_ROWS = "kscope_rows"


def _clustered(
    name: str,
    metadata: sa.MetaData,
    columns: list[sa.Column[Any]],
    indexes: list[sa.Index],
    comment: str,
) -> sa.Table:
    """Rows lie in the order of time, so that a range is one stretch of the file."""
    return sa.Table(
        name,
        metadata,
        sa.Column(
            "time",
            sa.BigInteger(),
            primary_key=True,
            autoincrement=False,
            comment="microseconds since the epoch, UTC",
        ),
        sa.Column(
            "seq",
            sa.BigInteger(),
            primary_key=True,
            autoincrement=False,
            comment="tells rows of one microsecond apart",
        ),
        *columns,
        *indexes,
        comment=comment,
        sqlite_with_rowid=False,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def _data_column(column: Column) -> sa.Column[Any]:
    comment = column.prettyname + (f", {column.unit}" if column.unit else "")
    kind = _SQL_TYPES[column.type.storage]
    return sa.Column(column.name, kind, nullable=column.nullable, comment=comment)


def _flat(category: Category, rows: sa.Table, dictionaries: Dictionaries) -> sa.Select[Any]:
    """The seed's flat shape, for a person at a SQL prompt.

    Outer joins: engines leave out those whose text a question does not ask for, and none begins
    with the texts and looks for rows of each.
    """
    joined: sa.FromClause = rows
    shown: list[sa.ColumnElement[Any]] = []
    for column in category.all_columns:
        stored = rows.c[column.name]
        match column.type.storage:
            case Storage.STRING_ID:
                names = dictionaries.string.alias(f"string_{column.name}")
                joined = joined.outerjoin(names, names.c.id == stored)
                shown.append(names.c.text.label(column.name))
            case Storage.STACK_ID:
                stacks = dictionaries.stack.alias(f"stack_{column.name}")
                joined = joined.outerjoin(stacks, stacks.c.id == stored)
                shown.append(stacks.c.frames.label(column.name))
            case Storage.TIME:
                shown.append(readable_time(stored).label(column.name))
            case _:
                shown.append(stored.label(column.name))
    return sa.select(*shown).select_from(joined)
