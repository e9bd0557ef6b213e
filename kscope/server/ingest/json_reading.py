"""A body of JSON is read in pieces: each is cut where elements seem to end, and decoded at once."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.array_kinds import Path
from kscope.server.ingest.arrays import Elements
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.json_pieces import (
    ELEMENT_BYTES,
    ELEMENT_VALUES,
    Cursor,
    NotJsonError,
    TooLargeError,
    exact_end,
    guessed_end,
)
from kscope.server.ingest.reading import (
    SMALL_BYTES,
    SMALL_VALUES,
    BodyReading,
    EnoughError,
    TooLargeNameError,
    refusal,
)
from kscope.server.ingest.row_faults import wrong_value

_SKIPPED_VALUES = 10_000
# A body up to this size is decoded whole to explain why it is not JSON.
_WHOLE = 256 * 1024
# After this many wrong guesses, texts look like the ends of rows: stop guessing.
_WRONG_GUESSES = 3
# Bytes that one step reads.
_STEP = 128 * 1024


@dataclass
class JsonReading(BodyReading):
    """One pass over a body of JSON."""

    _wrong_guesses: int = 0
    _rested_at: int = 0

    def __post_init__(self) -> None:
        self._cursor = Cursor(self.text)

    @property
    def at(self) -> int:
        return self._cursor.at

    def body(self) -> Steps[None]:
        try:
            if self._cursor.peek() != b"{":
                yield Lane.DOUBT
                raise self._not_an_object()
            yield from super().body()
            self._cursor.end()
        except NotJsonError as error:
            yield Lane.DOUBT
            raise _not_json(self.text, error) from None

    def opens(self) -> bytes:
        return self._cursor.peek()

    def members(self, path: Path) -> Iterator[str]:  # noqa: ARG002 - the other form needs it
        cursor = self._cursor
        cursor.take(b"{")
        more = not cursor.has(b"}")
        while more:
            yield self._name()
            more = cursor.another(b"}")

    def _name(self) -> str:
        start = self._cursor.at
        try:
            name = str(_decoded(self._cursor.name(), start))
        except TooLargeError:
            start = self._cursor.at
            name = self.text[start + 1 : start + 200].decode(errors="replace")
            raise TooLargeNameError(name) from None
        self._cursor.take(b":")
        return name

    def skip(self, most: int) -> int:
        start = self._cursor.at
        try:
            self._cursor.value(most, _SKIPPED_VALUES)
        except TooLargeError:
            raise EnoughError from None
        return self._cursor.at - start

    def small(self, path: Path) -> Any:
        self._cursor.peek()
        start = self._cursor.at
        try:
            return _decoded(self._cursor.value(SMALL_BYTES, SMALL_VALUES), start)
        except TooLargeError:
            shown = self.text[start : start + 60].decode(errors="replace")
            detail = f"{shown}... is too large for this place; see the table's JSON Schema"
            raise refusal(path, detail) from None

    def fill(self, elements: Elements) -> Steps[None]:
        cursor = self._cursor
        cursor.take(b"[")
        more = not cursor.has(b"]")
        while more:
            guessing = self._wrong_guesses < _WRONG_GUESSES
            if guessing and cursor.at > self._rested_at + _STEP:
                self._rested_at = cursor.at
                yield Lane.GOOD
            cursor.peek()
            if not (guessing and self._guessed(elements)):
                yield Lane.DOUBT
                self._exactly(elements)
            more = cursor.another(b"]")
            self.stop_in_time()

    def _guessed(self, elements: Elements) -> bool:
        """Return whether elements up to a guessed end were added."""
        end = guessed_end(self.text, self._cursor.at, elements.closing)
        if end is None:
            return False
        try:
            added = elements.take(_piece(self.text, self._cursor.at, end))
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The guess was wrong, or this is not JSON.
            self._wrong_guesses += 1
            return False
        self._cursor.at = end if added else self._cursor.at
        return added

    def _exactly(self, elements: Elements) -> None:
        """Find the end token by token. Check elements by their schema if they are not added."""
        at = self._cursor.at
        try:
            self._cursor.at = exact_end(self.text, at)
        except TooLargeError:
            detail = (
                f"is too large or nested too deeply; send at most {ELEMENT_BYTES // 1024} KiB and"
                f" {ELEMENT_VALUES} values in one row"
            )
            self.faults.add(elements.next_path, detail)
            raise self.faults.problem() from None
        piece = _piece(self.text, at, self._cursor.at)
        added = False
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            added = elements.take(piece)
        if not added:
            elements.examine(_decoded(piece, at), self.faults)

    def _not_an_object(self) -> HttpProblem:
        if len(self.text) > _WHOLE:
            return HttpProblem(422, "the body is not an object with a hostname and rows")
        try:
            value = _decoded(self.text, 0)
        except NotJsonError as error:
            return HttpProblem(400, error.detail)
        wrong = next(iter(self.checks.envelope.iter_errors(value)))
        return refusal([], wrong_value(wrong, None))


def _piece(text: bytes | bytearray, at: int, end: int) -> bytes:
    return b"".join((b"[", memoryview(text)[at:end], b"]"))


def _decoded(text: bytes | bytearray, at: int) -> Any:
    """Raise NotJsonError with the place in the body."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise NotJsonError(at, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(at, _what_is_wrong(text, error)) from None


def _what_is_wrong(text: bytes | bytearray, error: Exception) -> str:
    """Releases of msgspec differ in the error that they raise for bytes that are not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return f"the body is not UTF-8: {wrong.reason}"
    return f"the body is not JSON: {error}"


def _not_json(text: bytes | bytearray, error: NotJsonError) -> HttpProblem:
    if len(text) <= _WHOLE:
        try:
            _decoded(text, 0)
        except NotJsonError as whole:
            return HttpProblem(400, whole.detail)
    detail = error.detail or "the body is not JSON"
    return HttpProblem(400, f"{detail}, in the part that begins at byte {error.at}")
