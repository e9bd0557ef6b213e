"""Folded text, one stack a line, as flamegraph.pl and its many relatives read it."""

import math
from collections import defaultdict
from typing import Any

from kscope.query.answers.compare import Comparison
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.export.base import ComparisonFormat, StackFormat
from kscope.query.export.frames import line, paths

_MEDIA_TYPE = "text/plain; charset=utf-8"
_NOTHING = "0"


def _folded(stacks: FoldedStacks) -> bytes:
    """`process;main;write 42`, sorted; a `;` in a process' name becomes `:`.

    Stacks of nothing are left out, and those of less than nothing: no reader takes such a number.
    """
    sums: defaultdict[str, Any] = defaultdict(int)
    for path, value, _ in stacks.values:
        sums[line(path)] += value
    kept = ((stack, _number(sums[stack])) for stack in sorted(sums))
    return "".join(f"{stack} {text}\n" for stack, text in kept if text != _NOTHING).encode()


def _compared(answer: Comparison) -> bytes:
    """`process;main;write BASE SIDE`, as difffolded.pl writes it and flamegraph.pl reads it.

    With shares to compare, the base is scaled to the side's total, as with its option -n.
    """
    sums: defaultdict[str, list[Any]] = defaultdict([0, 0].copy)
    for path, place in paths(answer):
        base = answer.base_own[place]
        found = sums[line(path)]
        found[0] += base if answer.scale == 1 else round(base * answer.scale)
        found[1] += answer.own[place]
    kept = ((stack, *map(_number, sums[stack])) for stack in sorted(sums))
    return "".join(
        f"{stack} {base} {own}\n" for stack, base, own in kept if {base, own} != {_NOTHING}
    ).encode()


def _number(value: float) -> str:
    """Write a number without an exponent, which no reader knows; with at most six decimals.

    One below 0, or beyond all numbers, is 0.
    """
    if isinstance(value, int) or not math.isfinite(value):
        return str(value) if isinstance(value, int) and value > 0 else _NOTHING
    return f"{max(0.0, value):.6f}".rstrip("0").rstrip(".")


FORMATS = (
    StackFormat(
        name="folded",
        media_type=_MEDIA_TYPE,
        ending="folded",
        help="folded text, one stack a line, as flamegraph.pl reads it; of a comparison difffolded",
        encode=_folded,
        compared=_compared,
        title="Folded stacks",
    ),
    ComparisonFormat(
        name="difffolded",
        media_type=_MEDIA_TYPE,
        ending="difffolded",
        help="folded text of a comparison, a stack with the base's number and the side's a line",
        encode=_compared,
    ),
)
