"""A request's JSON -> a batch that is ready to be stored, or its faults.

A body is read in pieces of rows, in steps of a few milliseconds each (fair_queue.py). Each piece is
decoded by fast_decode.py. A piece that it does not accept is checked in steps by row_faults.py.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec

from kscope.declare import envelope
from kscope.declare.model import TIME, Catalog, no_rows
from kscope.declare.types.base import Role
from kscope.declare.types.time import microseconds
from kscope.errors import did_you_mean
from kscope.generate.jsonschema import body_schema
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.arrays import RowArray, StackArray
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.fast_decode import TypedRows
from kscope.server.ingest.json_pieces import (
    ELEMENT_BYTES,
    ELEMENT_VALUES,
    Cursor,
    NotJsonError,
    TooLargeError,
    exact_end,
    guessed_end,
)
from kscope.server.ingest.row_faults import (
    MAX_FAULTS,
    Faults,
    RowSchema,
    UnknownName,
    short,
    validator,
    wrong_value,
)
from kscope.store.schema.interning import text_hash, turned_round
from kscope.store.write.batch import Batch, TableRows

# All columns' values of all rows, with time and host: half a million rows of off-CPU time.
MAX_VALUES = 6_000_000
# A larger body is read twice: first without keeping its rows, because one of them may be wrong.
_KEPT_AT_ONCE = 4 * 1024 * 1024
# Bytes that are read beyond the first fault, in order to name others.
_READ_ON = 1024 * 1024
# Bounds of other values than the arrays of rows and stacks: a name or a time.
_SMALL_BYTES, _SMALL_VALUES = 8192, 256
# The amount of unknown tables that is skipped, in order to name others.
_SKIPPED_BYTES, _SKIPPED_VALUES = 64 * 1024, 10_000
# A body up to this size is decoded whole to explain why it is not JSON.
_WHOLE = 256 * 1024
# After this many wrong guesses, texts look like the ends of rows: stop guessing.
_WRONG_GUESSES = 3
_CHUNK = 20_000


Elements = StackArray | RowArray


class Decoder:
    """Checks bodies against one catalog. Safe to use in several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.typed = {category.table: TypedRows(category) for category in catalog.stored}
        self.schemas = {category.table: RowSchema(category) for category in catalog.stored}
        self.envelope = validator(body_schema(catalog.stored))

    def steps(
        self,
        text: bytes | bytearray,
        now: int,
        key: str = "",
        room: Callable[[int], None] = lambda _: None,
        *,
        leaf_first: bool = False,
    ) -> Steps[Batch]:
        """Decode in steps. `now`, in microseconds, is the time of a body that does not have one.

        With `leaf_first` the body's stacks start with the leaf, as the agent of 2016 sends them.
        `room` is called with each number of bytes that is kept, and may raise.
        """
        if len(text) > _KEPT_AT_ONCE:
            yield from _BodyReading(self, text).run()
        reading = _BodyReading(self, text, keep=room)
        yield from reading.run()
        return (yield from _batch(reading, now, key, leaf_first=leaf_first))


class _EnoughError(Exception):
    """Enough names are unknown, or skipping the value of one takes too long."""


@dataclass
class _BodyReading:
    """One pass over a body. Without `keep` its rows are checked and not kept."""

    decoder: Decoder
    text: bytes | bytearray
    keep: Callable[[int], None] | None = None
    envelope: dict[str, Any] = field(default_factory=dict)
    stacks: StackArray = field(default_factory=StackArray)
    tables: dict[str, RowArray] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    _unknown: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _skippable: int = _SKIPPED_BYTES
    _first_fault: int | None = None
    _wrong_guesses: int = 0

    def __post_init__(self) -> None:
        self._cursor = Cursor(self.text)

    def run(self) -> Steps[None]:
        """Raise HttpProblem."""
        try:
            yield from self._members()
        except NotJsonError as error:
            yield Lane.DOUBT
            raise _not_json(self.text, error) from None
        except _EnoughError:
            pass
        if self._unknown:
            yield Lane.DOUBT
            raise self._unknown_names()
        yield from self._check_envelope()
        for table in self.tables.values():
            table.check_places(self.stacks.count, self.faults)
        if self.faults.found:
            raise self.faults.problem()

    def _members(self) -> Steps[None]:
        cursor = self._cursor
        if cursor.peek() != b"{":
            yield Lane.DOUBT
            raise self._not_an_object()
        cursor.take(b"{")
        more = not cursor.has(b"}")
        while more:
            yield from self._member(self._name())
            more = cursor.another(b"}")
        if cursor.peek():
            raise NotJsonError(cursor.at)

    def _name(self) -> str:
        start = self._cursor.at
        try:
            name = str(_decoded(self._cursor.name(), start))
        except TooLargeError:
            start = self._cursor.at
            name = self.text[start + 1 : start + 200].decode(errors="replace")
            self._unknown.append(name)
            raise _EnoughError from None
        self._cursor.take(b":")
        if name in self._seen:
            raise _refusal([name], "is there twice; send it once")
        self._seen.add(name)
        return name

    def _member(self, name: str) -> Steps[None]:
        array = self._cursor.peek() == b"["
        category = self.decoder.catalog.get(name)
        if category is not None and category.union:
            raise _refusal([name], no_rows(category))
        if name not in envelope.NAMES and category is None:
            self._skip(name)
        elif array and name == "stacks":
            yield from self._array(self.stacks)
        elif array and category is not None:
            table = RowArray(self.decoder.typed[name], self.decoder.schemas[name], self.keep)
            self.tables[name] = table
            yield from self._array(table)
        else:
            self.envelope[name] = self._small(name)

    def _skip(self, name: str) -> None:
        """Skip the value of an unknown name, if that is fast: other names may be unknown too."""
        self._unknown.append(name)
        start = self._cursor.at
        try:
            self._cursor.value(self._skippable, _SKIPPED_VALUES)
        except TooLargeError:
            raise _EnoughError from None
        self._skippable -= self._cursor.at - start
        if len(self._unknown) > MAX_FAULTS or self._skippable <= 0:
            raise _EnoughError

    def _small(self, name: str) -> Any:
        self._cursor.peek()
        start = self._cursor.at
        try:
            return _decoded(self._cursor.value(_SMALL_BYTES, _SMALL_VALUES), start)
        except TooLargeError:
            shown = self.text[start : start + 60].decode(errors="replace")
            detail = f"{shown}... is too large for this place; see the table's JSON Schema"
            raise _refusal([name], detail) from None

    def _array(self, elements: Elements) -> Steps[None]:
        cursor = self._cursor
        cursor.take(b"[")
        more = not cursor.has(b"]")
        while more:
            guessing = self._wrong_guesses < _WRONG_GUESSES
            if guessing:
                yield Lane.GOOD
            cursor.peek()
            if not (guessing and self._guessed(elements)):
                yield Lane.DOUBT
                self._exactly(elements)
            more = cursor.another(b"]")
            self._stop_in_time()

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

    def _stop_in_time(self) -> None:
        if sum(table.size for table in self.tables.values()) > MAX_VALUES:
            detail = f"the rows have more than {MAX_VALUES} values; send fewer rows at a time"
            raise HttpProblem(413, detail)
        if not self.faults.found:
            return
        if self._first_fault is None:
            self._first_fault = self._cursor.at
        if self.faults.full or self._cursor.at > self._first_fault + _READ_ON:
            raise self.faults.problem()

    def _check_envelope(self) -> Steps[None]:
        if not self.decoder.envelope.is_valid(self.envelope):
            yield Lane.DOUBT
            for error in islice(self.decoder.envelope.iter_errors(self.envelope), MAX_FAULTS):
                self._envelope_fault(error)
        elif "time" in self.envelope:
            try:
                microseconds(self.envelope["time"])
            except ValueError as error:
                self.faults.add(["time"], str(error))

    def _envelope_fault(self, error: Any) -> None:
        path = list(error.instance_path)
        kind = error.kind.as_dict()
        if "property" in kind:
            self.faults.add(path, f"'{kind['property']}' is missing")
        else:
            self.faults.add(path, wrong_value(error, TIME if path == ["time"] else None))

    def _unknown_names(self) -> UnknownName:
        tables = [category.table for category in self.decoder.catalog.stored]
        faults = Faults()
        for name in self._unknown:
            near = did_you_mean(name, tables, listed=False)
            detail = f"there is no category {short(name)}{near}"
            faults.add([name], detail, unknown=True)
        return UnknownName(422, faults.found[0].detail, faults.found[:MAX_FAULTS])

    def _not_an_object(self) -> HttpProblem:
        if len(self.text) > _WHOLE:
            return HttpProblem(422, "the body is not an object with a hostname and rows")
        try:
            value = _decoded(self.text, 0)
        except NotJsonError as error:
            return HttpProblem(400, error.detail)
        wrong = next(iter(self.decoder.envelope.iter_errors(value)))
        return _refusal([], wrong_value(wrong, None))


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


def _refusal(path: Sequence[str | int], detail: str) -> HttpProblem:
    faults = Faults()
    faults.add(path, detail)
    return faults.problem()


def _batch(reading: _BodyReading, now: int, key: str, *, leaf_first: bool) -> Steps[Batch]:
    """Return the batch of a finished reading, which has no faults."""
    hostname = reading.envelope["hostname"]
    is_timed = "time" in reading.envelope
    if is_timed:
        now = microseconds(reading.envelope["time"])
    arrived = 0
    tables = []
    used: dict[int, str] = {}
    for table in filter(None, map(reading.tables.get, reading.decoder.schemas)):
        category = table.schema.category
        times = table.values["time"]
        if None in times:
            times = [now if time is None else time for time in times]
            arrived = 0 if is_timed else now
        columns: list[Sequence[Any]] = [times, [hostname] * table.count]
        for column in category.columns:
            values = table.values[column.name]
            if column.type.role is Role.STACK:
                texts = reading.stacks.texts
                values = yield from _stack_ids(values, texts, used, leaf_first=leaf_first)
            columns.append(values)
        tables.append(TableRows(category, columns))
    return Batch(_batch_key(hostname, key), tables, used, arrived=arrived)


def _stack_ids(
    values: Sequence[Any], listed: Sequence[str], used: dict[int, str], *, leaf_first: bool
) -> Steps[list[int]]:
    """Return the ids of folded texts, and of places among those `listed`; add them to `used`."""
    known: dict[Any, int] = {}
    found: list[int] = []
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        for value in set(part) - known.keys():
            text = value if isinstance(value, str) else listed[value]
            text = turned_round(text) if leaf_first else text
            known[value] = text_hash(text)
            used[known[value]] = text
        found.extend(map(known.__getitem__, part))
        yield Lane.GOOD
    return found


def _batch_key(hostname: str, key: str) -> bytes:
    """Return the key of the batch. Two hosts may use the same text as a key."""
    if not key:
        return b""
    return blake2b(f"{hostname}\0{key}".encode(), digest_size=16).digest()
