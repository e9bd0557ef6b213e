"""Filters on stacks hold for what a person sees: for the names of frames that are stored without.

The database compares stored texts. Here the stacks that have such frames are read, in one reading
for all filters of a question. Those that match only as they are shown are added by their ids, and
those that have a part of a text only as they are stored are left out. Whole frames and stacks, and
parts with a build id, are found as they are stored, too. Filters that no name can change are left
alone.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.query.scan.labels import batched, shown_texts
from kscope.query.scan.names import nameless_stacks, shown_frames
from kscope.query.scan.pattern import compiled
from kscope.query.sql.conditions import Condition, Group, conditions, resolved
from kscope.query.sql.expressions import as_text, ids
from kscope.query.sql.operators import FRAME_SEPARATOR
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader
from kscope.store.symbols.nameless import ADDRESS, BUILD

# A frame as it may be shown: with the file of its function, or with an address.
_NAMED = re.compile(r".+ \[.+\]")
_UNNAMED = re.compile(r".+\+0x[0-9a-f]+")
# Texts that can match in what is not shown, the build id and what joins it to others.
_IN_BUILD = re.compile(r".*[;@].*|[0-9a-f]*", re.DOTALL)
# A filter with so much of a build id is about the stored text.
_WITH_BUILD = re.compile(r"@[0-9a-f]{8}")
_PARTIAL = ("contains", "startswith", "regex")
_CHECKED_AT_ONCE = 500
# Stacks of a statement.
_FETCHED = 5000
# Databases bound the size of an expression.
_MOST_PARTS = 50

Test = Callable[[str], bool]


class Found(NamedTuple):
    """Ids of stacks that match only as they are shown, and of those that do only as stored."""

    also: list[int]
    hidden: list[int]


async def resolve(reader: Reader, where: Group) -> Group:
    """Let the filters on stacks match the stacks as they are shown."""
    asked = [each for each in conditions(where) if each.column.type.storage is Storage.STACK_ID]
    if not asked:
        return where
    has_names = bool((await shown_frames(reader)).state)
    wanted = {each: parts for each in asked if (parts := _parts(each, has_names=has_names))}
    if not wanted:
        return where
    tests = {each: await asyncio.to_thread(_test, each) for each in wanted}
    found = {each: Found([], []) for each in wanted}
    with reader.deadline.running():
        candidates = await _candidates(reader, set().union(*wanted.values()))
        # Not a stream: names are asked for with another connection, and questions that each hold
        # one while they wait for another would wait for each other.
        for piece in batched(candidates, _FETCHED):
            stored = await _texts(reader, piece)
            shown = await shown_texts(reader, stored)
            await asyncio.to_thread(_collect, shown, stored, tests, found, reader.deadline)
    return resolved(
        where,
        {
            each: replace(each, also=tuple(others.also), hidden=tuple(others.hidden))
            for each, others in found.items()
        },
    )


def _collect(
    shown: Mapping[int, str],
    stored: Mapping[int, str],
    tests: Mapping[Condition, Test],
    found: Mapping[Condition, Found],
    deadline: Deadline,
) -> None:
    partial = {
        each for each in tests if each.operator in _PARTIAL and not _WITH_BUILD.search(each.value)
    }
    for number, (key, text) in enumerate(shown.items()):
        if number % _CHECKED_AT_ONCE == 0:
            deadline.check()
        for where, test in tests.items():
            as_shown, as_stored = test(text), test(stored[key])
            if as_shown and not as_stored:
                found[where].also.append(key)
            elif as_stored and not as_shown and where in partial:
                found[where].hidden.append(key)


async def _candidates(reader: Reader, parts: set[str]) -> list[int]:
    """Return the stacks that have a frame without a name, and one of the parts."""
    stack = reader.schema.dictionaries.stack.c.id
    fewest = {ADDRESS} if ADDRESS in parts or len(parts) > _MOST_PARTS else parts
    rows = await reader.fetch(nameless_stacks(reader, stack, parts=fewest))
    return await asyncio.to_thread(lambda: [int(key) for (key,) in rows])


async def _texts(reader: Reader, stacks: Sequence[int]) -> dict[int, str]:
    columns = reader.schema.dictionaries.stack.c
    rows = await reader.fetch(sa.select(columns.id, columns.frames).where(ids(columns.id, stacks)))
    return {int(key): str(as_text(text)) for key, text in rows}


def _parts(where: Condition, *, has_names: bool) -> set[str]:
    """Return texts: a stack that matches otherwise as it is shown has one of them as it is stored.

    There are none if no stack can.
    """
    match where.operator:
        case "has" | "eq" | "in":
            stacks = where.value if isinstance(where.value, tuple) else (where.value,)
            frames = {frame for stack in stacks for frame in stack.split(FRAME_SEPARATOR)}
            return {_part(frame, has_names=has_names) for frame in frames} - {""}
        case "contains" | "startswith" if not has_names:
            # A frame is then shown as a part of what is stored.
            return {ADDRESS} if _IN_BUILD.fullmatch(where.value) else set()
    return {ADDRESS}


def _part(frame: str, *, has_names: bool) -> str:
    """Return what a stored frame begins with if it is shown as this text; empty if none is."""
    if _UNNAMED.fullmatch(frame):
        return frame + BUILD
    if not has_names or not _NAMED.fullmatch(frame):
        return ""
    _, *files = frame[:-1].split(" [")
    return files[0] + ADDRESS if len(files) == 1 else ADDRESS


def _test(where: Condition) -> Test:
    """Return the operator's comparison, as the database makes it."""
    value: Any = where.value
    match where.operator:
        case "eq":
            return lambda text: bool(text == value)
        case "in":
            return frozenset(value).__contains__
        case "contains":
            return lambda text: value in text
        case "startswith":
            return lambda text: text.startswith(value)
        case "has":
            framed = f"{FRAME_SEPARATOR}{value}{FRAME_SEPARATOR}"
            return lambda text: framed in f"{FRAME_SEPARATOR}{text}{FRAME_SEPARATOR}"
    search = compiled(where).search
    return lambda text: search(text) is not None
