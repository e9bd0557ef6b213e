"""Late rows: they arrive after their bucket was closed, and are added to its sums immediately.

The sums of a closed bucket have a `seq` from 0 on. Late rows of a group are added to one more sum,
whose `seq` is below 0 and the same for each batch and server: a hash of the group.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Category
from kscope.store.backends.base import Session
from kscope.store.sums.grouping import Sums, summed_names, summed_text, updates

# Characters of a histogram that many batches were added to; one with all slots may have as many.
LONG_TEXT = 1500
_KEYS_PER_STATEMENT = 500


async def add_late(session: Session, category: Category, table: sa.Table, sums: Sums) -> None:
    """Add sums of late rows, one per time and group, to a table of sums."""
    # In one order, so that two servers do not wait for each other.
    rows = sorted((time, group_seq(key), *key, *each) for (time, *key), each in sums.items())
    update = updates(category)
    names = ("time", "seq", *summed_names(category))
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    await session.insert(table, columns, update)
    if joined := [name for name, how in update.items() if how == "join"]:
        await _shorten(session, table, joined, [row[:2] for row in rows])


def group_seq(group: Sequence[Any]) -> int:
    """Return the `seq` of a group's late sums: 63 bits of a hash of its stored keys, below 0."""
    digest = blake2b(repr(tuple(group)).encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


async def _shorten(
    session: Session, table: sa.Table, names: Sequence[str], keys: Sequence[tuple[int, int]]
) -> None:
    """Add up the slots of histograms that became long; this transaction holds their locks."""
    texts = [table.c[name] for name in names]
    is_long = sa.or_(*(sa.func.length(text) > LONG_TEXT for text in texts))
    key = sa.tuple_(table.c.time, table.c.seq)
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        among = key.in_(keys[start : start + _KEYS_PER_STATEMENT])
        for *found, time, seq in await session.fetch(
            sa.select(*texts, *key.clauses).where(is_long, among)
        ):
            short = dict(zip(names, map(summed_text, found), strict=True))
            one = sa.update(table).where(table.c.time == time, table.c.seq == seq)
            await session.execute(one.values(short))
