"""Schema -> the statements that make it, in one dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from kscope.generate.tables import CategoryTables, Schema

DIALECTS = ("sqlite", "mysql")


def dialect(name: str) -> sa.engine.Dialect:
    """The SQLAlchemy dialect of a name in DIALECTS."""
    # "named": the styles that count with % would double every % of a literal.
    return sa.dialects.registry.load(name)(paramstyle="named")  # type: ignore[no-any-return]


def preamble(dialect: sa.engine.Dialect) -> list[str]:
    """Return the statements that must run before the first table exists."""
    # Later it would take a VACUUM of the whole file.
    return ["PRAGMA auto_vacuum=INCREMENTAL"] if dialect.name == "sqlite" else []


def create_statements(schema: Schema, dialect: sa.engine.Dialect) -> list[str]:
    """Tables, indexes and views, each safe to run where it exists already."""
    return [
        *(
            statement
            for table in schema.metadata.sorted_tables
            for statement in table_statements(table, dialect)
        ),
        *(
            statement
            for tables in schema.categories.values()
            for statement in view_statements(tables, dialect)
        ),
    ]


def table_statements(table: sa.Table, dialect: sa.engine.Dialect) -> list[str]:
    create = str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
    # MariaDB knows CREATE INDEX IF NOT EXISTS, MySQL 8 does not: there a key is part of its table.
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    if dialect.name == "mysql":
        return [_with_keys(create, indexes)]
    return [
        create,
        *(
            str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
            for index in indexes
        ),
    ]


def view_statements(tables: CategoryTables, dialect: sa.engine.Dialect) -> list[str]:
    """Return statements that recreate the view: a category may have gained a column."""
    quoted = dialect.identifier_preparer.quote(tables.category.table)
    select = tables.flat.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    if dialect.name == "sqlite":
        return [f"DROP VIEW IF EXISTS {quoted}", f"CREATE VIEW {quoted} AS {select}"]
    return [f"CREATE OR REPLACE VIEW {quoted} AS {select}"]


def _with_keys(create: str, indexes: list[sa.Index]) -> str:
    if not indexes:
        return create
    keys = "".join(
        f",\n\tKEY {index.name} ({', '.join(column.name for column in index.columns)})"
        for index in indexes
    )
    head, closing, options = create.rpartition("\n)")
    return f"{head.rstrip()}{keys}{closing}{options}"
