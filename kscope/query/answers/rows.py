"""Rows as they were sent, newest first: a page of them, or all in a stream."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Storage
from kscope.query.answers.meta import Meta, Notice, meta, notices
from kscope.query.answers.question import BASE, JsonAnswer, Question, Table
from kscope.query.parse import parameters as p
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.parameters import Asked
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import iso
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.labels import shown_texts
from kscope.query.scan.paging import Order, cursor
from kscope.query.scan.scan import RECORDED, scan_of
from kscope.query.scan.table_pages import Pages
from kscope.store.reader import Reader

MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class RowsQuestion:
    """`limit` None: all of them. `cursor` is where the page before this one ended."""

    scope: Scope
    columns: tuple[Column, ...]
    order: Order
    limit: int | None
    cursor: str = ""


class Rows(JsonAnswer, frozen=True):
    """`next` is the address of the page after this one, None on the last."""

    columns: list[str]
    rows: list[list[Any]]
    next: str | None
    meta: Meta
    notices: list[Notice]

    def as_table(self) -> Table:
        return Table(self.columns, ([iso(time), *others] for time, *others in self.rows))


def _question(asked: Asked) -> RowsQuestion:
    order = _order(asked.category, asked["order"])
    limit = asked["limit"] if "limit" in asked.given else None
    return RowsQuestion(asked.scope, asked.category.all_columns, order, limit, asked["cursor"])


def _order(category: Category, text: str) -> Order:
    """`elapsed` from the smallest, `-elapsed` from the largest."""
    sortable = {c.name: c for c in category.all_columns if c.type.storage is not Storage.HISTOGRAM}
    name = text.removeprefix("-")
    if name not in sortable:
        raise complain("order", one_of("column to order by", name, sortable))
    return Order(sortable[name], text.startswith("-"))


async def rows(reader: Reader, asked: Asked) -> Rows:
    """Return one page, and the address of the next."""
    question, limit = _question(asked), asked["limit"]
    if limit > MAX_LIMIT:
        raise complain("limit", f"at most {MAX_LIMIT}, or format=csv or format=ndjson for more")
    scan = await scan_of(reader, question.scope, single_rows=True)
    found: Sequence[Sequence[Any]] = ()
    more = None
    if scan.segments:
        pages = Pages.of(scan, question.columns, question.order)
        found, end = await pages.read(await pages.place(question.cursor), limit)
        more = cursor(question.order.column, end) if end else None
    listed = await consumed(lambda found: _decoded(found, question.columns), found)
    await _name_frames(reader, listed, question.columns)
    names = [column.name for column in question.columns]
    host = names.index("hostname")
    scan.saw_replayed = any(str(row[host]).startswith(RECORDED) for row in listed)
    return Rows(
        columns=names,
        rows=listed,
        next=more and f"{BASE}/rows/{asked.category.table}?{asked.again(cursor=more)}",
        meta=meta(scan, len(listed)),
        notices=notices(scan),
    )


def _pieces(reader: Reader, asked: Asked) -> AsyncIterator[list[list[Any]]]:
    """Yield all rows, with their times as ISO 8601; without a `limit` there is none."""
    return stream(reader, _question(asked), iso)


async def stream(
    reader: Reader, question: RowsQuestion, written: Callable[[int], str]
) -> AsyncIterator[list[list[Any]]]:
    """Yield all rows in pieces, with their times written: an answer may have any size.

    Each piece is a separate statement, so that a slow client holds no connection and does not
    reach the deadline.
    """
    scan = await scan_of(reader, question.scope, single_rows=True)
    if not scan.segments:
        return
    pages = Pages.of(scan, question.columns, question.order)
    place = await pages.place(question.cursor)
    async for piece in pages.pieces(place, question.limit):
        listed = _decoded(piece, question.columns, written)
        await _name_frames(reader, listed, question.columns)
        yield listed


async def _name_frames(reader: Reader, rows: list[list[Any]], columns: Sequence[Column]) -> None:
    """Replace stored stacks by the stacks as they are shown."""
    for place, column in enumerate(columns):
        if column.type.storage is Storage.STACK_ID:
            stored = {number: row[place] for number, row in enumerate(rows)}
            for number, text in (await shown_texts(reader, stored)).items():
                rows[number][place] = text


def _decoded(
    rows: Sequence[Sequence[Any]],
    columns: Sequence[Column],
    written: Callable[[int], str] | None = None,
) -> list[list[Any]]:
    """Stored values -> JSON's, for rows that begin with these columns; times may be written."""
    values = [list(row[: len(columns)]) for row in rows]
    for place, column in enumerate(columns):
        decode = written if column.type.storage is Storage.TIME else column.type.decode
        if decode is None:
            continue
        for row in values:
            row[place] = None if row[place] is None else decode(row[place])
    return values


_LIMIT = p.Parameter(
    "limit",
    f"how many rows at most, {MAX_LIMIT} in JSON; CSV and NDJSON have all by default",
    "100",
    least=1,
    most=10**12,
)
_ORDER = p.Parameter(
    "order", "a column, smallest first; with `-` before it, largest first", "-time"
)
_CURSOR = p.Parameter("cursor", "the page after another one: from that answer's `next`")
QUESTIONS = (
    Question(
        name="rows",
        help="Rows as they were sent, newest first.",
        parameters=(_LIMIT, _ORDER, _CURSOR),
        ask=rows,
        answer=Rows,
        pieces=_pieces,
    ),
)
