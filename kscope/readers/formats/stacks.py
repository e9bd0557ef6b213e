"""Stacks a frame a line, as bcc's and libbpf-tools' offcputime and its kind print them."""

import re
from collections.abc import Iterator
from itertools import pairwise

from kscope.readers.reading.base import Format, Head, Line, Reading, Survey
from kscope.readers.tools.blocks import NUMBER, Blocks
from kscope.readers.tools.clock import Clock
from kscope.readers.tools.units import say_unit

# The line before the number: a thread, a process, the other side of a wake-up, or stackcount's
# last frame. Frames of `perf script` are farther from the margin.
_LAST = re.compile(
    r"\s++- ++.+ \(-?\d+\)|\s++.+ \[\d+\]|\s++(?:target|waker): .*|  [^\s\d].*", re.ASCII
)


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row per stack."""
    say_unit(reading)
    blocks = Blocks(reading)
    for number, line in reading.lines():
        yield from blocks.read(number, line)


def _survey(reading: Reading) -> Survey:
    clock = Clock()
    for _, line in reading.lines():
        if not line[:1].isspace():
            clock.read(line)
    return Survey(length=clock.at)


def _matches(head: Head) -> bool:
    pairs = pairwise(head.lines())
    return any(NUMBER.fullmatch(line) and _LAST.fullmatch(before) for before, line in pairs)


FORMATS = (
    Format(
        name="stacks",
        help="stacks a frame a line: bcc's and libbpf-tools' offcputime, profile, stackcount, ...",
        example="offcputime-bpfcc -p 1234 10 | kscope import offcputime -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=38,
        options=frozenset({"value", "root", "frequency", "unit", "scale"}),
        live=True,
    ),
)
