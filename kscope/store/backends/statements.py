"""SQLAlchemy statements -> texts and parameters for a driver."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS

# The option of a statement whose aggregates are all of groups: no group is empty.
GROUPS_ALONE = "kscope_groups_alone"
# The option of a statement for which rows with one key need not be merged first.
AS_APPENDED = "kscope_as_appended"


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


@dataclass(frozen=True)
class Repeating:
    """A statement with one `part` for each of its rows or keys.

    The first `alike` parameters are those of all parts.
    """

    head: str
    part: str
    tail: str = ""
    alike: int = 0

    def text(self, count: int) -> str:
        return f"{self.head}{','.join([self.part] * count)}{self.tail}"


def insertion(
    table: sa.Table,
    columns: Collection[str],
    dialect: sa.engine.Dialect,
    update: Mapping[str, str] | None,
    alike: int = 0,
) -> Repeating:
    """Insert rows into declared columns. The first `alike` have one value in all rows: in a dialect
    that counts parameters, it is sent once.

    `update` is for rows whose key is stored already: it names the columns to change, each with the
    name of an update of a dialect. Without it such a row is an error.
    """
    preparer = dialect.identifier_preparer
    names = ", ".join(preparer.quote(name) for name in columns)
    marks = [f"?{number + 1}" for number in range(alike)]
    marks += [_mark(dialect)] * (len(columns) - alike)
    return Repeating(
        f"INSERT INTO {preparer.format_table(table)} ({names}) VALUES ",  # noqa: S608 - declared names, quoted
        f"({','.join(marks)})",
        _updating(update, dialect) if update else "",
        alike,
    )


def selection(
    key: sa.Column[Any], columns: Sequence[sa.Column[Any]], dialect: sa.engine.Dialect
) -> Repeating:
    """Select declared columns of a table by one of them."""
    preparer = dialect.identifier_preparer
    names = ", ".join(preparer.format_column(column) for column in columns)
    return Repeating(
        f"SELECT {names} FROM {preparer.format_table(key.table)}"  # noqa: S608 - declared names, quoted
        f" WHERE {preparer.format_column(key)} IN (",
        _mark(dialect),
        ")",
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
