"""How much each frame differs between the sides of a comparison, wherever in the tree it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nsmallest

import msgspec

from kscope.query.answers.meta import Number
from kscope.query.answers.tree import Shape


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
class Sides:
    """Columns by node: the values of both sides, then those of the node alone."""

    value: Sequence[Number]
    base_value: Sequence[Number]
    own: Sequence[Number]
    base_own: Sequence[Number]


def frame_changes(shape: Shape, sides: Sides, scale: float, n: int) -> FrameChanges:
    """Return at most `n` frames of each kind."""
    totals, base_totals = sides.value[0], sides.base_value[0]
    found = [
        FrameChange(
            name=shape.names[name],
            value=value,
            base_value=base,
            own=own,
            base_own=base_own,
            delta=value - base if scale == 1 else value - scale * base,
            share=value / totals if totals else 0.0,
            base_share=base / base_totals if base_totals else 0.0,
            ratio=value / (scale * base) if base and scale else None,
        )
        for name, (value, base, own, base_own) in enumerate(_sums(shape, sides))
        if name != shape.name[0]
    ]
    both = [each for each in found if each.value and each.base_value]
    new = [each for each in found if not each.base_value and each.value]
    gone = [each for each in found if not each.value and each.base_value]
    return FrameChanges(
        _first(n, both, lambda each: abs(each.delta)),
        _first(n, new, lambda each: each.value),
        _first(n, gone, lambda each: each.base_value),
    )


def _first(
    n: int, found: Sequence[FrameChange], weight: Callable[[FrameChange], Number]
) -> list[FrameChange]:
    return nsmallest(n, found, lambda each: (-weight(each), each.name))


def _sums(shape: Shape, sides: Sides) -> list[list[Number]]:
    """Return the sums of each name; the inner nodes of a recursion are in the outer one already."""
    sums: list[list[Number]] = [[0, 0, 0, 0] for _ in shape.names]
    # How often each name is on the way from the root to the node.
    above = [0] * len(shape.names)
    way: list[int] = []
    columns = (sides.value, sides.base_value, sides.own, sides.base_own)
    for name, level, value, base, own, base_own in zip(
        shape.name, shape.level, *columns, strict=True
    ):
        while len(way) > level:
            above[way.pop()] -= 1
        mine = sums[name]
        if not above[name]:
            mine[0] += value
            mine[1] += base
        mine[2] += own
        mine[3] += base_own
        above[name] += 1
        way.append(name)
    return sums
