"""Answers in a terminal: aligned tables, and flame graphs of coloured cells."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from kscope.declare.units import readable
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.timeseries import Timeseries
from kscope.query.answers.tree import boxes
from kscope.query.parse.timerange import iso

_MOST_LEVELS = 100
_WIDEST_CELL = 60
_KERNEL, _LIBRARY, _USER = 215, 151, 222
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
_RESET = "\x1b[0m"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns as wide as they need; numbers to the right."""
    cells = ([_cell(value) for value in row] for row in rows)
    columns = [_column(*column) for column in zip(names, *cells, strict=True)]
    return "".join("  ".join(line).rstrip() + "\n" for line in zip(*columns, strict=True))


def _column(name: str, *cells: str) -> list[str]:
    right, width = _is_number(cells), max(map(_width, (name, *cells)))
    return [_padded(cell, width, right=right) for cell in (name, *cells)]


def timeseries(answer: Timeseries) -> tuple[list[str], list[list[Any]]]:
    """A line for each step, a column for each series."""
    names = ["time", *(each.name for each in answer.series)]
    return names, [
        [iso(time), *(each.values[step] for each in answer.series)]
        for step, time in enumerate(answer.times)
    ]


def frames(answer: Flamegraph) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Each frame's self and total time over all places, the largest self first."""
    own: dict[str, Any] = {}
    total: dict[str, Any] = {}
    open_names: list[int] = []
    for name, level, value, self_value in zip(
        answer.name, answer.level, answer.value, answer.own, strict=True
    ):
        del open_names[level:]
        text = answer.names[name]
        own[text] = own.get(text, 0) + self_value
        # A recursive frame's inner places are in its outer one already.
        total[text] = total.get(text, 0) + (0 if name in open_names else value)
        open_names.append(name)
    ranked = sorted(own, key=lambda text: (-own[text], -total[text], text))
    unit = answer.unit
    return ["frame", "self", "total"], [
        (text, readable(own[text], unit), readable(total[text], unit)) for text in ranked
    ]


def flame(answer: Flamegraph, width: int, *, colour: bool) -> str:
    """Draw the root at the top, one line a level; a box is as wide as its share of `width`."""
    if not answer.total:
        return "no rows\n"
    lines = _levels(answer, width)
    drawn = "".join(_line(boxes, width, colour=colour) + "\n" for boxes in lines[:_MOST_LEVELS])
    more = len(lines) - _MOST_LEVELS
    return drawn + (f"… {more} more levels\n" if more > 0 else "")


def _levels(answer: Flamegraph, width: int) -> list[list[tuple[int, int, str]]]:
    """The boxes of each level, (first cell, end, text), that are a cell wide at least."""
    levels: list[list[tuple[int, int, str]]] = []
    for node, (left, share) in enumerate(boxes(answer.level, answer.value, 0, width)):
        first, end, level = round(left), round(left + share), answer.level[node]
        if end > first:
            levels += [[] for _ in range(level + 1 - len(levels))]
            text = f"{answer.names[answer.name[node]]} {readable(answer.value[node], answer.unit)}"
            levels[level].append((first, end, text))
    return levels


def _line(boxes: Sequence[tuple[int, int, str]], width: int, *, colour: bool) -> str:
    line, at = "", 0
    for first, end, text in boxes:
        # Without colours a bar begins each box; with them a gap ends it where there is room.
        room = end - first - 1
        label = _padded(_cut(printable(text), room), room, right=False) if room > 0 else ""
        line += " " * (first - at)
        line += _coloured(label + " ", text) if colour else f"|{label}"
        at = end
    return (line + " " * (width - at)).rstrip() if not colour else line


def _coloured(label: str, text: str) -> str:
    name = text.rsplit(" ", 2)[0]
    shade = _KERNEL if name.endswith("_[k]") else _LIBRARY if name.endswith("]") else _USER
    # A box of one cell has no room for the gap, and is painted whole.
    painted, gap = (label[:-1], " ") if len(label) > 1 else (label, "")
    return f"\x1b[38;5;16;48;5;{shade}m{painted}{_RESET}{gap}"


def printable(text: str) -> str:
    """Take out what would steer the terminal: names come from other people's programs."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in _STEERING else each
        for each in text
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return _cut(printable(str(value)), _WIDEST_CELL)


def _is_number(cells: Iterable[str]) -> bool:
    return all(cell == "-" or cell[:1].isdigit() or cell[:2].strip("-").isdigit() for cell in cells)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept = ""
    for character in text:
        if _width(kept + character) > width - 1:
            break
        kept += character
    return kept + "…" if width > 0 else ""


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
