"""Lines of data: each begins with a bar, and no name from a traced host can begin another line.

Names of processes, frames, hosts and files come from other people's programs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kscope.declare.units import UNITS, readable
from kscope.query.export.terminal import printable
from kscope.query.parse.timerange import iso

# Characters of a name, and of a stack or another text that may be longer.
_LONGEST_NAME = 160
_LONGEST_CELL = 400
# In place of the middle of a long text.
MIDDLE = " … "
_SHARES = ("share", "base_share")


@dataclass(frozen=True, slots=True)
class Part:
    """A title and lines of data. `less` says how to ask for fewer of them, or for others."""

    title: str
    lines: Iterable[str]
    less: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """An answer: facts, a line each, and lines of data."""

    facts: Sequence[str]
    parts: Sequence[Part]


def name(text: str) -> str:
    """Return a name as one word of a line: without steering characters, and not too long."""
    return printable(_cut(text, _LONGEST_NAME))


def cell(value: Any) -> str:
    """Return a value as a cell of a table."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
        case int():
            return str(value)
    return printable(_cut(str(value), _LONGEST_CELL)).replace("|", "\\|")


def _cut(text: str, most: int) -> str:
    """Leave out the middle: the end of a stack or of a C++ name tells more than that."""
    if len(text) <= most:
        return text
    begin = most // 3
    return f"{text[:begin]}{MIDDLE}{text[begin + len(MIDDLE) - most :]}"


def as_json(answer: msgspec.Struct) -> Iterator[str]:
    """Yield the lines of an answer that has no form here."""
    written = msgspec.json.format(msgspec.json.encode(answer), indent=1).decode()
    yield from (line(printable(each)) for each in written.split("\n"))


def line(text: str) -> str:
    return f"| {text}"


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(
    names: Sequence[str], rows: Iterable[Sequence[Any]], amounts: Sequence[int] = (), unit: str = ""
) -> Iterator[str]:
    """Yield a Markdown table. The columns at the places `amounts` are in `unit`.

    Of times and sizes each amount is there for a person, and as it is stored.
    """
    twice = unit in UNITS
    shares = [place for place, each in enumerate(names) if each in _SHARES]
    heads = []
    for place, each in enumerate(names):
        if place not in amounts:
            heads.append(cell(each))
        else:
            heads += (
                [cell(each), f"in {unit}"]
                if twice
                else [cell(f"{each} ({unit})" if unit else each)]
            )
    yield row(heads)
    yield row(["---"] * len(heads)).replace(" ", "")
    for values in rows:
        cells: list[str] = []
        for place, value in enumerate(values):
            if place in amounts and twice:
                cells += [readable(value, unit), cell(value)]
            elif place in shares:
                cells.append(share(value))
            else:
                cells.append(cell(value))
        yield row(cells)


def share(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"


def amount(value: Any, unit: str) -> str:
    """Write `15 ms (15031 us)`; a number without larger units alone."""
    if value is None or unit not in UNITS:
        return f"{cell(value)} {unit}".rstrip()
    text, exact = readable(value, unit), f"{cell(value)} {unit}"
    return text if text == exact else f"{text} ({exact})"


def moment(time: int | None) -> str:
    """Write microseconds since the epoch, without a fraction of zero."""
    return "-" if time is None else iso(time).replace(".000000Z", "Z")


def span(start: int, end: int) -> str:
    """Write a range with its length."""
    return f"{moment(start)} to {moment(end)} ({readable(end - start, 'us')})"
