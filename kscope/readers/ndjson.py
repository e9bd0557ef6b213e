"""Rows as JSON objects, one a line, as our own export writes them."""

from collections.abc import Iterable, Iterator

import msgspec

from kscope.readers.base import Line, ReadError

_JSON = msgspec.json.Decoder()


def ndjson(lines: Iterable[str], _: None = None) -> Iterator[Line]:
    """Yield objects unchanged: they may have `time` and `hostname`; the server checks the rest."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _JSON.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ReadError(number, f"is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise ReadError(number, 'is not an object, such as {"process": "mysqld"}')
        yield Line(number, row)
