"""JSON text is cut into pieces, so that no call decodes all of it.

This module does not build values. The decoder of a piece finds out whether it is JSON.
"""

import re
from dataclasses import dataclass

_MEGABYTE = 1024 * 1024
# The most bytes that one call decodes: it holds the interpreter for a few milliseconds.
_GUESSED = 256 * 1024
_EXACT = 32 * 1024
# An element of an array, such as a row. A stack of 65,536 characters may be 786 KiB of escapes.
ELEMENT_BYTES = _MEGABYTE
ELEMENT_VALUES = 4096
DEPTH = 16
_NAME_BYTES = 4096
_SPACES = 64 * 1024
_TRIES = 4
_BACKSLASH = ord("\\")

_SPACE = re.compile(rb"[ \t\n\r]*+")
# A small row without objects in it, which nearly every row is, in one match.
_FLAT = re.compile(rb'\{(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"|\[[^"{}\[\]]*+\])*+\}', re.DOTALL)
_FLAT_BYTES = 4096
# A name without escapes.
_NAME = re.compile(rb'"[^"\\]*+"')
# Values that are no arrays or objects, as many as there are whole ones.
_SCALAR = rb'[ \t\n\r]*+(?:"(?:[^"\\]++|\\.)*+"|[^"\[\]{},\s]++)[ \t\n\r]*+(?=[,\]])'
# Not possessive: some releases of Python 3.11 then keep a part of a value.
_RUN = re.compile(rb"%b(?:,%b)*" % (_SCALAR, _SCALAR), re.DOTALL)
# Strings are one token. The groups are: opened, closed, next, and a string without an end.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|([\[{])|([\]}])|(,)|(")', re.DOTALL)
_OPENED, _CLOSED, _NEXT, _ENDLESS = 1, 2, 3, 4
# The end of an element -> what follows it if another one does, and the end of the last.
_BETWEEN = {
    b"}": re.compile(rb"[ \t\n\r]*+,[ \t\n\r]*+\{"),
    b'"': re.compile(rb'[ \t\n\r]*+,[ \t\n\r]*+"'),
    b"]": re.compile(rb"[ \t\n\r]*+,[ \t\n\r]*+\["),
}
_LAST = {
    b"}": re.compile(rb"\}[ \t\n\r]*+\]"),
    b'"': re.compile(rb'"[ \t\n\r]*+\]'),
    b"]": re.compile(rb"\][ \t\n\r]*+\]"),
}
# The first byte of an element -> its last one. Numbers have none.
_CLOSINGS = {b"{": b"}", b'"': b'"', b"[": b"]"}


class NotJsonError(Exception):
    """The text is not JSON in the part that begins at byte `at`; `detail` may say more."""

    def __init__(self, at: int, detail: str = "") -> None:
        super().__init__(at, detail)
        self.at = at
        self.detail = detail


class TooLargeError(Exception):
    """A value has more bytes, values or levels than any valid value in its place."""


@dataclass
class Cursor:
    """A position in a text. Methods move it behind what they read, or raise NotJsonError."""

    text: bytes | bytearray
    at: int = 0

    def peek(self) -> bytes:
        """Return the next byte that is not a space, or nothing at the end."""
        first = self.text[self.at : self.at + 1]
        if first > b" ":
            return bytes(first)
        while True:
            found = _SPACE.match(self.text, self.at, self.at + _SPACES)
            self.at = found.end() if found else self.at
            if not found or found.end() - found.start() < _SPACES:
                return bytes(self.text[self.at : self.at + 1])

    def take(self, expected: bytes) -> None:
        if not self.has(expected):
            raise NotJsonError(self.at)

    def has(self, expected: bytes) -> bool:
        found = self.peek() == expected
        self.at += found
        return found

    def another(self, end: bytes) -> bool:
        """Return whether a comma follows, rather than the end of the array or object."""
        if self.has(b","):
            return True
        self.take(end)
        return False

    def end(self) -> None:
        if self.peek():
            raise NotJsonError(self.at)

    def name(self) -> bytes:
        """Return the JSON text of a member's name. Raise TooLargeError."""
        if self.peek() != b'"':
            raise NotJsonError(self.at)
        if found := _NAME.match(self.text, self.at, self.at + _NAME_BYTES):
            self.at = found.end()
            return found.group()
        return self.value(_NAME_BYTES, 1)

    def value(self, most_bytes: int, most_values: int) -> bytes:
        """Return the text of the value that begins here. Raise TooLargeError."""
        self.peek()
        start, self.at = self.at, value_end(self.text, self.at, most_bytes, most_values)
        return bytes(self.text[start : self.at])


def value_end(text: bytes | bytearray, at: int, most_bytes: int, most_values: int) -> int:
    """Return the place behind the value at `at`. Raise TooLargeError, NotJsonError."""
    limit = min(len(text), at + most_bytes)
    if flat := _FLAT.match(text, at, min(limit, at + min(_FLAT_BYTES, most_values))):
        return flat.end()
    depth = values = 0
    for token in _TOKEN.finditer(text, at, limit):
        kind = token.lastindex
        if kind == _ENDLESS:
            break
        if not depth and kind in (_CLOSED, _NEXT):
            if token.start() > at:
                return token.start()
            raise NotJsonError(at)
        depth += (kind == _OPENED) - (kind == _CLOSED)
        values += kind in (_OPENED, _NEXT)
        if depth > DEPTH or values > most_values:
            raise TooLargeError
        if not depth:
            return token.end()
    raise TooLargeError if limit < len(text) else NotJsonError(at)


def guessed_end(text: bytes | bytearray, at: int, closing: bytes) -> int | None:
    """Guess where an array's elements can be cut: behind an element, near 256 KiB.

    Elements end with `closing`, and so may texts in them; without it, as the first one should.
    A wrong guess leaves a string, an array or an object unfinished, so that the piece is not JSON.
    """
    limit = min(len(text), at + _GUESSED)
    closing = closing or _CLOSINGS.get(bytes(text[at : at + 1]), b"")
    if not closing:
        return _end_of_numbers(text, at, limit)
    last = text.find(closing + b"]", at, limit)
    while _is_escaped(text, last, closing):
        last = text.find(closing + b"]", last + 1, limit)
    if last >= 0:
        return last + 1
    if limit == len(text) and (found := _LAST[closing].search(text, at)):
        return found.start() + 1
    for _ in range(_TRIES):
        limit = text.rfind(closing, at, limit)
        if limit < 0:
            return None
        if _is_escaped(text, limit, closing):
            continue
        if _BETWEEN[closing].match(text, limit + 1, limit + 1 + _SPACES):
            return limit + 1
    return None


def _is_escaped(text: bytes | bytearray, at: int, closing: bytes) -> bool:
    """Return whether it seems that a quote is inside a text."""
    return closing == b'"' and at > 0 and text[at - 1] == _BACKSLASH


def _end_of_numbers(text: bytes | bytearray, at: int, limit: int) -> int | None:
    end = text.find(b"]", at, limit)
    end = text.rfind(b",", at, limit) if end < 0 else end
    return end if end > at else None


def exact_end(text: bytes | bytearray, at: int) -> int:
    """Return the place behind the last whole element of an array within 32 KiB, one at least.

    Raise TooLargeError for an element that no reader takes, NotJsonError.
    """
    cursor = Cursor(text, at)
    end = at
    while end == at or end - at < _EXACT:
        try:
            if run := _RUN.match(text, cursor.at, at + _EXACT):
                cursor.at = run.end()
            else:
                cursor.value(ELEMENT_BYTES, ELEMENT_VALUES)
        except (TooLargeError, NotJsonError):
            # The elements before it are decoded first.
            if end == at:
                raise
            break
        end = cursor.at
        if not cursor.has(b","):
            break
    return end
