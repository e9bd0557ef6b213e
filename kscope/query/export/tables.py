"""Tables as CSV, NDJSON or an array of JSON, in pieces."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kscope.declare.types.base import Storage
from kscope.query.answers.question import TableColumn, with_times
from kscope.query.export.base import TableFormat

_NUMBERS = (Storage.INTEGER, Storage.REAL)

# A spreadsheet would run such a text as a formula, after spaces too. An apostrophe before it marks
# a text; one more is put before a text that has one, so that removing one restores the text.
_FORMULA = re.compile(
    "'*\\s*[=+\\-@\\t\\r\\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}\N{MINUS SIGN}]"
)


@dataclass(slots=True)
class _Lines:
    """A line for each row, after `heading`; times are written as ISO 8601."""

    encode: Callable[[Iterable[Sequence[Any]]], bytes]
    columns: Sequence[TableColumn]
    heading: bytes = b""

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        times = [i for i, each in enumerate(self.columns) if each.kind is Storage.TIME]
        return self.end() + self.encode(with_times(rows, times) if times else rows)

    def end(self) -> bytes:
        begin, self.heading = self.heading, b""
        return begin

    def close(self) -> None:
        pass


@dataclass(slots=True)
class _Objects:
    """An array with an object for each row; `before` comes before the next one."""

    columns: Sequence[TableColumn]
    before: bytes = b"["

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        times = [i for i, each in enumerate(self.columns) if each.kind is Storage.TIME]
        names = [each.name for each in self.columns]
        objects = (dict(zip(names, row, strict=True)) for row in with_times(rows, times))
        written = b",\n".join(map(msgspec.json.encode, objects))
        if not written:
            return b""
        before, self.before = self.before, b",\n"
        return before + written

    def end(self) -> bytes:
        return b"[]" if self.before == b"[" else b"]"

    def close(self) -> None:
        pass


def _ndjson(columns: Sequence[TableColumn]) -> _Lines:
    names = [each.name for each in columns]

    def encode(rows: Iterable[Sequence[Any]]) -> bytes:
        objects = (dict(zip(names, row, strict=True)) for row in rows)
        return b"".join(msgspec.json.encode(each) + b"\n" for each in objects)

    return _Lines(encode, columns)


def _csv(columns: Sequence[TableColumn]) -> _Lines:
    """The texts of a column of numbers are numbers."""
    numbers = {i for i, each in enumerate(columns) if each.of and each.of.type.storage in _NUMBERS}

    def encode(rows: Iterable[Sequence[Any]]) -> bytes:
        return _lines(
            [value if i in numbers else _cell(value) for i, value in enumerate(row)] for row in rows
        )

    return _Lines(encode, columns, _lines([[_cell(each.name) for each in columns]]))


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
        title="CSV",
    ),
    TableFormat(
        name="ndjson",
        media_type="application/x-ndjson",
        ending="ndjson",
        help="one JSON object a line",
        encoder=_ndjson,
        title="NDJSON",
    ),
    TableFormat(
        name="objects",
        media_type="application/json",
        ending="json",
        help="an array of JSON objects, one a row, as Grafana's Infinity reads it",
        encoder=_Objects,
        listed=True,
    ),
)
