"""Tables as CSV or NDJSON, in pieces."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kscope.query.export.base import Encode, TableFormat

# A spreadsheet would run such a text as a formula, after spaces too. An apostrophe before it marks
# a text; one more is put before a text that has one, so that removing one restores the text.
_FORMULA = re.compile(
    "'*\\s*[=+\\-@\\t\\r\\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}\N{MINUS SIGN}]"
)


def _ndjson(names: Sequence[str], _: frozenset[int]) -> Encode:
    return lambda rows: b"".join(
        msgspec.json.encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows
    )


def _csv(_: Sequence[str], numbers: frozenset[int]) -> Encode:
    return lambda rows: _lines(
        [value if i in numbers else _cell(value) for i, value in enumerate(row)] for row in rows
    )


def _heading(names: Sequence[str]) -> bytes:
    return _lines([list(map(_cell, names))])


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


FORMATS = (
    TableFormat(
        name="csv",
        media_type="text/csv; charset=utf-8",
        ending="csv",
        help="a table, its columns named in the first line",
        encoder=_csv,
        heading=_heading,
    ),
    TableFormat(
        name="ndjson",
        media_type="application/x-ndjson",
        ending="ndjson",
        help="one JSON object a line",
        encoder=_ndjson,
    ),
)
