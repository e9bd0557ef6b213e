"""Rows as they were sent, newest first: a page of them, or all in a stream."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, TIME, Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.meta import Meta, Notice, meta, notices
from kscope.query.answers.question import BASE, JsonAnswer, Question, Table
from kscope.query.parse import parameters as p
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.filters import condition
from kscope.query.parse.parameters import Asked
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import SECOND, TimeRange
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.labels import shown_texts
from kscope.query.scan.paging import Order, Place, cursor
from kscope.query.scan.scan import RECORDED, Scan, scan_of
from kscope.query.scan.table_pages import Pages, Placed
from kscope.query.sql.conditions import Group
from kscope.store.reader import Reader

MAX_LIMIT = 10_000
_ID = re.compile(r"(-?\d{1,18})\.(\d{1,3})\.(\d{1,18})", re.ASCII)
# How far neighbours are looked for, in microseconds.
_NEAR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class RowsQuestion:
    """`limit` None: all of them. `cursor` is where the page before this one ended."""

    scope: Scope
    columns: tuple[Column, ...]
    order: Order
    limit: int | None
    cursor: str = ""


class Rows(JsonAnswer, frozen=True):
    """`ids` name each row for the parameter `row`; `at` is the place of the row that it asked for.

    `next` is the address of the page after this one, None on the last.
    """

    columns: list[str]
    rows: list[list[Any]]
    ids: list[str]
    at: int | None
    next: str | None
    meta: Meta
    notices: list[Notice]

    def as_table(self) -> Table:
        return Table(self.columns, self.rows, kinds={TIME.name: Storage.TIME})


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
    """Return one page, and the address of the next; or one row and its neighbours."""
    question, limit = _question(asked), asked["limit"]
    if asked["row"]:
        return await _around(reader, asked, question.columns)
    if limit > MAX_LIMIT:
        raise complain("limit", f"at most {MAX_LIMIT}, or format=csv or format=ndjson for more")
    scan = await scan_of(reader, question.scope, single_rows=True)
    found: list[Placed] = []
    more = None
    if scan.segments:
        pages = Pages.of(scan, question.columns, question.order)
        found, end = await pages.read(await pages.place(question.cursor), limit)
        more = cursor(question.order.column, end) if end else None
    following = more and f"{BASE}/rows/{asked.category.table}?{asked.again(cursor=more)}"
    return await _answer(scan, question.columns, found, following)


async def _answer(
    scan: Scan,
    columns: Sequence[Column],
    found: list[Placed],
    following: str | None = None,
    at: int | None = None,
) -> Rows:
    ids = [row_id(place) for place, _ in found]
    listed = await consumed(lambda found: _decoded([row for _, row in found], columns), found)
    await _name_frames(scan.reader, listed, columns)
    names = [column.name for column in columns]
    host = names.index("hostname")
    scan.saw_replayed = any(str(row[host]).startswith(RECORDED) for row in listed)
    return Rows(
        columns=names,
        rows=listed,
        ids=ids,
        at=at,
        next=following,
        meta=meta(scan, len(listed)),
        notices=notices(scan),
    )


async def _around(reader: Reader, asked: Asked, columns: tuple[Column, ...]) -> Rows:
    """Return the row that is asked for, and the nearest rows in time of its host and process.

    Filters and range do not hold for them. The newest comes first.
    """
    place, newest = read_id(asked["row"]), Order(TIME, descending=True)
    category, moment = asked.category, TimeRange(place.time, place.time + 1)
    found: list[Placed] = []
    # The row comes directly behind the place before it.
    before = replace(place, seq=place.seq + 1)
    scan = await scan_of(reader, Scope(category, moment), single_rows=True)
    if scan.segments and place.table < len(scan.segments):
        found, _ = await Pages.of(scan, columns, newest).read(before, 1)
    if not found or found[0][0] != place:
        raise complain("row", "there is no such row; retention may have removed it")
    names = [column.name for column in columns]
    alike = [HOSTNAME, *filter(None, [_neighbourly(category)])]
    row = dict(zip(names, found[0][1], strict=False))
    where = [condition(category, "row", each, "eq", row[each.name]) for each in alike]
    near = TimeRange(place.time - _NEAR, place.time + _NEAR)
    scan = await scan_of(reader, Scope(category, near, Group(tuple(where))), single_rows=True)
    earlier, later = [
        (await Pages.of(scan, columns, order).read(place, asked["around"]))[0]
        for order in (newest, Order(TIME, descending=False))
    ]
    return await _answer(scan, columns, [*later[::-1], *found, *earlier], at=len(later))


def _neighbourly(category: Category) -> Column | None:
    """Return the column whose value neighbours share: the process, or what charts group by."""
    charts = (asked_by(category, kind) for kind in ("flamegraph", "timeseries"))
    named = next((category.column(chart.by) for chart in charts if chart and chart.by), None)
    fits = named and named.type.role is Role.DIMENSION
    return named if fits and named != HOSTNAME else grouping(category.columns)


def row_id(place: Place) -> str:
    """Return the name of a row, from its place in time."""
    return f"{place.time}.{place.table}.{place.seq}"


def read_id(given: str) -> Place:
    """Read the name of a row. Raise QueryError."""
    found = _ID.fullmatch(given)
    if not found:
        raise complain("row", f"{given[:80]!r} is not a row of this API: use one of its `ids`")
    time, table, seq = map(int, found.groups())
    return Place(time, time, table, seq)


def _pieces(reader: Reader, asked: Asked) -> AsyncIterator[list[list[Any]]]:
    """Yield all rows, with their times in microseconds; without a `limit` there is none."""
    return stream(reader, _question(asked))


async def stream(
    reader: Reader, question: RowsQuestion, written: Callable[[int], str] | None = None
) -> AsyncIterator[list[list[Any]]]:
    """Yield all rows in pieces: an answer may have any size. Times may be written.

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


_ROW = p.Parameter(
    "row",
    "one row, from an earlier answer's `ids`, with its neighbours of the same host and process",
)
_AROUND = p.Parameter("around", "how many neighbours on each side", "5", least=0, most=100)
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
        parameters=(_LIMIT, _ORDER, _CURSOR, _ROW, _AROUND),
        ask=rows,
        answer=Rows,
        pieces=_pieces,
    ),
)
