"""Recorded data: rows that an agent replayed, which an answer must not pass off as measured now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kscope.query.sql.expressions import position

if TYPE_CHECKING:
    from kscope.store.reader import Reader

# A replaying agent puts this before its host's name.
RECORDED = "recording:"


@dataclass(slots=True)
class Replayed:
    """`hosts` are the ids of all that ever replayed; `seen` once a row of theirs was read."""

    hosts: tuple[int, ...] = ()
    seen: bool = False


async def replayed(reader: Reader) -> Replayed:
    strings = reader.schema.dictionaries.string
    begins = position(strings.c.text, sa.literal(RECORDED)) == 1
    found = await reader.fetch(sa.select(strings.c.id).where(begins))
    return Replayed(tuple(int(key) for (key,) in found))
