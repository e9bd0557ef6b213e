"""A question begins with the facts of the last one, and is asked again if they have changed.

Before it reads rows a question must know how far sums are, what was removed, and which hosts replay
recordings: that rarely changes. Where each statement takes some milliseconds it is read in one, at
the same time as the rows. Facts that are the same as before held all the time in between, so the
answer is that of a question that read them first; all others are thrown away.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS
from kscope.query.scan.parallel import guessed
from kscope.query.scan.scan import is_replayed
from kscope.store.backends.statements import AS_APPENDED
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
    read = partial(_facts, reader)
    return await guessed(read, supposed, lambda facts: ask(reader.supposing(facts)))


async def _facts(reader: Reader) -> Facts:
    """Read the facts in one statement, and remember them."""
    levels, strings = reader.schema.dictionaries.progress.c, reader.schema.dictionaries.string.c
    nothing: sa.ColumnElement[Any] = sa.literal_column("0")
    no_category: sa.ColumnElement[Any] = sa.literal_column("''")
    both: Any = sa.union_all(
        sa.select(levels.category, levels.bucket, levels.closed, levels.removed),
        sa.select(no_category, strings.id, nothing, nothing).where(is_replayed(strings.text)),
    ).execution_options(**{AS_APPENDED: True})
    rows = await reader.fetch(both)
    hosts = {int(number) for category, number, *_ in rows if not category}
    progress = furthest(row for row in rows if row[0])
    reader.last_facts.facts = Facts(progress, tuple(sorted(hosts)))
    return reader.last_facts.facts
