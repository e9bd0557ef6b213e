"""The use of a table, for engines whose tables need more than columns and keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage

_INFO = "kscope"


class Use(StrEnum):
    """The content of a table."""

    ROWS = "rows"
    SUMS = "sums"
    TEXTS = "texts"
    BATCHES = "batches"
    # Rows that replace the one before with the same key.
    NOTES = "notes"
    # Rows whose numbers only rise.
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Layout:
    """The use of a table; of rows and sums also the columns to sort by, and of sums the bucket."""

    use: Use
    sorted_by: tuple[str, ...] = ()
    bucket: int = 0


def described(table: sa.Table, layout: Layout, columns: Iterable[Column] = ()) -> sa.Table:
    """Note the layout of a table, and the storage of its columns that a category declares."""
    table.info[_INFO] = layout
    for column in columns:
        if column.name in table.c:
            table.c[column.name].info[_INFO] = column.type.storage
    return table


def layout_of(table: sa.Table) -> Layout:
    found: Layout = table.info[_INFO]
    return found


def storage_of(column: sa.Column[object]) -> Storage | None:
    """Return the storage of a declared column; None for one of the store itself."""
    return column.info.get(_INFO)


def sorting(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the columns that bring like rows together: names first, then stacks, then numbers."""
    ranks = {Storage.STRING_ID: 0, Storage.STACK_ID: 1, Storage.INTEGER: 2}
    kept = [
        (ranks[each.type.storage], place, each.name)
        for place, each in enumerate(columns)
        if each.type.role in (Role.DIMENSION, Role.STACK, Role.IDENTITY)
        and each.type.storage in ranks
        and not each.nullable
    ]
    return tuple(name for _, _, name in sorted(kept))
