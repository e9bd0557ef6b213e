"""SQLAlchemy statements -> texts and parameters for a driver."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS


def compiled(statement: sa.Executable, dialect: sa.engine.Dialect) -> tuple[str, Any]:
    """Return the text and its parameters: a list if the dialect counts them, else a dict."""
    result = statement.compile(  # type: ignore[attr-defined]
        dialect=dialect, compile_kwargs={"render_postcompile": True}
    )
    parameters = result.construct_params()
    for name, processor in result._bind_processors.items():  # noqa: SLF001 - no public way to it
        if name in parameters:
            parameters[name] = processor(parameters[name])
    if result.positiontup is not None:
        return result.string, [parameters[name] for name in result.positiontup]
    return result.string, parameters


_ROWS_PER_STATEMENT = 500
# A statement of SQLite has at most 32,766 parameters.
_PARAMETERS = 30_000


@dataclass(frozen=True)
class BulkInsert:
    """Insert many rows per statement.

    With one row per statement, SQLite's driver takes the interpreter's lock for each row. 500 rows
    per statement are twice as fast, and leave the lock to the threads that decode.
    """

    head: str
    group: str
    width: int
    tail: str = ""

    def chunks(self, columns: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Iterator[list[Any]]]]:
        """Yield each statement with the parameter lists to run it with."""
        size = max(1, min(_ROWS_PER_STATEMENT, _PARAMETERS // self.width))
        count = len(columns[0])
        whole = count - count % size
        if whole:
            yield self._text(size), self._parameters(columns, range(0, whole, size), size)
        if whole < count:
            rest = range(whole, count, size)
            yield self._text(count - whole), self._parameters(columns, rest, size)

    def _text(self, rows: int) -> str:
        return _repeated(self.head, self.group, rows, self.tail)

    @staticmethod
    def _parameters(
        columns: Sequence[Sequence[Any]], starts: range, size: int
    ) -> Iterator[list[Any]]:
        for start in starts:
            part = [column[start : start + size] for column in columns]
            yield list(chain.from_iterable(zip(*part, strict=True)))


@lru_cache(maxsize=256)
def _repeated(head: str, group: str, rows: int, tail: str) -> str:
    return f"{head}{','.join([group] * rows)}{tail}"


def bulk_insert(
    table: sa.Table,
    columns: Sequence[str],
    dialect: sa.engine.Dialect,
    *,
    update: Mapping[str, str] | None = None,
) -> BulkInsert:
    """Insert into declared columns.

    `update` is for rows whose key is stored already: it names the columns to change, each with the
    name of an update of a dialect. Without it such a row is an error.
    """
    preparer = dialect.identifier_preparer
    names = ", ".join(preparer.quote(name) for name in columns)
    tail = _updating(update, dialect) if update else ""
    return BulkInsert(
        head=f"INSERT INTO {preparer.format_table(table)} ({names}) VALUES ",  # noqa: S608 - declared names, quoted
        group=f"({','.join([_mark(dialect)] * len(columns))})",
        width=len(columns),
        tail=tail,
    )


@dataclass(frozen=True)
class KeyedSelect:
    """Select rows by their keys. Its text is cached: building it takes longer than ten lookups."""

    head: str
    mark: str

    def text(self, keys: int) -> str:
        return _repeated(self.head, self.mark, keys, ")")


def keyed_select(
    key: sa.Column[Any], columns: Sequence[sa.Column[Any]], dialect: sa.engine.Dialect
) -> KeyedSelect:
    """Select declared columns of a table by one of them."""
    preparer = dialect.identifier_preparer
    names = ", ".join(preparer.format_column(column) for column in columns)
    return KeyedSelect(
        f"SELECT {names} FROM {preparer.format_table(key.table)}"  # noqa: S608 - declared names, quoted
        f" WHERE {preparer.format_column(key)} IN (",
        _mark(dialect),
    )


def _mark(dialect: sa.engine.Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"


# The updates that every dialect spells alike.
_COMMON = {"sum": "{0} + {1}", "replace": "{1}"}


def _updating(update: Mapping[str, str], dialect: sa.engine.Dialect) -> str:
    chosen = DIALECTS[dialect.name]
    changes = []
    for column, how in update.items():
        name = dialect.identifier_preparer.quote(column)
        spelling = _COMMON.get(how) or chosen.updates[how]
        changes.append(f"{name} = {spelling.format(name, chosen.new_value.format(name))}")
    return f" {chosen.upsert} " + ", ".join(changes)
