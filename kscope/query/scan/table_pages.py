"""Pages of rows of one table, or of several as if they were one: each is read, and they are merged.

Rows of a union come by the order, then by time, and at the same time table by table.
"""

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kscope.declare.model import Column
from kscope.query.scan.paging import Order, Page, Piece, Place, place_of
from kscope.query.scan.parallel import together
from kscope.query.scan.scan import Scan

# Places that are read before their rows, in an order other than that of time.
_PLACES, _ROWS = 20_000, 2000
Placed = tuple[Place, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of each table, in the order of the tables."""

    pages: tuple[Page, ...]

    @classmethod
    def of(cls, scan: Scan, columns: Sequence[Column], order: Order) -> "Pages":
        """Return those of a scan of single rows, which has at least one segment."""
        scans = (replace(scan, plan=replace(scan.plan, segments=[each])) for each in scan.segments)
        return cls(tuple(Page(each, columns, order, i) for i, each in enumerate(scans)))

    async def place(self, given: str) -> Place | None:
        return await self.pages[0].place(given)

    async def read(self, place: Place | None, limit: int) -> tuple[list[Placed], Place | None]:
        """Return the rows behind a place, each with its own; and the last, if there are more."""
        found = await self._behind(place, self.pages[0].columns, limit + 1)
        end = found[limit - 1][0] if len(found) > limit else None
        return found[:limit], end

    async def pieces(self, place: Place | None, limit: int | None) -> AsyncIterator[Piece]:
        """Yield the rows behind a place, in order and some at a time; None is no limit."""
        if len(self.pages) == 1:
            async for piece in self.pages[0].pieces(place, limit):
                yield piece
            return
        in_time = self.pages[0].order.column.name == "time"
        most, columns = (_ROWS, self.pages[0].columns) if in_time else (_PLACES, ())
        left = math.inf if limit is None else limit
        while left > 0:
            size = int(min(most, left))
            found = await self._behind(place, columns, size)
            for start in range(0, len(found), _ROWS):
                piece = found[start : start + _ROWS]
                yield [row for _, row in piece] if in_time else await self._rows_at(piece)
            if len(found) < size:
                return
            left -= size
            place = found[-1][0]

    async def _behind(
        self, place: Place | None, columns: Sequence[Column], limit: int
    ) -> list[Placed]:
        """Return the first rows behind a place with theirs, of all tables."""
        answers = await together(*(page.first(place, columns, limit) for page in self.pages))
        found = [
            (place_of(row, page.table), row)
            for page, rows in zip(self.pages, answers, strict=True)
            for row in rows
        ]
        if len(self.pages) > 1:
            descending = self.pages[0].order.descending
            found.sort(key=lambda each: each[0], reverse=descending)
        return found[:limit]

    async def _rows_at(self, found: Sequence[Placed]) -> Piece:
        """Return the rows of these places, in their order."""
        wanted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for place, _ in found:
            wanted[place.table].append((place.time, place.seq))
        read: dict[tuple[int, int, int], Sequence[Any]] = {}
        for table, keys in wanted.items():
            rows = await self.pages[table].rows_at(keys)
            read |= {(table, row[-2], row[-1]): row for row in rows}
        places = ((place.table, place.time, place.seq) for place, _ in found)
        # Retention may have removed one in the meantime.
        return [read[place] for place in places if place in read]
