"""Folded text, as stackcollapse-*.pl, bcc's -f and our own export write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kscope.readers.base import Line, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kscope.readers.base import Target

_NO_STACK = "[no stack]"


def folded(lines: Iterable[str], target: Target) -> Iterator[Line]:
    """`process;main;write 42`, root first; without a root column the process is no frame."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        stack, _, value = text.rpartition(" ")
        row: dict[str, Any] = {target.value.name: _number(number, value)}
        if stack == _NO_STACK:
            stack = ""
        if target.root:
            row[target.root.name], _, stack = stack.partition(";")
        row[target.stack.name] = stack
        yield Line(number, row)


def _number(line: int, text: str) -> int:
    try:
        number = float(text)
        if number >= 0:
            return round(number)
    except (ValueError, OverflowError):
        pass
    raise ReadError(line, f"must end with a number, as in main;write 42, not with {text[:40]!r}")
