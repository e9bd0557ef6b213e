"""Frames in the texts of other programs: separators, frames without a name, stacks without any."""

from collections.abc import Iterable, Iterator

from kscope.query.answers.compare import Comparison
from kscope.query.answers.tree import Path

EMPTY = "[no stack]"
# perf's word for it. A frame without a name would be a box without a text, or two separators.
UNNAMED = "[unknown]"
# A frame's name cannot contain the separators of frames and lines. Some readers take every control
# character for the end of a line.
_SEPARATORS = {ord(";"): ":"} | dict.fromkeys([*range(32), *range(127, 160), 0x2028, 0x2029], " ")


def line(path: Iterable[str]) -> str:
    """Return the frames as folded text has them, without a number."""
    return ";".join(map(_frame, path)) or EMPTY


def _frame(name: str) -> str:
    kept = name.translate(_SEPARATORS)
    return kept if kept.strip() else UNNAMED


def paths(answer: Comparison) -> Iterator[tuple[Path, int]]:
    """Yield the path and the place of each node of a comparison in which stacks of a side end."""
    way: list[str] = []
    ends = zip(answer.name, answer.level, answer.own, answer.base_own, strict=True)
    for place, (name, level, own, base) in enumerate(ends):
        del way[max(0, level - 1) :]
        if level:
            way.append(answer.names[name])
        if own or base:
            yield tuple(way), place
