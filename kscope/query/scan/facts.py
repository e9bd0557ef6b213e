"""A question begins with the facts of the last one, and is asked again if they have changed.

Before it reads rows a question must know how far sums are, what was removed, and which hosts replay
recordings: that rarely changes. Where each statement takes some milliseconds it is read in one, at
the same time as the rows. Facts that are the same as before held all the time in between, so the
answer is that of a question that read them first; all others are thrown away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS
from kscope.query.parse.errors import QueryError
from kscope.query.scan.scan import is_replayed
from kscope.store.backends.errors import StoreError
from kscope.store.facts import Facts
from kscope.store.reader import Reader
from kscope.store.schema.progress import furthest

Answer = TypeVar("Answer")


async def informed(reader: Reader, ask: Callable[[Reader], Awaitable[Answer]]) -> Answer:
    """Ask a question with a reader that knows the facts."""
    if not DIALECTS[reader.dialect].reads_in_parallel:
        return await ask(reader)
    supposed = reader.last_facts.facts
    if supposed is None:
        return await ask(reader.supposing(await _facts(reader)))
    check = asyncio.ensure_future(_facts(reader))
    try:
        answer = await ask(reader.supposing(supposed))
    except (StoreError, QueryError):
        if await check == supposed:
            raise
    else:
        if await check == supposed:
            return answer
    finally:
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)
    return await ask(reader.supposing(check.result()))


async def _facts(reader: Reader) -> Facts:
    """Read the facts in one statement, and remember them."""
    levels, strings = reader.schema.dictionaries.progress.c, reader.schema.dictionaries.string.c
    nothing: sa.ColumnElement[Any] = sa.literal_column("0")
    no_category: sa.ColumnElement[Any] = sa.literal_column("''")
    both = sa.union_all(
        sa.select(levels.category, levels.bucket, levels.closed, levels.removed),
        sa.select(no_category, strings.id, nothing, nothing).where(is_replayed(strings.text)),
    ).subquery()
    rows = await reader.fetch(sa.select(*both.c))
    hosts = sorted(int(number) for category, number, *_ in rows if not category)
    progress = furthest(row for row in rows if row[0])
    reader.last_facts.facts = Facts(progress, tuple(hosts))
    return reader.last_facts.facts
