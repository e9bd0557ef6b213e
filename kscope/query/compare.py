"""The differential flame graph: one side against a base, node by node."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.query import fold
from kscope.query.answer import Meta, Notice  # noqa: TC001 - msgspec reads the types
from kscope.query.flamegraph import FlamegraphQuestion, Stacks, folded

if TYPE_CHECKING:
    from kscope.store.base import Reader


@dataclass(frozen=True, slots=True)
class CompareQuestion:
    """Both sides have the same stack, value and `by`.

    `normalised` scales the base to the side's total, so that shares are compared.
    """

    side: FlamegraphQuestion
    base: FlamegraphQuestion
    normalised: bool


class Comparison(msgspec.Struct, frozen=True, rename={"own": "self", "base_own": "base_self"}):
    """A flame graph of everything in either side; `value`, `self`, `total` are the side's.

    `delta[i]` is `value[i] - scale * base_value[i]`. `appeared` are the nodes that the base does
    not have, `vanished` those that it alone has; of a whole subtree only the node nearest the
    root is named.
    """

    table: str
    stack: str
    value_column: str
    unit: str
    by: str
    mode: str
    scale: float
    names: list[str]
    name: list[int]
    level: list[int]
    value: list[Any]
    own: list[Any]
    base_value: list[Any]
    base_own: list[Any]
    delta: list[Any]
    appeared: list[int]
    vanished: list[int]
    total: Any
    rows: int
    base_total: Any
    base_rows: int
    meta: Meta
    base_meta: Meta
    notices: list[Notice]


async def compare(reader: Reader, question: CompareQuestion) -> Comparison:
    side, base = await asyncio.gather(folded(reader, question.side), folded(reader, question.base))
    return await asyncio.to_thread(_compared, question, side, base)


def _compared(question: CompareQuestion, side: Stacks, base: Stacks) -> Comparison:
    paths = (joined for stacks in (side, base) for joined, _ in stacks.values)
    shape, ends = fold.shaped(paths)
    own, base_own = _spread(shape, ends, side), _spread(shape, ends, base)
    value, base_value = shape.totals(own), shape.totals(base_own)
    total, base_total = value[0], base_value[0]
    scale = total / base_total if question.normalised and base_total and total else 1
    asked = question.side
    return Comparison(
        table=asked.scope.category.table,
        stack=asked.stack.name,
        value_column=asked.value.name,
        unit=asked.value.unit,
        by=",".join(column.name for column in asked.by),
        mode="normalised" if question.normalised else "absolute",
        scale=scale,
        names=shape.names,
        name=shape.name,
        level=shape.level,
        value=value,
        own=own,
        base_value=base_value,
        base_own=base_own,
        delta=[ours - scale * theirs for ours, theirs in zip(value, base_value, strict=True)],
        appeared=_only_in(shape, _present(shape, ends, side), _present(shape, ends, base)),
        vanished=_only_in(shape, _present(shape, ends, base), _present(shape, ends, side)),
        total=total,
        rows=side.rows,
        base_total=base_total,
        base_rows=base.rows,
        meta=side.meta,
        base_meta=base.meta,
        notices=list(dict.fromkeys([*side.notices, *base.notices])),
    )


def _spread(shape: fold.Shape, ends: dict[str, int], stacks: Stacks) -> list[Any]:
    own: list[Any] = [0] * len(shape.name)
    for joined, value in stacks.values:
        own[ends[joined]] += value
    return own


def _present(shape: fold.Shape, ends: dict[str, int], stacks: Stacks) -> list[Any]:
    """How many of a side's stacks go through each node: a value may be 0 and yet be there."""
    through: defaultdict[int, int] = defaultdict(int)
    for joined, _ in stacks.values:
        through[ends[joined]] += 1
    return shape.totals([through[node] for node in range(len(shape.name))])


def _only_in(shape: fold.Shape, here: list[Any], there: list[Any]) -> list[int]:
    """Name the nodes of one side alone whose parent both sides have."""
    return [
        node
        for node in range(1, len(shape.name))
        if here[node] and not there[node] and (there[shape.parent[node]] or not shape.parent[node])
    ]
