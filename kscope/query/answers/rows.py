"""Rows as they were sent, newest first: a page of them, or all in a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.declare.types.base import Storage
from kscope.query.answers.meta import Meta, Notice, meta, notices
from kscope.query.parse.errors import complain, one_of
from kscope.query.scan.paging import Order, Page, cursor, last
from kscope.query.scan.plan import Scan, scan_of
from kscope.query.scan.release import consumed
from kscope.query.scan.replayed import RECORDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kscope.declare.model import Category, Column
    from kscope.query.parse.scope import Scope
    from kscope.store.reader import Reader

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class RowsQuestion:
    """`limit` None: all of them. `cursor` is where the page before this one ended."""

    scope: Scope
    columns: tuple[Column, ...]
    order: Order
    limit: int | None = DEFAULT_LIMIT
    cursor: str = ""


class Rows(msgspec.Struct, frozen=True):
    """`next` is the cursor of the page after this one, None on the last."""

    columns: list[str]
    rows: list[list[Any]]
    next: str | None
    meta: Meta
    notices: list[Notice]


def order_of(category: Category, text: str) -> Order:
    """`elapsed` from the smallest, `-elapsed` from the largest."""
    sortable = {c.name: c for c in category.all_columns if c.type.storage is not Storage.HISTOGRAM}
    name = text.removeprefix("-")
    if name not in sortable:
        raise complain("order", one_of("column to order by", name, sortable))
    return Order(sortable[name], text.startswith("-"))


async def rows(reader: Reader, question: RowsQuestion) -> Rows:
    """One page, with whatever is needed to ask for the next."""
    scan = await scan_of(reader, question.scope, single_rows=True)
    limit = question.limit or MAX_LIMIT
    found: Sequence[Sequence[Any]] = ()
    if scan.segments:
        page = Page(scan, question.columns, question.order)
        place = await page.place(question.cursor)
        found = await reader.fetch(page.after(place).limit(limit + 1))
    more = cursor(question.order.column, last(found[:limit])) if len(found) > limit else None
    listed = await consumed(lambda found: _listed(found[:limit], question), found)
    _note_replayed(scan, question, listed)
    return Rows(
        columns=[column.name for column in question.columns],
        rows=listed,
        next=more,
        meta=meta(scan, len(listed)),
        notices=notices(scan),
    )


def _listed(shown: Sequence[Sequence[Any]], question: RowsQuestion) -> list[list[Any]]:
    decode = decoder(question.columns)
    return [decode(row) for row in shown]


def _note_replayed(scan: Scan, question: RowsQuestion, shown: list[list[Any]]) -> None:
    names = [column.name for column in question.columns]
    if "hostname" in names:
        host = names.index("hostname")
        scan.saw_replayed = any(str(row[host]).startswith(RECORDED) for row in shown)


async def stream(reader: Reader, question: RowsQuestion) -> AsyncIterator[list[list[Any]]]:
    """Every row, some at a time: the answer's size is no matter.

    Each piece is a statement of its own, so that neither a slow reader nor the sum of many short
    waits comes to hold a connection or to reach a deadline.
    """
    scan = await scan_of(reader, question.scope, single_rows=True)
    if not scan.segments:
        return
    page = Page(scan, question.columns, question.order)
    place = await page.place(question.cursor)
    decode = decoder(question.columns)
    pieces = page.pieces if question.order.column.name == "time" else page.sorted_pieces
    async for piece in pieces(place, question.limit):
        yield [decode(row) for row in piece]


def decoder(columns: Sequence[Column]) -> Callable[[Sequence[Any]], list[Any]]:
    """Stored values -> JSON's, for rows that begin with these columns."""
    special = {i: column.type.decode for i, column in enumerate(columns) if column.type.decode}
    width = len(columns)

    def decode(row: Sequence[Any]) -> list[Any]:
        values = list(row[:width])
        for i, convert in special.items():
            values[i] = convert(values[i])
        return values

    return decode
