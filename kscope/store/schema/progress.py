"""How far each level of a category is summed, and how far it is removed: kscope_progress."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.generate.tables import Schema

# The fetch of a session, of a reader, or of a backend.
Fetch = Callable[[sa.Select[Any]], Awaitable[Sequence[Sequence[Any]]]]

SECOND = 1_000_000
_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one level of a category, in microseconds.

    A rollup holds every row before `closed`; rows and sums before `removed` were removed by age.
    """

    closed: int = -_EVER
    removed: int = -_EVER

    def or_later(self, other: "Progress") -> "Progress":
        """Return the further of both: neither of the times ever goes back."""
        return Progress(max(self.closed, other.closed), max(self.removed, other.removed))


async def progress_of(fetch: Fetch, schema: Schema, category: str) -> dict[int, Progress]:
    """Return one category's progress by bucket in seconds; bucket 0 is its rows."""
    table = schema.dictionaries.progress
    rows = await fetch(sa.select(*_columns(table)).where(table.c.category == category))
    return furthest(rows).get(category, {})


async def progress_of_all(fetch: Fetch, schema: Schema) -> dict[str, dict[int, Progress]]:
    """Return the same of every category that has any."""
    return furthest(await fetch(sa.select(*_columns(schema.dictionaries.progress))))


def furthest(rows: Iterable[Sequence[Any]]) -> dict[str, dict[int, Progress]]:
    """Return the progress by category and bucket, of rows of category, bucket, closed, removed.

    An engine that only appends may still have a row of each time that a level was noted.
    """
    found: dict[str, dict[int, Progress]] = {}
    for category, bucket, closed, removed in rows:
        levels, each = found.setdefault(category, {}), Progress(int(closed), int(removed))
        levels[int(bucket)] = each.or_later(levels.get(int(bucket), each))
    return found


def _columns(table: sa.Table) -> tuple[sa.Column[Any], ...]:
    return (table.c.category, table.c.bucket, table.c.closed, table.c.removed)


def progress_rows(levels: Mapping[tuple[str, int], Progress]) -> dict[str, list[Any]]:
    """Return the columns that note the progress of levels, each a category and a bucket."""
    return {
        "category": [category for category, _ in levels],
        "bucket": [bucket for _, bucket in levels],
        "closed": [each.closed for each in levels.values()],
        "removed": [each.removed for each in levels.values()],
    }
