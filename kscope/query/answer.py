"""What every answer carries beside its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from kscope.query.expressions import position
from kscope.query.filters import conditions
from kscope.query.scan import inside

if TYPE_CHECKING:
    from kscope.query.scan import Plan
    from kscope.store.base import Reader

# A replaying agent puts this before its host's name.
RECORDED = "recording:"
WHOLE_ROWS = (
    "A row sums many events: rows with any of the chosen sizes are counted whole, with what else"
    " they sum."
)


class Meta(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """`start` and `end` in microseconds; `rows` is how many raw rows are in the answer."""

    start: int
    end: int
    source: str
    rows: int
    elapsed_ms: float


class Notice(msgspec.Struct, frozen=True):
    level: str
    text: str


def meta(plan: Plan, rows: int) -> Meta:
    return Meta(plan.range.start, plan.range.end, plan.source, rows, plan.elapsed_ms)


async def notices(reader: Reader, plan: Plan) -> list[Notice]:
    """What the reader of an answer must know before believing it."""
    told = [Notice("warning", text) for text in plan.notices]
    if await _recorded(reader, plan):
        text = f"Recorded data: hosts named {RECORDED}… were replayed, not measured now."
        told.append(Notice("info", text))
    if any(each.operator == "holds" for each in conditions(plan.where)):
        told.append(Notice("info", WHOLE_ROWS))
    return told


async def _recorded(reader: Reader, plan: Plan) -> bool:
    strings = reader.schema.dictionaries.string
    recorded = sa.select(strings.c.id).where(position(strings.c.text, sa.literal(RECORDED)) == 1)
    if not await reader.fetch(recorded.limit(1)):
        return False
    for segment in plan.segments:
        hosts = segment.table.c.hostname.in_(recorded)
        statement = sa.select(sa.literal(1)).where(inside(reader, plan, segment), hosts).limit(1)
        if await reader.fetch(statement):
            return True
    return False
