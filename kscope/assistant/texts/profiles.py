"""Flame graphs and comparisons of two."""

from collections.abc import Sequence
from itertools import islice

from kscope.assistant.texts.cells import Part, Text, amount, row, share, span, table
from kscope.assistant.texts.tree import tree
from kscope.declare.units import readable
from kscope.query.answers.compare import Comparison
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.frame_changes import FrameChange
from kscope.query.export.terminal import frames

_MOST_SELF = 10


def flamegraph(answer: Flamegraph, lines: int) -> Text:
    facts = [
        f"value: {answer.value_column}, stacks: {answer.stack}, grouped by: {answer.by or '-'}"
    ]
    facts.append(f"total: {amount(answer.total, answer.unit)}")
    if answer.rest:
        facts.append(f"of groups that are left out: {amount(answer.rest, answer.unit)}")
    if not answer.total:
        return Text(facts, [])
    names, ranked = frames(answer)
    nothing = readable(0, answer.unit)
    own = [each for each in islice(ranked, _MOST_SELF) if each[1] != nothing]
    heaviest = Part("Frames with the largest self:", table(names, own))
    return Text(facts, [tree(answer, lines), heaviest])


def comparison(answer: Comparison) -> Text:
    unit, base = answer.unit, answer.base_meta
    other = _side(answer.base_total, answer.base_seconds, answer.base_rows, unit)
    facts = [
        f"value: {answer.value_column}, stacks: {answer.stack}, grouped by: {answer.by or '-'}",
        f"side: {_side(answer.total, answer.seconds, answer.rows, unit)}",
        f"base: {other}, {span(base.start, base.end)}",
    ]
    if answer.mode == "normalised":
        facts.append(f"normalised: delta is against the base times {answer.scale:.4g}")
    parts = [
        Part("Frames that differ most, the side against the base:", _frames(answer.frames, unit)),
        Part("Frames that the base does not have:", _frames(answer.new, unit)),
        Part("Frames that the base alone has:", _frames(answer.gone, unit)),
    ]
    less = "ask with a smaller `n`"
    shown = zip(parts, (answer.frames, answer.new, answer.gone), strict=True)
    return Text(facts, [Part(part.title, part.lines, less) for part, found in shown if found])


def _side(total: float, seconds: float, rows: int, unit: str) -> str:
    rate = readable(total / seconds, unit) if seconds else "-"
    return f"{amount(total, unit)} in {seconds:.6g} s, {rate} a second, {rows:,} rows"


def _frames(found: Sequence[FrameChange], unit: str) -> list[str]:
    heads = ("frame", "side", "base", "delta", "side's share", "base's share", "times")
    rows = [
        (
            each.name,
            readable(each.value, unit),
            readable(each.base_value, unit),
            readable(each.delta, unit),
            share(each.share),
            share(each.base_share),
            each.ratio,
        )
        for each in found
    ]
    return list(table(heads, rows)) if rows else [row(("none",))]
