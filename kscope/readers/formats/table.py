"""Tables with a header, as execsnoop and its kind print them.

PCOMM            PID    PPID   RET ARGS
sh               10474  10421    0 /bin/sh -c ls
"""

import re
from collections.abc import Iterator

from kscope.readers.reading.base import Format, Head, Line, Reading, Survey
from kscope.readers.tools.headers import like_header
from kscope.readers.tools.tables import Table, require_header

# The first line of CSV that names columns, as our own export does.
_NAMES = re.compile(r"[a-z_]\w{0,63}(?:,[a-z_]\w{0,63}){2,99}", re.ASCII)


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row per line below a header."""
    table, number = Table(reading), 1
    for number, line in reading.lines():
        yield from table.read(number, line)
    require_header(table, number)


def _survey(reading: Reading) -> Survey:
    table, first = Table(reading), 1
    for number, line in reading.lines():
        for _ in table.read(number, line):
            pass
    require_header(table, first)
    return Survey(length=table.clock.at)


def _matches(head: Head) -> bool:
    lines = head.lines()
    return any(map(like_header, lines)) or bool(lines and _NAMES.fullmatch(lines[0]))


FORMATS = (
    Format(
        name="table",
        help="a header and rows: execsnoop, opensnoop, biosnoop, tcplife, syscount, softirqs, ...",
        example="execsnoop-bpfcc -T | kscope import execsnoop -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=70,
        options=frozenset({"unit"}),
        live=True,
    ),
)
