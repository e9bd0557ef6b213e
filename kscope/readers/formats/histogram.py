"""Histograms of bcc and libbpf-tools: biolatency, runqlat, cpudist, softirqs -d."""

from collections.abc import Iterator

from kscope.readers.reading.base import Format, Head, Line, Reading, Survey
from kscope.readers.tools.histograms import HEADER, Histograms


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row for each histogram: one for each part of each interval."""
    histograms = Histograms(reading)
    for number, line in reading.lines():
        yield from histograms.read(number, line)
    yield from histograms.end()


def _survey(reading: Reading) -> Survey:
    histograms = Histograms(reading)
    for number, line in reading.lines():
        for _ in histograms.read(number, line):
            pass
    return Survey(length=histograms.clock.at)


def _matches(head: Head) -> bool:
    return any(map(HEADER.fullmatch, head.lines()))


FORMATS = (
    Format(
        name="histogram",
        help="histograms of bcc's and libbpf-tools' biolatency, runqlat, cpudist, softirqs -d, ...",
        example="biolatency-bpfcc -D 10 6 | kscope import biolatency -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=30,
        options=frozenset({"unit"}),
        live=True,
    ),
)
