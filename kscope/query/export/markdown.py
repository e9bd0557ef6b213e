"""Comparisons as Markdown, for a ticket."""

from collections.abc import Sequence

from kscope.declare.units import readable
from kscope.query.answers.compare import Comparison
from kscope.query.answers.frame_changes import FrameChange
from kscope.query.export.base import ComparisonFormat
from kscope.query.parse.timerange import iso

# Of a table's cell in Markdown.
_ESCAPED = str.maketrans({"|": "\\|", "`": "'", "\n": " ", "\r": " "})
_MOST = 20


def _markdown(answer: Comparison) -> bytes:
    """Two lines about the sides, then the frames: new, gone, and those that differ most."""
    side, base, unit = answer.meta, answer.base_meta, answer.unit
    lines = [
        f"**{answer.table}: {answer.value_column}**",
        "",
        f"- now: {iso(side.start)} to {iso(side.end)}, {readable(answer.total, unit)}",
        f"- base: {iso(base.start)} to {iso(base.end)}, {readable(answer.base_total, unit)}",
    ]
    if answer.mode == "normalised":
        lines.append("- changes are those of shares of the total")
    for title, frames in (
        ("New", answer.new),
        ("Gone", answer.gone),
        ("Changed", answer.frames),
    ):
        lines += _table(title, frames[:_MOST], unit)
    return ("\n".join(lines) + "\n").encode()


def _table(title: str, frames: Sequence[FrameChange], unit: str) -> list[str]:
    if not frames:
        return []
    head = ["", f"| {title} | base | now | share | ratio |", "| --- | ---: | ---: | ---: | ---: |"]
    return [*head, *(_row(each, unit) for each in frames)]


def _row(frame: FrameChange, unit: str) -> str:
    base, now = readable(frame.base_value, unit), readable(frame.value, unit)
    shares = f"{100 * frame.base_share:.3g} % -> {100 * frame.share:.3g} %"
    ratio = f"{frame.ratio:.3g}" if frame.ratio else ""
    return f"| `{frame.name.translate(_ESCAPED)}` | {base} | {now} | {shares} | {ratio} |"


FORMATS = (
    ComparisonFormat(
        name="markdown",
        media_type="text/markdown; charset=utf-8",
        ending="md",
        help="the frames of a comparison as tables, for a ticket",
        encode=_markdown,
    ),
)
