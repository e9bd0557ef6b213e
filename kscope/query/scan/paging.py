"""Rows in an order, page by page: each page begins behind the last row of the one before it.

No page counts the rows before it and none holds a connection until the next is asked for. By time
the rows lie in order, and a page is one stretch of them. By another column the database looks
through the range for each page and keeps no more than the page: so that this is not done too often,
a page is first one of places (the column's value, time, seq), whose rows are then read some at a
time.
"""

import base64
import binascii
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import Meta

from kscope.declare.model import Column
from kscope.declare.types.base import INT64_MAX, Storage
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import texts_of
from kscope.query.parse.errors import QueryError, complain
from kscope.query.parse.operands import INT64, text
from kscope.query.scan.labels import texts_by_id
from kscope.query.scan.parallel import together
from kscope.query.scan.scan import Scan
from kscope.query.sql.expressions import as_text, exact, ids, pairs
from kscope.store.schema.interning import text_hash

Piece = Sequence[Sequence[Any]]

_PIECE = 2000
_PLACES = 20_000
_Whole = Annotated[int, Meta(ge=-INT64, le=INT64_MAX)]
_Table = Annotated[int, Meta(ge=0, lt=100)]
# The type of a key in a cursor, if it is not a whole number.
_KEYS: Mapping[Storage, type] = MappingProxyType({Storage.TEXT: str, Storage.REAL: float})
_TEXTS = (Storage.STRING_ID, Storage.STACK_ID, Storage.TEXT)


@dataclass(frozen=True, slots=True)
class Order:
    column: Column
    descending: bool


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A row's place in the order: its key, then the time, table and seq that tell equal keys apart.

    `table` numbers the tables of a union.
    """

    key: Any
    time: int
    table: int
    seq: int


def last(rows: Piece, table: int = 0) -> Place:
    """Where the last row stands: each ends in its place."""
    return place_of(rows[-1], table)


def place_of(row: Sequence[Any], table: int) -> Place:
    key, time, seq = row[-3:]
    return Place(as_text(key), time, table, seq)


def cursor(column: Column, place: Place) -> str:
    """Write a place for an address: of a long text that is stored once, its hash will do."""
    interned = column.type.storage in (Storage.STRING_ID, Storage.STACK_ID)
    key = text_hash(place.key) if interned else place.key
    written = msgspec.json.encode([key, place.time, place.seq, place.table])
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


@dataclass(slots=True)
class Page:
    """Pages of a scan's rows of one table; a row has the columns, then its place.

    `table` is its number in a union.
    """

    scan: Scan
    columns: Sequence[Column]
    order: Order
    table: int = 0

    async def pieces(self, place: Place | None, limit: int | None) -> AsyncIterator[Piece]:
        """Yield the rows behind a place, in order and some at a time; None is no limit."""
        in_time = self.order.column.name == "time"
        most, columns = (_PIECE, self.columns) if in_time else (_PLACES, ())
        left = math.inf if limit is None else limit
        while left > 0:
            size = int(min(most, left))
            found = await self.first(place, columns, size)
            for start in range(0, len(found), _PIECE):
                piece = found[start : start + _PIECE]
                yield piece if in_time else await self.rows_at([(t, seq) for _, t, seq in piece])
            if len(found) < size:
                return
            left -= size
            place = last(found, self.table)

    async def first(self, place: Place | None, columns: Sequence[Column], limit: int) -> Piece:
        """Return columns and places of the first rows behind a place, in order."""
        statement = self._behind(place, columns)
        if self._columnar and self._is_by_number:
            statement = statement.where(self._nearest(place, limit))
        rows = await self.scan.reader.fetch(statement.limit(limit))
        return await self._with_texts(rows, columns)

    def _nearest(self, place: Place | None, limit: int) -> sa.ColumnElement[bool]:
        """Return a bound in the order of the next rows: only theirs are the other columns read."""
        (segment,) = self.scan.segments
        key, descending = segment.table.c[self.order.column.name], self.order.descending
        statement = sa.select(key.label("place")).where(self.scan.inside(segment))
        if place is not None:
            # Those that have the place's own number are within any bound.
            later = key < place.key if descending else key > place.key
            statement = statement.where(later)
        next_ones = statement.order_by(key.desc() if descending else key.asc()).limit(limit)
        places = next_ones.subquery().c.place
        furthest = sa.func.min(places) if descending else sa.func.max(places)
        bound: sa.ColumnElement[Any] = sa.select(furthest).scalar_subquery()
        if place is not None:
            # If none is later, rows with the place's own number may still be behind it.
            own = sa.literal(place.key)
            either = sa.func.coalesce(bound, own)
            bound = sa.func.least(either, own) if descending else sa.func.greatest(either, own)
        return key >= bound if descending else key <= bound

    async def _with_texts(self, rows: Piece, columns: Sequence[Column]) -> Piece:
        """Put texts in place of ids that were not joined with theirs."""
        apart = [place for place, column in enumerate(columns) if self._is_apart(column)]
        if not apart or not rows:
            return rows
        dictionaries = self.scan.reader.schema.dictionaries
        table = [list(column) for column in zip(*rows, strict=True)]
        kept = [texts_of(columns[place], dictionaries) for place in apart]
        parts = (
            texts_by_id(self.scan.reader, each.key, each.text, {*table[place]})
            for place, each in zip(apart, kept, strict=True)
            if each is not None
        )
        for place, texts in zip(apart, await together(*parts), strict=True):
            table[place] = list(map(texts.__getitem__, table[place]))
        return list(zip(*table, strict=True))

    @property
    def _columnar(self) -> bool:
        return DIALECTS[self.scan.reader.dialect].columnar

    @property
    def _is_by_number(self) -> bool:
        column = self.order.column
        is_number = column.type.storage in (Storage.INTEGER, Storage.TIME)
        return is_number and not column.nullable

    def _is_apart(self, column: Column) -> bool:
        """Return whether a column's texts are looked up, once the rows are known."""
        interned = column.type.storage in (Storage.STRING_ID, Storage.STACK_ID)
        return self._columnar and interned and column != self.order.column

    def _behind(self, place: Place | None, columns: Sequence[Column]) -> sa.Select[Any]:
        """Select columns and places of the rows behind a place, in order."""
        (segment,) = self.scan.segments
        statement, key = self._select(columns)
        statement = statement.where(self.scan.inside(segment))
        here = self._position(key, segment.table.c.time, segment.table.c.seq)
        descending = self.order.descending
        if place is not None:
            numbers = sa.literal(place.time), sa.literal(place.seq)
            there = self._position(self._key(sa.literal(place.key)), *numbers)
            statement = statement.where(self._comes_after(place, here, there))
        return statement.order_by(*(each.desc() if descending else each.asc() for each in here))

    def _comes_after(
        self,
        place: Place,
        here: tuple[sa.ColumnElement[Any], ...],
        there: tuple[sa.ColumnElement[Any], ...],
    ) -> sa.ColumnElement[bool]:
        """Compare with a place that may be of another table, whose rows come in a fixed order."""
        row, mark = here, there
        if place.table != self.table:
            row, mark = here[:-1], there[:-1]
        before, after = (row, mark) if self.order.descending else (mark, row)
        first, second = sa.tuple_(*before), sa.tuple_(*after)
        later = self.table < place.table if self.order.descending else self.table > place.table
        return first <= second if later else first < second

    def _position(
        self, key: sa.ColumnElement[Any], *numbers: sa.ColumnElement[Any]
    ) -> tuple[sa.ColumnElement[Any], ...]:
        return numbers if self.order.column.name == "time" else (key, *numbers)

    async def rows_at(self, keys: Sequence[tuple[int, int]]) -> Piece:
        """Return the rows of these (time, seq), in their order."""
        listed = pairs(keys)
        table = self._table
        here = sa.and_(table.c.time == listed.c.first, table.c.seq == listed.c.second)
        start = table.join(listed, here) if self._columnar else listed.join(table, here)
        statement, _ = self._select(self.columns, start)
        if self._columnar:
            statement = statement.where(ids(table.c.time, sorted({time for time, _ in keys})))
        rows = await self._with_texts(await self.scan.reader.fetch(statement), self.columns)
        found = {(row[-2], row[-1]): row for row in rows}
        # Retention may have removed one in the meantime.
        return [found[key] for key in keys if key in found]

    @property
    def _table(self) -> sa.FromClause:
        (segment,) = self.scan.segments
        return segment.table

    def _select(
        self, columns: Iterable[Column], start: sa.FromClause | None = None
    ) -> tuple[sa.Select[Any], sa.ColumnElement[Any]]:
        """The columns as text and numbers, then the place; and what they are ordered by."""
        table = self._table
        joined = table if start is None else start
        shown: dict[str, sa.ColumnElement[Any]] = {}
        for column in dict.fromkeys((*columns, self.order.column)):
            joined, shown[column.name] = self._readable(joined, column)
        key = self._key(shown[self.order.column.name])
        statement = (
            sa.select(
                *(shown[column.name].label(column.name) for column in columns),
                key.label("kscope_key"),
                table.c.time.label("kscope_time"),
                table.c.seq.label("kscope_seq"),
            )
            .select_from(joined)
            # Else MySQL may begin with the texts and look through all rows for each.
            .prefix_with("STRAIGHT_JOIN", dialect="mysql")
            .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
        )
        return statement, key

    def _key(self, shown: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """By their bytes: MySQL would take no notice of spaces at the end of texts."""
        column = self.order.column
        if column.nullable:
            # Rows without a time come before all others, in one order in every database.
            return sa.func.coalesce(shown, sa.literal_column(str(-INT64_MAX)))
        return exact(shown) if column.type.storage in _TEXTS else shown

    def _readable(
        self, joined: sa.FromClause, column: Column
    ) -> tuple[sa.FromClause, sa.ColumnElement[Any]]:
        stored = self._table.c[column.name]
        texts = texts_of(column, self.scan.reader.schema.dictionaries)
        if texts is None or self._is_apart(column):
            return joined, stored
        return joined.join(texts.table, texts.key == stored), texts.text

    async def place(self, given: str) -> Place | None:
        """Read a cursor; QueryError where it is not one of this order."""
        if not given:
            return None
        dictionaries = self.scan.reader.schema.dictionaries
        storage = self.order.column.type.storage
        key, time, seq, table = _decoded(given, _KEYS.get(storage, _Whole))
        match storage:
            case Storage.STRING_ID:
                names = dictionaries.string.c
                key = await self._text(sa.select(names.text).where(names.hash == key))
            case Storage.STACK_ID:
                stacks = dictionaries.stack.c
                key = await self._text(sa.select(stacks.frames).where(stacks.id == key))
        return Place(key, time, table, seq)

    async def _text(self, statement: sa.Select[Any]) -> Any:
        found = await self.scan.reader.fetch(statement)
        if not found:
            raise complain("cursor", "its row was removed by retention: start without a cursor")
        return found[0][0]


_MADE_UP = "is not a cursor of this API: use the `next` of an earlier answer"


def _decoded(given: str, key: Any) -> tuple[Any, int, int, int]:
    try:
        raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
        found = msgspec.json.decode(raw, type=tuple[key, _Whole, _Whole, _Table])
        if key is str:
            text("cursor", found[0])
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError, QueryError):
        raise complain("cursor", _MADE_UP) from None
    return found
