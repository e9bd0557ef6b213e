"""Folded text, as stackcollapse-*.pl, bcc's -f and our export write it."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice

from kscope.profiles.frames import KERNEL
from kscope.profiles.sample import Sample
from kscope.readers.reading.base import (
    LONGEST_LINE,
    Format,
    Head,
    Line,
    ReadError,
    Reading,
    Survey,
)
from kscope.readers.tools.units import say_unit

# No tool writes longer numbers, and the server accepts only shorter ones.
_NUMBER = re.compile(r"\d{1,40}(?:\.\d{0,40})?", re.ASCII)
_ENDS_WITH_NUMBER = re.compile(r"\S.*\s\d+(?:\.\d*)?\s*", re.ASCII)
_ENDS_WITH_TWO = re.compile(r".*\S\s+\d+(?:\.\d*)?\s+\d+(?:\.\d*)?\s*", re.ASCII)
_NO_STACK = "[no stack]"
# bcc's -d writes it between the frames of a program and those of the kernel.
_DELIMITER = "-"
_CHECKED = 1000
_NO_NUMBER = "must end with a number, as in main;write 42"


def _read(reading: Reading) -> Iterator[Line]:
    """Read `process;main;write 42`, root first; the root column receives the first frame."""
    say_unit(reading)
    _say_root(reading)
    for number, line in reading.lines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        stack, _, value = text.rpartition(" ") if " " in text else text.rpartition("\t")
        if not _NUMBER.fullmatch(value):
            if ";" in text:
                # A stack is not left out: totals would be too small.
                raise ReadError(number, f"{_NO_NUMBER}, not with {value[:40]!r}")
            reading.skipped.add(number, _NO_NUMBER)
            continue
        amount = _number(number, value, reading)
        frames = [] if stack.strip() == _NO_STACK else stack.rstrip().split(";")
        process = frames.pop(0) if reading.columns.root and frames else ""
        sample = Sample(_marked(frames), (reading.number(amount),), process)
        yield reading.line(number, sample)


def _say_root(reading: Reading) -> None:
    """Tell the user which column the first frame fills, if that may be a surprise."""
    root = reading.columns.root
    if root and root.name != "process" and reading.options.root is None:
        reading.notice(f"the first frame is taken as {root.name}; name another with --root")


def _marked(frames: Sequence[str]) -> tuple[str, ...]:
    """Mark the frames behind bcc's delimiter as the kernel's."""
    if _DELIMITER not in frames:
        return tuple(frames)
    at = frames.index(_DELIMITER)
    kernel = (name.removesuffix(KERNEL) + KERNEL for name in frames[at + 1 :])
    return (*frames[:at], *kernel)


def _number(line: int, text: str, reading: Reading) -> Fraction:
    """Return the exact number. Raises ReadError."""
    number = Fraction(text.rstrip("."))
    column, options = reading.columns.value, reading.options
    stated = options.unit or options.scale != 1
    if number.denominator != 1 and column.type.json["type"] == "integer" and not stated:
        counted = column.sampled_by or column.name
        raise ReadError(line, f"{text} is not a whole number, as {counted} are")
    return number


def _survey(reading: Reading) -> Survey:
    """Refuse a comparison, whose lines end with two numbers. Raises ReadError."""
    lines = (
        (number, line) for number, line in reading.lines() if line.strip()[:1] not in ("", "#")
    )
    first = list(islice(lines, _CHECKED))
    if first and all(_ENDS_WITH_TWO.fullmatch(line) for _, line in first):
        raise ReadError(
            first[0][0],
            "has two numbers, as a comparison has (difffolded.pl): import the two recordings that "
            "were compared, each by itself",
        )
    return Survey()


def _matches(head: Head) -> bool:
    lines = [line for line in head.lines(LONGEST_LINE) if not line.startswith("#")][:_CHECKED]
    found = [line for line in lines if _ENDS_WITH_NUMBER.fullmatch(line)]
    # A tool's warnings may stand between its stacks.
    damaged = len(found) > len(lines) / 2 and all(";" in line for line in found)
    return bool(lines) and (len(found) == len(lines) or damaged)


FORMATS = (
    Format(
        name="folded",
        help="folded stacks, one a line: stackcollapse-*.pl, inferno, bcc's -f, py-spy",
        example="offcputime-bpfcc -f -p 1234 10 | kscope import offcputime -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=90,
        options=frozenset({"value", "root", "frequency", "unit", "scale"}),
        live=True,
    ),
)
