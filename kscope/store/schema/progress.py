"""How far each level of a category is summed, and how far it is removed: kscope_progress."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


async def progress_of(fetch: Fetch, schema: Schema, category: str) -> dict[int, Progress]:
    """Return one category's progress by bucket in seconds; bucket 0 is its rows."""
    table = schema.dictionaries.progress
    select = sa.select(table.c.bucket, table.c.closed, table.c.removed)
    rows = await fetch(select.where(table.c.category == category))
    return {bucket: Progress(closed, removed) for bucket, closed, removed in rows}


async def progress_of_all(fetch: Fetch, schema: Schema) -> dict[str, dict[int, Progress]]:
    """Return the same of every category that has any."""
    table = schema.dictionaries.progress
    columns = (table.c.category, table.c.bucket, table.c.closed, table.c.removed)
    found: dict[str, dict[int, Progress]] = {}
    for category, bucket, closed, removed in await fetch(sa.select(*columns)):
        found.setdefault(category, {})[bucket] = Progress(closed, removed)
    return found


def progress_rows(levels: Mapping[tuple[str, int], Progress]) -> dict[str, list[Any]]:
    """Return the columns that note the progress of levels, each a category and a bucket."""
    return {
        "category": [category for category, _ in levels],
        "bucket": [bucket for _, bucket in levels],
        "closed": [each.closed for each in levels.values()],
        "removed": [each.removed for each in levels.values()],
    }
