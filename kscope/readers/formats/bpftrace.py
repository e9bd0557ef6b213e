"""The output of bpftrace: maps at its end or in intervals, and the lines of printf."""

import re
from collections.abc import Iterator

from kscope.readers.reading.base import Format, Head, Line, Reading, Survey
from kscope.readers.tools.map_json import JsonLines
from kscope.readers.tools.map_reading import MapReading, Parser
from kscope.readers.tools.map_text import BANNER, TextLines

# bpftrace's warnings may come before, if both are in one file.
_JSON = re.compile(
    r'^[ \t]*\{\s*"type"\s*:\s*"(?:attached_probes|map|hist|stats|tseries|printf|time|value|join'
    r'|cat|lost_events|helper_error|errorf?)"\s*,\s*"data"\s*:',
    re.MULTILINE,
)
_MAP = re.compile(r"(?:\d\d:\d\d:\d\d )?@\w*(?:\[.*|:(?: .*)?)")
_OPTIONS = frozenset({"event", "keys", "printed", "value", "root", "frequency", "unit", "scale"})


def _format(name: str, help_: str, example: str, parser: Parser) -> Format:
    def read(reading: Reading) -> Iterator[Line]:
        return MapReading(reading, parser).lines()

    def survey(reading: Reading) -> Survey:
        return MapReading(reading, parser).survey()

    return Format(
        name=name,
        help=help_,
        example=example,
        matches=_matches_json if parser is JsonLines else _matches_text,
        read=read,
        survey=survey,
        rank=20,
        options=_OPTIONS,
        live=True,
    )


def _matches_json(head: Head) -> bool:
    return _JSON.search(head.text) is not None


def _matches_text(head: Head) -> bool:
    lines = head.lines()
    return bool(lines) and bool(
        BANNER.fullmatch(lines[0].strip()) or any(map(_MAP.fullmatch, lines))
    )


FORMATS = (
    _format(
        "bpftrace",
        "bpftrace's maps (stacks, counts, histograms) and lines of printf, as text",
        "bpftrace profile.bt | kscope import profile - --frequency 99",
        TextLines,
    ),
    _format(
        "bpftrace-json",
        "the same as `bpftrace -f json` prints it",
        "bpftrace -f json profile.bt | kscope import profile - --frequency 99",
        JsonLines,
    ),
)
