"""Stacks of a scope with their values: summed by id, then resolved once each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
    keys = (*question.by, question.stack)
    limit, count = question.limit, question.scope.category.count
    single = limit is not None or by_values(question.by)
    needs = (*keys, question.value.column, count)
    scan = await scan_of(reader, question.scope, needs, single_rows=single)
    if limit is not None:
        scan = scan.oldest(limit)
    measures = (total_of(question.value), sum_of(count) if count else ROWS, ROWS)
    summed = await heaviest(scan, columns(*keys), measures, read.MOST_GROUPS)
    await note_hidden(scan, question.value)
    wanted = await asyncio.to_thread(key_parts, summed.groups, len(keys))
    found: list[Any] = await together(
        frames(reader, wanted[-1]),
        *(labels(reader, by, part) for by, part in zip(question.by, wanted, strict=False)),
    )
    stacks, *texts = found
    said = [*notices(scan), *rest_notices(summed)]
    large: list[Any] = [summed.groups, stacks, *texts, *wanted]
    values, rest = await consumed(lambda *_: _paths(summed, texts, stacks), *large)
    return FoldedStacks(question, values, summed.totals[-1] or 0, scan, said, rest)


def rest_notices(summed: Heaviest) -> list[Notice]:
    if not summed.left_out:
        return []
    text = (
        f"There are {summed.count:,} groups: the {len(summed.groups):,} with the most are shown,"
        f" the others' sum is `{REST}`. Filter, group by less or choose a shorter range."
    )
    return [Notice("warning", text)]


def key_parts(groups: Mapping[tuple[Any, ...], Any], width: int) -> list[set[Any]]:
    """Return the values that each part of the groups' keys has."""
    return [{key[i] for key in groups} for i in range(width)]


def _paths(
    summed: Heaviest, texts: Sequence[Mapping[Any, str]], stacks: Mapping[int, Frames]
) -> tuple[list[tuple[Path, Any, int]], Any]:
    """Put the values of `by` under the root, before the stack's frames; the rest beside them.

    Return the paths, and the value of the rest.
    """
    roots: dict[tuple[Any, ...], Path] = {
        by: tuple([names[part] for names, part in zip(texts, by, strict=True)])
        for by in {key[:-1] for key in summed.groups}
    }
    values = [
        (roots[key[:-1]] + stacks[key[-1]], value, events)
        for key, (value, events, _) in summed.groups.items()
    ]
    if not summed.left_out:
        return values, 0
    rest, count, _ = summed.rest()
    return [*values, ((REST,), rest, count)], rest


async def drawn(stacks: FoldedStacks, draw: Callable[[FoldedStacks], Result]) -> Result:
    """Make an answer of the stacks in a thread, and free them there."""
    return await consumed(lambda _: draw(stacks), stacks.values)
