"""Rows as they were sent, newest first: a page of them, or all in a stream."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.query.answer import Meta, Notice, meta, notices
from kscope.query.errors import complain, one_of
from kscope.query.scan import Plan, inside, plan
from kscope.store.encode import histogram_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kscope.declare.model import Category, Column
    from kscope.query.scope import Scope
    from kscope.store.base import Reader

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
_PIECE = 2000
_INT64 = 2**63
_CURSOR = re.compile(r"(?:(-?\d{1,19})\.)?(-?\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Order:
    column: Column
    descending: bool


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
    planned = await plan(reader, question.scope, single_rows=True)
    limit = question.limit or MAX_LIMIT
    found: Sequence[Sequence[Any]] = ()
    if planned.segments:
        found = await reader.fetch(_statement(reader, planned, question).limit(limit + 1))
    shown = found[:limit]
    decode = decoder(question.columns)
    return Rows(
        columns=[column.name for column in question.columns],
        rows=[decode(row) for row in shown],
        next=_next(question, shown) if len(found) > limit else None,
        meta=meta(planned, len(shown)),
        notices=await notices(reader, planned),
    )


async def stream(reader: Reader, question: RowsQuestion) -> AsyncIterator[list[list[Any]]]:
    """Every row, some at a time: the answer's size is no matter.

    By time each piece is a statement of its own, so that neither a slow reader nor the sum of
    many short waits comes to hold a connection or to reach a deadline.
    """
    if question.order.column.name == "time":
        pieces = _pieces(reader, question)
    else:
        pieces = _one_statement(reader, question)
    decode = decoder(question.columns)
    async for piece in pieces:
        yield [decode(row) for row in piece]


async def _pieces(reader: Reader, question: RowsQuestion) -> AsyncIterator[Sequence[Sequence[Any]]]:
    planned = await plan(reader, question.scope, single_rows=True)
    left = question.limit
    while planned.segments and left != 0:
        size = _PIECE if left is None else min(_PIECE, left)
        found = await reader.fetch(_statement(reader, planned, question).limit(size))
        if found:
            yield found
        if len(found) < size:
            return
        left = None if left is None else left - size
        question = replace(question, cursor=_next(question, found))


async def _one_statement(
    reader: Reader, question: RowsQuestion
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    planned = await plan(reader, question.scope, single_rows=True)
    if not planned.segments:
        return
    statement = _statement(reader, planned, question).limit(question.limit)
    piece: list[Sequence[Any]] = []
    async for row in reader.stream(statement):
        piece.append(row)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def decoder(columns: Sequence[Column]) -> Callable[[Sequence[Any]], list[Any]]:
    """Stored values -> JSON's, for rows that begin with these columns."""
    special = {
        i: _DECODE[column.type.storage]
        for i, column in enumerate(columns)
        if column.type.storage in _DECODE
    }
    width = len(columns)

    def decode(row: Sequence[Any]) -> list[Any]:
        values = list(row[:width])
        for i, convert in special.items():
            values[i] = convert(values[i])
        return values

    return decode


def _histogram(stored: str) -> list[int]:
    """Counts by slot, without empty slots at the end."""
    found = histogram_counts(stored)
    return [found.get(slot, 0) for slot in range(max(found, default=-1) + 1)]


_DECODE: dict[Storage, Callable[[Any], Any]] = {
    Storage.BOOLEAN: bool,
    Storage.HISTOGRAM: _histogram,
}


def _statement(reader: Reader, planned: Plan, question: RowsQuestion) -> sa.Select[Any]:
    """The columns as text and numbers, then time and seq for the cursor."""
    (segment,) = planned.segments
    table = segment.table
    joined: sa.FromClause = table
    shown: dict[str, sa.ColumnElement[Any]] = {}
    for column in dict.fromkeys((*question.columns, question.order.column)):
        joined, shown[column.name] = _readable(reader, table, joined, column)
    key = shown[question.order.column.name]
    order = [key, table.c.time, table.c.seq]
    statement = (
        sa.select(
            *(shown[column.name].label(column.name) for column in question.columns),
            table.c.time.label("kscope_time"),
            table.c.seq.label("kscope_seq"),
        )
        .select_from(joined)
        .where(inside(reader, planned, segment))
        .order_by(*(each.desc() if question.order.descending else each.asc() for each in order))
        # Else MySQL may begin with the texts and look through all rows for each.
        .prefix_with("STRAIGHT_JOIN", dialect="mysql")
        .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    )
    return _after(statement, table, question)


def _readable(
    reader: Reader, table: sa.FromClause, joined: sa.FromClause, column: Column
) -> tuple[sa.FromClause, sa.ColumnElement[Any]]:
    stored = table.c[column.name]
    dictionaries = reader.schema.dictionaries
    match column.type.storage:
        case Storage.STRING_ID:
            names = dictionaries.string.alias(f"string_{column.name}")
            return joined.join(names, names.c.id == stored), names.c.text
        case Storage.STACK_ID:
            stacks = dictionaries.stack.alias(f"stack_{column.name}")
            return joined.join(stacks, stacks.c.id == stored), stacks.c.frames
    return joined, stored


def _after(
    statement: sa.Select[Any], table: sa.FromClause, question: RowsQuestion
) -> sa.Select[Any]:
    """By time the page begins behind a row; otherwise so many rows are passed over."""
    if not question.cursor:
        return statement
    time, second = _place(question.cursor)
    if time is None:
        return statement.offset(second)
    here = sa.tuple_(table.c.time, table.c.seq)
    there = sa.tuple_(sa.literal(time), sa.literal(second))
    return statement.where(here < there if question.order.descending else here > there)


def _place(cursor: str) -> tuple[int | None, int]:
    """Split `time.seq`, or a number of rows."""
    found = _CURSOR.fullmatch(cursor)
    time, second = (int(part) if part else None for part in found.groups()) if found else (0, None)
    if second is None or not all(-_INT64 <= part < _INT64 for part in (time or 0, second)):
        raise complain("cursor", "is not one that an answer's 'next' gave")
    return time, abs(second) if time is None else second


def _next(question: RowsQuestion, shown: Sequence[Sequence[Any]]) -> str:
    if question.order.column.name == "time":
        return f"{shown[-1][-2]}.{shown[-1][-1]}"
    return str((_place(question.cursor)[1] if question.cursor else 0) + len(shown))
