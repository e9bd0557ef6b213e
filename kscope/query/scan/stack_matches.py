"""Patterns of category files on stacks: each stack is searched once, not for each question."""

import asyncio
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from kscope.query.scan.pattern import SeveralPatterns
from kscope.query.sql.conditions import Condition
from kscope.query.sql.expressions import as_text, ids
from kscope.store.backends.deadline import Deadline
from kscope.store.matches import Matches
from kscope.store.reader import Reader

# Stacks that are searched between two looks at the deadline, and those of a statement.
_AT_ONCE = 500
_FETCHED = 5000


async def resolve(reader: Reader, wanted: Sequence[Condition]) -> Mapping[str, tuple[int, ...]]:
    """Return the ids of the stacks that each pattern matches, by its text."""
    if not wanted:
        return {}
    known = reader.matches
    by_pattern = {each.value: each for each in wanted}
    patterns = sorted(by_pattern)
    known.note(patterns)
    stack = reader.schema.dictionaries.stack
    rows = await reader.fetch(sa.select(stack.c.id))
    listed = await asyncio.to_thread(lambda: [int(number) for (number,) in rows])
    missing = await asyncio.to_thread(known.missing, listed, patterns)
    if missing:
        tests = await asyncio.to_thread(SeveralPatterns, [*by_pattern.values()])
    for start in range(0, len(missing), _FETCHED):
        part = missing[start : start + _FETCHED]
        columns = sa.select(stack.c.id, stack.c.frames)
        texts = await reader.fetch(columns.where(ids(stack.c.id, part)))
        named = {int(number): str(as_text(text)) for number, text in texts}
        await asyncio.to_thread(_search, known, named, tests, reader.deadline)
    return await asyncio.to_thread(known.found, listed, patterns)


def _search(
    known: Matches, texts: Mapping[int, str], tests: SeveralPatterns, deadline: Deadline
) -> None:
    listed = list(texts.items())
    for start in range(0, len(listed), _AT_ONCE):
        deadline.check()
        part = listed[start : start + _AT_ONCE]
        known.add({stack: [*tests.matching(text)] for stack, text in part}, tests.patterns)
