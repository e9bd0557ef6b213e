"""The differential flame graph: one side against a base, node by node."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from kscope.declare.types.base import Role, Storage
from kscope.query.answers.flamegraph import Profile, profile, question_of
from kscope.query.answers.frame_changes import FrameChange, Sides, frame_changes
from kscope.query.answers.meta import Meta, Number, meta
from kscope.query.answers.question import Question, Table, n_parameter
from kscope.query.answers.stacks import FoldedStacks, folded
from kscope.query.answers.tree import Path, Shape, tree
from kscope.query.parse import parameters as p
from kscope.query.parse.parameters import Asked
from kscope.query.scan.freed_memory import consumed, empty
from kscope.query.scan.parallel import together
from kscope.store.reader import Reader


class Comparison(Profile, frozen=True, kw_only=True, rename={"base_own": "base_self"}):
    """A flame graph of everything in either side; `value`, `self`, `total` are the side's.

    `delta[i]` is `value[i] - scale * base_value[i]`. `appeared` are the nodes that the base does
    not have, `vanished` those that it alone has; of a whole subtree only the node nearest the
    root is named. `count` and `rest` are those of a flame graph, for each side. `seconds` and
    `base_seconds` are the lengths of the sides. `frames`, `new` and `gone` sum frames over the
    whole tree: those of both sides that differ most, and those that only one side has.
    """

    mode: Literal["absolute", "normalised"]
    scale: float
    base_value: list[Number]
    base_own: list[Number]
    count: list[Number]
    base_count: list[Number]
    rest: Number
    base_rest: Number
    delta: list[Number]
    appeared: list[int]
    vanished: list[int]
    base_total: Number
    base_rows: int
    base_meta: Meta
    seconds: float
    base_seconds: float
    frames: list[FrameChange]
    new: list[FrameChange]
    gone: list[FrameChange]

    def as_table(self) -> Table:
        names = ["frame", "level", "value", "base_value", "delta"]
        columns = (self.level, self.value, self.base_value, self.delta)
        frames = (self.names[name] for name in self.name)
        return Table(names, zip(frames, *columns, strict=True), kinds={"frame": Storage.TEXT})


async def compare(reader: Reader, asked: Asked) -> Comparison:
    """Fold both sides, which have the same stack, value and `by`."""
    assert asked.base is not None
    question = question_of(asked)
    side, base = await together(
        folded(reader, question), folded(reader, replace(question, scope=asked.base))
    )
    large = (side.values, base.values)
    return await consumed(lambda *_: _compared(side, base, asked), *large)


def _compared(side: FoldedStacks, base: FoldedStacks, asked: Asked) -> Comparison:
    normalised = asked["normalised"] == "true"
    shape, sums = tree(_sums(side, base).items())
    values, base_values, counts, base_counts, *sides = zip(*(each for _, each in sums), strict=True)
    value, base_value = shape.totals(values, base_values)
    count, base_count = shape.totals(counts, base_counts)
    # A value may be 0 and its stack yet be there.
    here, there = shape.totals(*sides)
    empty([sums])
    total, base_total = value[0], base_value[0]
    # One division: a product with the rounded scale would not come out even at the root.
    scaled = normalised and base_total and total
    expected = [each * total / base_total for each in base_value] if scaled else base_value
    scale = total / base_total if scaled else 1
    own, base_own = shape.own(values), shape.own(base_values)
    columns = Sides(value, base_value, own, base_own)
    changes = frame_changes(shape, columns, scale, asked["n"])
    said = list(dict.fromkeys([*side.notices, *base.notices]))
    return Comparison(
        **profile(side, shape, value, values) | {"notices": said},
        mode="normalised" if normalised else "absolute",
        scale=scale,
        base_value=base_value,
        base_own=base_own,
        count=count,
        base_count=base_count,
        rest=side.rest,
        base_rest=base.rest,
        delta=[ours - theirs for ours, theirs in zip(value, expected, strict=True)],
        appeared=_only_in(shape, here, there),
        vanished=_only_in(shape, there, here),
        base_total=base_total,
        base_rows=base.rows,
        base_meta=meta(base.scan, base.rows),
        seconds=asked.scope.range.seconds,
        base_seconds=asked.base_seconds,
        frames=changes.frames,
        new=changes.new,
        gone=changes.gone,
    )


def _sums(side: FoldedStacks, base: FoldedStacks) -> Mapping[Path, list[Any]]:
    """Return path -> value, base value, events, base events, and how often it is in each."""
    sums: defaultdict[Path, list[Any]] = defaultdict([0, 0, 0, 0, 0, 0].copy)
    sums[()] = [0, 0, 0, 0, 0, 0]  # the root, also of an answer without stacks
    for at, stacks in enumerate((side, base)):
        for path, value, events in stacks.values:
            found = sums[path]
            found[at] += value
            found[at + 2] += events
            found[at + 4] += 1
    return sums


def _only_in(shape: Shape, here: Sequence[Any], there: Sequence[Any]) -> list[int]:
    """Name the nodes of one side alone whose parent both sides have, as they have the root."""
    found = []
    # Whether the other side has the last node of each level: a node's parent is the one below it.
    has = [True] * (1 + max(shape.level))
    for node, (level, ours, theirs) in enumerate(zip(shape.level, here, there, strict=True)):
        if level:
            has[level] = bool(theirs)
            if ours and not theirs and has[level - 1]:
                found.append(node)
    return found


_NORMALISED = p.Parameter(
    "normalised", "compare shares, not amounts", "false", choices=("false", "true")
)
QUESTIONS = (
    Question(
        name="compare",
        help="Two flame graphs as one: a side, and the base that it is compared with.",
        parameters=(p.VALUE, p.STACK, p.BY, _NORMALISED, n_parameter("frames of a list", 50)),
        ask=compare,
        answer=Comparison,
        needs=(Role.STACK,),
        compares=True,
    ),
)
