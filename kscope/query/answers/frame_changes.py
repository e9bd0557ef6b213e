"""How much each frame differs between the sides of a comparison, wherever in the tree it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest

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
    shape = drawn.shape
    totals, base_totals = sides.value[0], sides.base_value[0]
    values, bases, owns, base_owns = _sums(drawn, sides)

    def delta(name: int) -> Number:
        value, base = values[name], bases[name]
        return value - base if scale == 1 else value - scale * base

    def change(name: int) -> FrameChange:
        value, base = values[name], bases[name]
        return FrameChange(
            name=shape.names[name],
            value=value,
            base_value=base,
            own=owns[name],
            base_own=base_owns[name],
            delta=delta(name),
            share=value / totals if totals else 0.0,
            base_share=base / base_totals if base_totals else 0.0,
            ratio=value / (scale * base) if base and scale else None,
        )

    def first(names: Iterable[int], weight: Callable[[int], Number]) -> list[FrameChange]:
        most = nsmallest(n, names, lambda name: (-weight(name), shape.names[name]))
        return [change(name) for name in most]

    frames = range(1, len(shape.names))
    return FrameChanges(
        first(
            (each for each in frames if values[each] and bases[each]), lambda name: abs(delta(name))
        ),
        first((each for each in frames if values[each] and not bases[each]), values.__getitem__),
        first((each for each in frames if bases[each] and not values[each]), bases.__getitem__),
    )


def _sums(drawn: Drawn, sides: Sides) -> list[list[Number]]:
    """Return the four columns by name; the inner nodes of a recursion are in the outer already."""
    shape, runs = drawn.shape, drawn.runs
    value, base = runs.of_nodes(sides.value), runs.of_nodes(sides.base_value)
    for node in _inner(drawn):
        value[node] = base[node] = 0
    nothing: list[Number] = [0] * len(shape.names)
    sums = [nothing.copy() for _ in range(4)]
    values, bases, owns, base_owns = sums
    for name, ours, theirs in zip(shape.name, value, base, strict=True):
        values[name] += ours
        bases[name] += theirs
    for last, ours, theirs in zip(runs.last_nodes, sides.own, sides.base_own, strict=True):
        owns[shape.name[last]] += ours
        base_owns[shape.name[last]] += theirs
    return sums


def _inner(drawn: Drawn) -> Iterator[int]:
    """Yield the nodes that have one of the same name above them."""
    for path, (depth, shared, first) in zip(drawn.paths, drawn.shape.paths, strict=True):
        if len({*path}) < depth:
            new = range(shared, depth)
            yield from (first + at - shared for at in new if path[at] in path[:at])
