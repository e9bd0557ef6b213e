"""The part of every answer that describes its data."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from kscope.declare.types.base import Role
from kscope.query.scan.scan import RECORDED, Hidden, Scan
from kscope.query.sql.conditions import conditions

WHOLE_ROWS = (
    "A row sums many events: rows with any of the chosen sizes are counted whole, with what else"
    " they sum."
)


Number = int | float


class Meta(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """`start` and `end` in microseconds; `rows` is how many raw rows are in the answer.

    `hidden` is what each preset leaves out; flame graphs, time series, rankings and comparisons
    tell it.
    """

    start: int
    end: int
    source: str
    rows: int
    elapsed_ms: float
    hidden: list[Hidden]
    # Shards of a cluster that did not answer: the rows of their hosts are not in the answer.
    missing: list[str] = []


def of_missing(missing: Sequence[str]) -> "list[Notice]":
    """Return the warning about shards whose rows are not in an answer."""
    if not missing:
        return []
    verb = "does" if len(missing) == 1 else "do"
    named = " and ".join(missing)
    return [Notice("warning", f"{named} {verb} not answer: the rows of its hosts are missing here")]


class Notice(msgspec.Struct, frozen=True):
    level: Literal["info", "warning"]
    text: str


def meta(scan: Scan, rows: int) -> Meta:
    plan = scan.plan
    missing = scan.reader.missing()
    return Meta(plan.start, plan.stop, plan.source, rows, scan.elapsed_ms, scan.hidden, missing)


def notices(scan: Scan) -> list[Notice]:
    """Return the warnings about an answer; its rows must have been read."""
    told = [Notice("warning", text) for text in scan.plan.notices]
    if scan.saw_replayed:
        text = f"Recorded data: hosts named {RECORDED}… were replayed, not measured now."
        told.append(Notice("info", text))
    if any(each.column.type.role is Role.HISTOGRAM for each in conditions(scan.where)):
        told.append(Notice("info", WHOLE_ROWS))
    return told
