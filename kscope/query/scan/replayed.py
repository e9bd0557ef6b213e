"""Rows that an agent replayed from a recording: an answer that has some says so."""

import sqlalchemy as sa

from kscope.query.sql.expressions import position
from kscope.store.reader import Reader

# A replaying agent puts this before its host's name.
RECORDED = "recording:"


async def replayed_hosts(reader: Reader) -> tuple[int, ...]:
    """Return the ids of all hosts that ever replayed a recording."""
    strings = reader.schema.dictionaries.string
    starts = position(strings.c.text, sa.literal(RECORDED)) == 1
    found = await reader.fetch(sa.select(strings.c.id).where(starts))
    return tuple(int(key) for (key,) in found)
