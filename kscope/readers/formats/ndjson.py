"""Rows as JSON objects, one a line, as our own export writes them."""

from collections.abc import Iterator

from kscope.readers.reading.base import Format, Head, Line, ReadError, Reading
from kscope.readers.reading.jsontext import NotJsonError, decoded


def _read(reading: Reading) -> Iterator[Line]:
    """Yield objects unchanged: they may have `time` and `hostname`; the server checks the rest."""
    for number, line in reading.lines():
        if not line.strip():
            continue
        try:
            row = decoded(line)
        except NotJsonError as error:
            raise ReadError(number, f"is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise ReadError(number, 'is not an object, such as {"process": "mysqld"}')
        yield Line(number, row)


def _matches(head: Head) -> bool:
    return head.text.lstrip().startswith("{")


FORMATS = (
    Format(
        name="ndjson",
        help="rows as JSON objects, one a line, as `kscope query rows --format ndjson` writes them",
        example="kscope query rows execsnoop --format ndjson | kscope import execsnoop -",
        matches=_matches,
        read=_read,
        rank=60,
        live=True,
        fills_unknown=False,
    ),
)
