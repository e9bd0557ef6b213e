"""Schema -> the statements that create it, in one dialect."""

from itertools import chain

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import creation, on_cluster
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import CategoryTables, Schema


def create_statements(schema: Schema, dialect: sa.engine.Dialect) -> list[str]:
    """Return the statements for tables, indexes and views; each is safe to run repeatedly."""
    tables = (table_statements(table, dialect) for table in schema.metadata.sorted_tables)
    views = (view_statements(each, dialect) for each in schema.categories.values())
    return [*chain.from_iterable(tables), *chain.from_iterable(views)]


def table_statements(table: sa.Table, dialect: sa.engine.Dialect) -> list[str]:
    if isinstance(dialect, ClickHouseDDL):
        return [creation(table, dialect)]
    create = str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    if DIALECTS[dialect.name].indexes_in_table:
        return [_with_keys(create, indexes)]
    created = (CreateIndex(index, if_not_exists=True).compile(dialect=dialect) for index in indexes)
    return [create, *map(str, created)]


def view_statements(tables: CategoryTables, dialect: sa.engine.Dialect) -> list[str]:
    """Return the statements that create the view again: the category may have a new column."""
    quoted = dialect.identifier_preparer.quote(tables.category.table)
    if isinstance(dialect, ClickHouseDDL):
        quoted += on_cluster(dialect)
    select = tables.flat.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    *before, create = (text.format(quoted) for text in DIALECTS[dialect.name].create_view)
    return [*before, f"{create} AS {select}"]


def _with_keys(create: str, indexes: list[sa.Index]) -> str:
    if not indexes:
        return create
    keys = "".join(
        f",\n\tKEY {index.name} ({', '.join(column.name for column in index.columns)})"
        for index in indexes
    )
    head, closing, options = create.rpartition("\n)")
    return f"{head.rstrip()}{keys}{closing}{options}"
