"""Folded text, as stackcollapse-*.pl, bcc's -f and our export write it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kscope.declare.model import Column
from kscope.readers.base import ImportColumns, Line, ReadError

# No tool writes longer numbers, and the server accepts only shorter ones.
_NUMBER = re.compile(r"(\d{1,40})(?:\.(\d{0,40}))?", re.ASCII)
_NO_STACK = "[no stack]"


def folded(lines: Iterable[str], columns: ImportColumns) -> Iterator[Line]:
    """Read `process;main;write 42`, root first; the root column receives the first frame."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        stack, _, value = text.rpartition(" ")
        row: dict[str, Any] = {columns.value.name: _number(number, value, columns.value)}
        if stack == _NO_STACK:
            stack = ""
        if columns.root:
            row[columns.root.name], _, stack = stack.partition(";")
        row[columns.stack.name] = stack
        yield Line(number, row)


def _number(line: int, text: str, column: Column) -> int | float:
    """Return the exact number. Raises ReadError."""
    found = _NUMBER.fullmatch(text)
    if found and column.type.json["type"] == "number":
        return float(text)
    if found and not (found[2] or "").strip("0"):
        return int(found[1])
    if found:
        raise ReadError(line, f"{text} is not a whole number, as {column.name} are")
    raise ReadError(line, f"must end with a number, as in main;write 42, not with {text[:40]!r}")
