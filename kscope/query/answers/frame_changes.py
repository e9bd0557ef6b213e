"""How much each frame differs between the sides of a comparison, wherever in the tree it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import compress, count
from operator import neg, sub
from typing import Any

import msgspec

from kscope.query.answers.meta import Number
from kscope.query.answers.runs import Runs
from kscope.query.answers.tree import Path, Shape


class FrameChange(msgspec.Struct, frozen=True):
    """Sums of all stacks with the frame. `delta` is the value less the scaled base's.

    Shares are of each side's total. `ratio` is that of the value to the scaled base's, None if the
    base has nothing of it.
    """

    name: str
    value: Number
    base_value: Number
    own: Number
    base_own: Number
    delta: Number
    share: float
    base_share: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class FrameChanges:
    """The frames that differ most; those that only one side has, the largest first."""

    frames: list[FrameChange]
    new: list[FrameChange]
    gone: list[FrameChange]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A tree and the paths that it is of."""

    shape: Shape
    runs: Runs
    paths: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Sides:
    """Columns by run: the values of both sides, then those that end there."""

    value: Sequence[Number]
    base_value: Sequence[Number]
    own: Sequence[Number]
    base_own: Sequence[Number]


def frame_changes(drawn: Drawn, sides: Sides, scale: float, n: int) -> FrameChanges:
    """Return at most `n` frames of each kind."""
    names = drawn.shape.names
    totals, base_totals = sides.value[0], sides.base_value[0]
    values, bases, owns, base_owns = _sums(drawn, sides)
    scaled = bases if scale == 1 else [scale * base for base in bases]
    deltas = [*map(sub, values, scaled)]

    def change(at: int) -> FrameChange:
        value, base = values[at], bases[at]
        return FrameChange(
            name=names[at],
            value=value,
            base_value=base,
            own=owns[at],
            base_own=base_owns[at],
            delta=deltas[at],
            share=value / totals if totals else 0.0,
            base_share=base / base_totals if base_totals else 0.0,
            ratio=value / (scale * base) if base and scale else None,
        )

    def first(weights: Iterable[Number], chosen: Iterable[Any]) -> list[FrameChange]:
        ranked = compress(zip(map(neg, weights), names, count(), strict=False), chosen)
        return [change(at) for _, _, at in nsmallest(n, (each for each in ranked if each[2]))]

    pairs = [*zip(values, bases, strict=True)]
    return FrameChanges(
        first(map(abs, deltas), (value and base for value, base in pairs)),
        first(values, (value and not base for value, base in pairs)),
        first(bases, (base and not value for value, base in pairs)),
    )


def _sums(drawn: Drawn, sides: Sides) -> list[list[Number]]:
    """Return the four columns by name; the inner nodes of a recursion are in the outer already."""
    names, runs = [*drawn.shape.name], drawn.runs
    nothing: list[Number] = [0] * len(drawn.shape.names)
    values, bases, owns, base_owns = sums = [nothing.copy() for _ in range(4)]
    for last, ours, theirs in zip(runs.last_nodes, sides.own, sides.base_own, strict=True):
        owns[names[last]] += ours
        base_owns[names[last]] += theirs
    # The inner nodes count for one more name, which is dropped.
    values.append(0)
    bases.append(0)
    for node in _inner(drawn):
        names[node] = -1
    columns = zip(runs.starts, runs.lengths, sides.value, sides.base_value, strict=True)
    for start, length, ours, theirs in columns:
        for name in names[start : start + length]:
            values[name] += ours
            bases[name] += theirs
    values.pop()
    bases.pop()
    return sums


def _inner(drawn: Drawn) -> Iterator[int]:
    """Yield the nodes that have one of the same name above them."""
    for path, (depth, shared, first) in zip(drawn.paths, drawn.shape.paths, strict=True):
        if len({*path}) < depth:
            new = range(shared, depth)
            yield from (first + at - shared for at in new if path[at] in path[:at])
