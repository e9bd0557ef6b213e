"""The differential flame graph: one side against a base, node by node."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import sub
from typing import Any, Literal

from kscope.declare.types.base import Role, Storage
from kscope.query.answers.flamegraph import Profile, profile, question_of
from kscope.query.answers.frame_changes import Drawn, FrameChange, Sides, frame_changes
from kscope.query.answers.meta import Meta, Number, meta
from kscope.query.answers.question import Question, Table, n_parameter
from kscope.query.answers.runs import Runs, runs_of
from kscope.query.answers.stacks import Key, SummedStacks, paths_of, rest_of, summed
from kscope.query.answers.tree import Path, tree
from kscope.query.parse import parameters as p
from kscope.query.parse.parameters import Asked
from kscope.query.scan.freed_memory import consumed, empty
from kscope.query.scan.heaviest import REST
from kscope.query.scan.parallel import together
from kscope.query.scan.read import Groups
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
    sides = await together(
        summed(reader, question), summed(reader, replace(question, scope=asked.base))
    )
    groups = [side.sums.groups for side in sides]
    sums = await asyncio.to_thread(_sums, *groups)
    paths = await paths_of(reader, question, sums)

    def compared(*_: Any) -> Comparison:
        # Each walks through all groups.
        rests = [rest_of(side.sums) for side in sides]
        return _compared(sides, rests, _rows(sides, rests, sums, paths), asked)

    large: list[Any] = [*groups, sums, paths]
    return await consumed(compared, *large)


def _sums(groups: Groups, base: Groups) -> dict[Key, list[Any]]:
    """Return key -> value, base value, events, base events, and whether it is in each.

    A value may be 0 and its stack yet be there.
    """
    sums = {key: [value, 0, events, 0, 1, 0] for key, (value, events, _) in groups.items()}
    for key, (value, events, _) in base.items():
        found = sums.get(key)
        if found is None:
            sums[key] = [0, value, 0, events, 0, 1]
        else:
            found[1], found[3], found[5] = value, events, 1
    return sums


def _rows(
    sides: Sequence[SummedStacks],
    rests: Sequence[tuple[Any, int]],
    sums: Mapping[Key, list[Any]],
    paths: Mapping[Key, Path],
) -> list[tuple[Path, list[Any]]]:
    """Return the path of each sum; the root is in both sides, also of an answer without stacks."""
    rows: list[tuple[Path, list[Any]]] = [((), [0, 0, 0, 0, 1, 1])]
    for at, side in enumerate(sides):
        if side.sums.left_out:
            rest = [0] * 6
            rest[at], rest[at + 2] = rests[at]
            rest[at + 4] = 1
            rows.append(((REST,), rest))
    return rows + [(paths[key], found) for key, found in sums.items()]


def _compared(
    sides: Sequence[SummedStacks],
    rests: Sequence[tuple[Any, int]],
    rows: list[tuple[Path, list[Any]]],
    asked: Asked,
) -> Comparison:
    side, base = sides
    normalised = asked["normalised"] == "true"
    shape, rows = tree(rows)
    runs = runs_of(shape)
    own, base_own, *others = (
        runs.own(column) for column in zip(*(each for _, each in rows), strict=True)
    )
    value, base_value, count, base_count, here, there = map(runs.totals, (own, base_own, *others))
    total, base_total = value[0], base_value[0]
    # One division: a product with the rounded scale would not come out even at the root.
    scaled = normalised and base_total and total
    expected = [each * total / base_total for each in base_value] if scaled else base_value
    scale = total / base_total if scaled else 1
    columns = Sides(value, base_value, own, base_own)
    drawn = Drawn(shape, runs, [path for path, _ in rows])
    changes = frame_changes(drawn, columns, scale, asked["n"])
    empty([rows])
    said = list(dict.fromkeys([*side.notices, *base.notices]))
    return Comparison(
        **profile(side, shape, runs.of_nodes(value), runs.of_last_nodes(own)) | {"notices": said},
        mode="normalised" if normalised else "absolute",
        scale=scale,
        base_value=runs.of_nodes(base_value),
        base_own=runs.of_last_nodes(base_own),
        count=runs.of_nodes(count),
        base_count=runs.of_nodes(base_count),
        rest=rests[0][0],
        base_rest=rests[1][0],
        delta=runs.of_nodes(map(sub, value, expected)),
        appeared=_only_in(runs, here, there),
        vanished=_only_in(runs, there, here),
        base_total=base_total,
        base_rows=base.rows,
        base_meta=meta(base.scan, base.rows),
        seconds=asked.scope.range.seconds,
        base_seconds=asked.base_seconds,
        frames=changes.frames,
        new=changes.new,
        gone=changes.gone,
    )


def _only_in(runs: Runs, here: Sequence[Any], there: Sequence[Any]) -> list[int]:
    """Name the nodes of one side alone whose parent both sides have, as they have the root."""
    columns = zip(runs.starts, runs.above, here, there, strict=True)
    return [start for start, above, ours, theirs in columns if ours and not theirs and there[above]]


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
