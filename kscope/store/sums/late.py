"""Late rows: they arrive after their bucket was closed, and are added to its sums immediately.

The sums of a closed bucket have a `seq` from 0 on. Late rows of a group are added to one more sum,
whose `seq` is below 0 and the same for each batch and server: a hash of the group.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Category
from kscope.declare.types.base import Storage
from kscope.generate.tables import ROLLUP_ROWS
from kscope.store.backends.base import Session
from kscope.store.sums.grouping import (
    Columns,
    histogram_columns,
    key_columns,
    summed_names,
    summed_text,
    transposed,
    value_columns,
)

# Characters of a histogram that many batches were added to; one with all slots may have as many.
LONG_TEXT = 1500
_KEYS_PER_STATEMENT = 500


async def add_late(session: Session, category: Category, table: sa.Table, sums: Columns) -> None:
    """Add sums of late rows, one per time and group, to a table of sums."""
    groups = zip(*(sums[column.name] for column in key_columns(category)), strict=True)
    seqs = [group_seq(group) for group in groups]
    names = ["time", "seq", *summed_names(category)]
    columns = {**sums, "seq": seqs}
    # In one order, so that two servers do not wait for each other.
    rows = sorted(zip(*(columns[name] for name in names), strict=True))
    update = {
        column.name: "sum" if column.type.storage is Storage.REAL else "total"
        for column in value_columns(category)
    }
    joined = [column.name for column in histogram_columns(category)]
    update |= {ROLLUP_ROWS: "total", **dict.fromkeys(joined, "join")}
    await session.insert(table, transposed(names, rows), update)
    if joined:
        await _shorten(session, table, names, joined, [row[:2] for row in rows])


def group_seq(group: tuple[Any, ...]) -> int:
    """Return the `seq` of a group's late sums: 63 bits of a hash of its stored keys, below 0."""
    digest = blake2b(repr(group).encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


async def _shorten(
    session: Session,
    table: sa.Table,
    names: Sequence[str],
    histograms: Sequence[str],
    keys: Sequence[tuple[int, int]],
) -> None:
    """Add up the slots of histograms that became long; this transaction holds their locks."""
    is_long = sa.or_(*(sa.func.length(table.c[name]) > LONG_TEXT for name in histograms))
    key = sa.tuple_(table.c.time, table.c.seq)
    select = sa.select(*(table.c[name] for name in names)).where(is_long)
    update = dict.fromkeys(histograms, "replace")
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        part = keys[start : start + _KEYS_PER_STATEMENT]
        if rows := await session.fetch(select.where(key.in_(part)).order_by(*key.clauses)):
            columns = transposed(names, [tuple(row) for row in rows])
            for name in histograms:
                columns[name] = list(map(summed_text, columns[name]))
            await session.insert(table, columns, update)
