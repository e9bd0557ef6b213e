"""Everything that the program knows about one SQL dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One SQL dialect: everything that differs from database to database in the text of statements.

    `name` is SQLAlchemy's, `file` that of `sql/generated/FILE.sql`, if it is another.
    """

    name: str
    file: str = ""
    # The spelling of each function of kscope.generate.expressions.Spelled, if it is not the
    # function's own: `{0}`, `{1}`, ... are the arguments.
    functions: Mapping[str, str]
    # How a stored value {0} and a new one {1} become one: "max" is the larger, "total" the sum of
    # whole numbers as by the function `total`, "join" both texts with a comma between them.
    updates: Mapping[str, str] = field(default_factory=dict)
    # The clause of an INSERT for rows whose key is stored already, and the new row's value.
    upsert: str = "ON CONFLICT DO UPDATE SET"
    new_value: str = "excluded.{0}"
    # Types in place of the general ones of kscope.generate.tables, by their names there.
    types: Mapping[str, sa.types.TypeEngine[Any]] = field(default_factory=dict)
    # Options of every table, and of one that is stored in the order of its primary key.
    table_options: Mapping[str, Any] = field(default_factory=dict)
    clustered_options: Mapping[str, Any] = field(default_factory=dict)
    # Statements before the first table.
    preamble: tuple[str, ...] = ()
    # A view is created again with each start: `{0}` is its name.
    create_view: tuple[str, ...] = ("CREATE OR REPLACE VIEW {0}",)
    # Indexes are part of CREATE TABLE, and DROP INDEX names the table.
    indexes_in_table: bool = False
    # Statements that change a table can be rolled back; if not, each one is committed by itself.
    transactional: bool = True
    # The time and seq of a row tell it from every other one.
    seq_is_unique: bool = True
    # A string's number is the hash of its text: servers that share nothing give it the same.
    texts_by_hash: bool = False
    # Makes SQLAlchemy's dialect for DDL; without it the registered one does.
    maker: Callable[[], sa.engine.Dialect] | None = None
    # One statement uses every core: to cut it in two would save nothing.
    reads_in_parallel: bool = False
    # A statement keeps other connections off a table.
    locks_tables: bool = True
    # A subquery may name columns of the statement around it.
    correlates: bool = True
    # Rows are stored by column: those of a page are found by their times, and texts by their ids.
    columnar: bool = False
    # The engine sorts what it groups; others keep the groups in a table of hashes.
    sorts_groups: bool = False
    # The default of a column: `{0}` is the literal.
    default: str = "{0}"

    def sqlalchemy(self) -> sa.engine.Dialect:
        """Return SQLAlchemy's dialect, which renders statements."""
        if self.maker is not None:
            return self.maker()
        # "named": the styles that count with % would double every % of a literal.
        return sa.dialects.registry.load(self.name)(paramstyle="named")  # type: ignore[no-any-return]
