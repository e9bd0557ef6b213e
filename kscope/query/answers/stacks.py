"""Stacks of a scope with their values: summed by id, then resolved once each."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kscope.declare.model import Column
from kscope.query.answers.meta import Notice, notices
from kscope.query.answers.tree import Path
from kscope.query.parse.columns import Value, by_values
from kscope.query.parse.scope import Scope
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import REST, Heaviest, heaviest
from kscope.query.scan.hidden import note_hidden
from kscope.query.scan.labels import frames, labels
from kscope.query.scan.measures import ROWS, sum_of, total_of
from kscope.query.scan.parallel import together
from kscope.query.scan.scan import Scan, columns, scan_of
from kscope.store.reader import Reader
from kscope.store.symbols.nameless import Frames

Result = TypeVar("Result")
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FlamegraphQuestion:
    """`by` puts these columns' values under the root, before the stack's own frames.

    With a `limit`, only that many rows are read, the oldest first.
    """

    scope: Scope
    stack: Column
    value: Value
    by: tuple[Column, ...] = ()
    limit: int | None = None


@dataclass(slots=True)
class SummedStacks:
    """Sums by the ids of `by` and of the stack: value, events and rows."""

    question: FlamegraphQuestion
    sums: Heaviest
    scan: Scan

    @property
    def rows(self) -> int:
        return self.sums.totals[-1] or 0

    @property
    def notices(self) -> list[Notice]:
        return [*notices(self.scan), *rest_notices(self.sums)]


@dataclass(slots=True)
class FoldedStacks:
    """Paths, each with its value and its events; the same path may come more than once."""

    question: FlamegraphQuestion
    values: list[tuple[Path, Any, int]]
    rows: int
    scan: Scan
    notices: list[Notice]
    rest: Any = 0

    @property
    def title(self) -> str:
        asked = self.question
        return f"{asked.scope.category.prettyname}: {asked.value.name} by {asked.stack.name}"


async def folded(reader: Reader, question: FlamegraphQuestion) -> FoldedStacks:
    """Sum the scope's stacks; one path may come more than once."""
    stacks = await summed(reader, question)
    groups = stacks.sums.groups
    paths = await paths_of(reader, question, groups)

    def put(*_: Any) -> FoldedStacks:
        values = [(paths[key], value, events) for key, (value, events, _) in groups.items()]
        rest, count = rest_of(stacks.sums)
        if stacks.sums.left_out:
            values.append(((REST,), rest, count))
        rows, said = stacks.rows, stacks.notices
        return FoldedStacks(question, values, rows, stacks.scan, said, rest)

    return await consumed(put, groups, paths)


async def summed(reader: Reader, question: FlamegraphQuestion) -> SummedStacks:
    """Sum the scope's stacks by their ids."""
    keys = (*question.by, question.stack)
    limit, count = question.limit, question.scope.category.count
    single = limit is not None or by_values(question.by)
    needs = (*keys, question.value.column, count)
    scan = await scan_of(reader, question.scope, needs, single_rows=single)
    if limit is not None:
        scan = scan.oldest(limit)
    measures = (total_of(question.value), sum_of(count) if count else ROWS, ROWS)
    sums = await heaviest(scan, columns(*keys), measures, read.MOST_GROUPS)
    await note_hidden(scan, question.value)
    return SummedStacks(question, sums, scan)


async def paths_of(
    reader: Reader, question: FlamegraphQuestion, keys: Collection[Key]
) -> dict[Key, Path]:
    """Return the path of each key: the values of `by` under the root, before the stack's frames."""
    wanted = await asyncio.to_thread(key_parts, keys, len(question.by) + 1)
    found: list[Any] = await together(
        frames(reader, wanted[-1]),
        *(labels(reader, by, part) for by, part in zip(question.by, wanted, strict=False)),
    )
    stacks, *texts = found
    large: list[Any] = [stacks, *texts, *wanted]
    return await consumed(lambda *_: _paths(keys, texts, stacks), *large)


def rest_of(summed: Heaviest) -> tuple[Any, int]:
    """Return the value and the events of all groups that are left out."""
    if not summed.left_out:
        return 0, 0
    value, events, _ = summed.rest()
    return value, events


def rest_notices(summed: Heaviest) -> list[Notice]:
    if not summed.left_out:
        return []
    text = (
        f"There are {summed.count:,} groups: the {len(summed.groups):,} with the most are shown,"
        f" the others' sum is `{REST}`. Filter, group by less or choose a shorter range."
    )
    return [Notice("warning", text)]


def key_parts(keys: Iterable[Key], width: int) -> list[set[Any]]:
    """Return the values that each part of the groups' keys has."""
    return [{key[i] for key in keys} for i in range(width)]


def _paths(
    keys: Collection[Key], texts: Sequence[Mapping[Any, str]], stacks: Mapping[int, Frames]
) -> dict[Key, Path]:
    roots: dict[Key, Path] = {
        by: tuple([names[part] for names, part in zip(texts, by, strict=True)])
        for by in {key[:-1] for key in keys}
    }
    return {key: roots[key[:-1]] + stacks[key[-1]] for key in keys}


async def drawn(stacks: FoldedStacks, draw: Callable[[FoldedStacks], Result]) -> Result:
    """Make an answer of the stacks in a thread, and free them there."""
    return await consumed(lambda _: draw(stacks), stacks.values)
