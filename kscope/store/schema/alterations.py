"""A declared table and the one in the database -> the statements between the two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from kscope.declare.model import Column
from kscope.declare.types.base import INT64_MAX, Role, Storage
from kscope.generate.clickhouse import statements as on_clickhouse
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import INDEX_PREFIX, ROLLUP_ROWS
from kscope.store.backends.base import Relation
from kscope.store.schema.interning import text_hash


@dataclass(frozen=True)
class Step:
    """One statement. `default` is the text that `{default}` stands for, by its id.

    If `empty` names tables, they must not have rows when the statement runs. `guard` has the
    statements by which an engine without locks keeps rows off them, and takes them again. What is
    `on_each` server of a shard is not replicated.
    """

    text: str
    default: str | None = None
    empty: tuple[str, ...] = ()
    guard: tuple[str, str] | None = None
    on_each: bool = False

    def __str__(self) -> str:
        return self.text.replace("{default}", f"(id of {self.default!r})")


@dataclass(frozen=True)
class Note:
    """A row of kscope_meta to write between two statements."""

    name: str
    value: str


def addition(
    table: sa.Table, column: Column, held: Relation, dialect: sa.engine.Dialect
) -> Iterator[Step]:
    """Add the column, with its default in the rows that exist.

    MySQL commits every statement: after a kill, the remaining ones are run.
    """
    if isinstance(dialect, ClickHouseDDL):
        yield from _addition_to_clickhouse(table, column, held, dialect)
        return
    is_sum = ROLLUP_ROWS in table.c and column.type.role in (Role.VALUE, Role.HISTOGRAM)
    begun = is_sum and column.name in held.nullable
    if column.name in held.columns and not begun:
        return
    stored, preparer = table.c[column.name], dialect.identifier_preparer
    alter = f"ALTER TABLE {preparer.format_table(table)}"
    kind = f"{preparer.quote(column.name)} {stored.type.compile(dialect=dialect)}"
    add, value = f"{alter} ADD COLUMN {kind}", default_value(column)
    if column.nullable:
        yield Step(f"{add} NULL")
    elif column.type.storage is Storage.STRING_ID:
        yield Step(f"{add} NOT NULL DEFAULT {{default}}", str(value))
    else:
        default = f"NOT NULL DEFAULT {_literal(value, dialect)}"
        if not is_sum:
            yield Step(f"{add} {default}")
            return
        multiplied = sa.update(table).values({stored: _times_rows(table, value)})
        if DIALECTS[dialect.name].transactional:
            # SQLite cannot make a column NOT NULL later, and need not: all is one transaction.
            yield Step(f"{add} {default}")
            yield Step(_text(multiplied, dialect))
            return
        if not begun:
            yield Step(f"{add} NULL")
        yield Step(_text(multiplied.where(stored.is_(None)), dialect))
        yield Step(f"{alter} MODIFY COLUMN {kind} {default}")


def _addition_to_clickhouse(
    table: sa.Table, column: Column, held: Relation, dialect: ClickHouseDDL
) -> Iterator[Step]:
    """Add the column: the engine computes its default when it reads a row that exists."""
    if column.name in held.columns:
        return
    value = default_value(column)
    if column.type.storage is Storage.STRING_ID:
        for text in on_clickhouse.additions(table, table.c[column.name], "{default}", dialect):
            yield Step(text, str(value))
        return
    is_sum = ROLLUP_ROWS in table.c and column.type.role is Role.VALUE and not column.nullable
    default = _times_rows(table, value) if is_sum else sa.literal(value)
    value_text = _plain_text(default, dialect)
    for text in on_clickhouse.additions(table, table.c[column.name], value_text, dialect):
        yield Step(text)


def removal(tables: Sequence[str], dialect: sa.engine.Dialect) -> Iterator[Step]:
    """Drop tables, which must be empty. A concurrent writer finds no table, and retries.

    SQLite does all of it in one transaction. MySQL commits each statement, so it locks them.
    ClickHouse refuses their rows.
    """
    names = [dialect.identifier_preparer.quote(name) for name in tables]
    if not names:
        return
    if isinstance(dialect, ClickHouseDDL):
        for table in tables:
            guard = on_clickhouse.refusing(table, dialect), on_clickhouse.accepting(table, dialect)
            yield replace(table_removal(table, dialect), empty=(table,), guard=guard)
        return
    if DIALECTS[dialect.name].transactional:
        for table, name in zip(tables, names, strict=True):
            yield Step(f"DROP TABLE {name}", empty=(table,))
        return
    yield Step(f"LOCK TABLES {', '.join(f'{name} WRITE' for name in names)}")
    yield Step(f"DROP TABLE {', '.join(names)}", empty=tuple(tables))
    yield Step("UNLOCK TABLES")


def table_removal(table: str, dialect: sa.engine.Dialect) -> Step:
    """Drop a table with its rows."""
    if isinstance(dialect, ClickHouseDDL):
        return Step(on_clickhouse.removal(table, dialect), on_each=True)
    return Step(f"DROP TABLE {dialect.identifier_preparer.quote(table)}")


def indexes(table: sa.Table, held: Relation, dialect: sa.engine.Dialect) -> Iterator[Step]:
    """Create the declared indexes that are missing, and drop ours that are no longer declared."""
    declared = {str(index.name): index for index in table.indexes}
    for name in sorted(declared.keys() - held.indexes):
        for text in _index_addition(declared[name], dialect):
            yield Step(text)
    for name in sorted(held.indexes - declared.keys()):
        if name.startswith(INDEX_PREFIX):
            yield Step(index_removal(name, str(table.name), dialect))


def _index_addition(index: sa.Index, dialect: sa.engine.Dialect) -> Iterator[str]:
    if isinstance(dialect, ClickHouseDDL):
        yield from on_clickhouse.index_addition(index, dialect)
    else:
        yield str(CreateIndex(index).compile(dialect=dialect))


def index_removal(index: str, table: str, dialect: sa.engine.Dialect) -> str:
    """Return the statement that drops an index."""
    if isinstance(dialect, ClickHouseDDL):
        return on_clickhouse.index_removal(index, table, dialect)
    quote = dialect.identifier_preparer.quote
    of = f" ON {quote(table)}" if DIALECTS[dialect.name].indexes_in_table else ""
    return f"DROP INDEX {quote(index)}{of}"


def default_value(column: Column) -> Any:
    """Return the default as it is stored; for a string, its text."""
    if column.type.storage is Storage.STACK_ID:
        return text_hash(column.default)
    return column.type.encoded([column.default])[0]


def _times_rows(table: sa.Table, value: Any) -> sa.ColumnElement[Any]:
    """Return the sum of a column that the rows did not have: the default, once per row."""
    if isinstance(value, str):
        # A histogram's default is empty.
        return sa.literal(value)
    rows = table.c[ROLLUP_ROWS]
    if isinstance(value, int) and value > 1:
        # Capped at the largest value of a column, as everywhere else.
        return sa.case((rows > INT64_MAX // value, INT64_MAX), else_=rows * value)
    multiplied: sa.ColumnElement[Any] = rows * value
    return multiplied


def _literal(value: Any, dialect: sa.engine.Dialect) -> str:
    return DIALECTS[dialect.name].default.format(_text(sa.literal(value), dialect))


def _plain_text(clause: sa.ClauseElement, dialect: sa.engine.Dialect) -> str:
    """Return a clause whose columns have no table before their names."""
    kw = {"literal_binds": True, "include_table": False}
    return str(clause.compile(dialect=dialect, compile_kwargs=kw))


def _text(clause: sa.ClauseElement, dialect: sa.engine.Dialect) -> str:
    return str(clause.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
