"""A request's JSON -> a batch that is ready to be stored, or everything that is wrong with it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec

from kscope.declare.columns import Storage
from kscope.declare.model import TIME
from kscope.generate.jsonschema import body_schema
from kscope.server.problems import Fault, HttpProblem
from kscope.server.typed import Body, Columns, TypedBodies
from kscope.store.base import Batch, TableRows
from kscope.store.encode import BadValueError, encode, microseconds
from kscope.store.interning import text_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kscope.declare.model import Catalog, Category, Column

MAX_FAULTS = 100
_ENVELOPE = frozenset({"hostname", "time", "stacks"})
_SHOWN = 60


class UnknownName(HttpProblem):
    """The body names a table or a column that the catalog does not have, perhaps not yet."""


@dataclass(frozen=True)
class Decoder:
    """Checks bodies against one catalog. Safe to use in several threads."""

    catalog: Catalog
    _validator: Any = field(repr=False)
    _typed: TypedBodies = field(repr=False)
    _json: msgspec.json.Decoder[Any] = field(default_factory=msgspec.json.Decoder, repr=False)

    @classmethod
    def of(cls, catalog: Catalog) -> Decoder:
        validator = jsonschema_rs.validator_for(body_schema(catalog), validate_formats=True)
        return cls(catalog, validator, TypedBodies.of(catalog))

    def decode(self, text: bytes, now: int, key: str = "") -> Batch:
        """Raise HttpProblem 400 or 422. `now` is the time of a body without one, in us."""
        return self._batch(self._typed.decode(text) or self._checked(text), now, key)

    def _checked(self, text: bytes) -> Body:
        body = self._parsed(text)
        if not self._validator.is_valid(body):
            self._refuse(body)
        tables = {
            category.table: _columns(category, body[category.table])
            for category in self.catalog
            if category.table in body
        }
        return Body(body["hostname"], body.get("time"), body.get("stacks", ()), tables)

    def _parsed(self, text: bytes) -> Any:
        try:
            return self._json.decode(text)
        except UnicodeDecodeError as error:
            raise HttpProblem(400, f"the body is not UTF-8: {error.reason}") from None
        except RecursionError:
            raise HttpProblem(400, "the body is nested too deeply") from None
        except msgspec.MsgspecError as error:
            raise HttpProblem(400, f"the body is not JSON: {error}") from None

    def _refuse(self, body: Any) -> None:
        if isinstance(body, dict):
            unknown = [name for name in body if name not in _ENVELOPE and not self._has(name)]
            if unknown:
                faults = [Fault(_pointer([name]), self._unknown(name)) for name in unknown]
                raise UnknownName(422, faults[0].detail, faults[:MAX_FAULTS])
        errors = list(islice(self._validator.iter_errors(body), MAX_FAULTS + 1))
        faults = [fault for error in errors for fault in self._faults(error)]
        kind = UnknownName if any(map(_names_a_column, errors)) else HttpProblem
        raise kind(422, _summary(faults), faults[:MAX_FAULTS])

    def _has(self, table: str) -> bool:
        return self.catalog.get(table) is not None

    def _unknown(self, name: str) -> str:
        known = [category.table for category in self.catalog]
        return f"there is no category {_short(name)}{_suggestion(name, known)}"

    def _faults(self, error: Any) -> Iterator[Fault]:
        """One for each name that lacks or is too many, with the column's own words."""
        path = list(error.instance_path)
        kind = error.kind.as_dict()
        category = self.catalog.get(path[0]) if path else None
        columns = [column.name for column in category.columns] if category else []
        for name in kind.get("unexpected", ()):
            detail = f"there is no column {_short(name)}{_suggestion(name, columns)}"
            yield Fault(_pointer([*path, name]), detail)
        if "property" in kind:
            yield Fault(_pointer(path), f"'{kind['property']}' is missing")
        elif "unexpected" not in kind:
            column = category.column(path[2]) if category and len(path) > 2 else None
            column = TIME if path == ["time"] else column
            yield Fault(_pointer(path), _wrong_value(error, column))

    def _batch(self, body: Body, now: int, key: str) -> Batch:
        faults: list[Fault] = []
        try:
            now = microseconds(body.time) if body.time is not None else now
        except ValueError as error:
            faults.append(Fault("/time", str(error)))
        stacks = _Stacks(body.stacks)
        tables = []
        for category in self.catalog:
            if category.table in body.tables:
                rows = _Rows(category, body.tables[category.table], body.hostname, now, stacks)
                tables.append(TableRows(category, rows.columns(faults)))
        if faults:
            raise HttpProblem(422, _summary(faults), faults[:MAX_FAULTS])
        return Batch(_batch_key(body.hostname, key), tables, stacks.used)


def _columns(category: Category, rows: Sequence[dict[str, Any]]) -> Columns:
    values: dict[str, Sequence[Any]] = {}
    for column in category.columns:
        name = column.name
        found = [row.get(name, column.default) for row in rows]
        # JSON Schema takes 5.0 for an integer, and so must we.
        if column.type.storage is Storage.INTEGER:
            found = [int(value) for value in found]
        elif column.type.storage is Storage.HISTOGRAM:
            found = [[int(count) for count in counts] for counts in found]
        values[name] = found
    return Columns(len(rows), [row.get("time") for row in rows], values)


class _Stacks:
    """Folded texts and places in the body's list -> ids; what was used is kept."""

    def __init__(self, listed: Sequence[str]) -> None:
        self.listed = listed
        self.used: dict[int, str] = {}

    def ids(self, values: Sequence[Any]) -> list[int]:
        """Raise IndexError for a place outside the list."""
        known = {value: self._id(value) for value in set(values)}
        return list(map(known.__getitem__, values))

    def _id(self, value: Any) -> int:
        text = value if isinstance(value, str) else self.listed[int(value)]
        key = text_hash(text)
        self.used[key] = text
        return key


@dataclass(frozen=True)
class _Rows:
    category: Category
    found: Columns
    hostname: str
    now: int
    stacks: _Stacks

    def columns(self, faults: list[Fault]) -> list[Sequence[Any]]:
        """All columns in the order of `all_columns`; what is wrong is added to `faults`."""
        columns: list[Sequence[Any]] = [self._times(faults), [self.hostname] * self.found.rows]
        columns.extend(self._column(column, faults) for column in self.category.columns)
        return columns

    def _times(self, faults: list[Fault]) -> Sequence[Any]:
        times = self.found.times
        known: dict[str | None, int] = {None: self.now}
        for text in set(times) - {None}:
            try:
                known[text] = microseconds(str(text))
            except ValueError as error:
                faults.append(self._fault(times.index(text), "time", str(error)))
        return [] if faults else list(map(known.__getitem__, times))

    def _column(self, column: Column, faults: list[Fault]) -> Sequence[Any]:
        values = self.found.values[column.name]
        if column.type.storage is Storage.STACK_ID:
            return self._stack_ids(column.name, values, faults)
        try:
            return encode(column.type, values)
        except BadValueError as error:
            faults.append(self._fault(error.index, column.name, str(error)))
            return []

    def _stack_ids(self, name: str, values: Sequence[Any], faults: list[Fault]) -> Sequence[int]:
        try:
            return self.stacks.ids(values)
        except IndexError:
            count = len(self.stacks.listed)
            for index, value in enumerate(values):
                if not isinstance(value, str) and value >= count:
                    detail = f"{value} is outside `stacks`, which has {count} entries"
                    faults.append(self._fault(index, name, detail))
            return []

    def _fault(self, index: int, name: str, detail: str) -> Fault:
        return Fault(_pointer([self.category.table, index, name]), detail)


def _batch_key(hostname: str, key: str) -> bytes:
    """Two hosts may well use the same key: each has its own."""
    if not key:
        return b""
    return blake2b(f"{hostname}\0{key}".encode(), digest_size=16).digest()


def _names_a_column(error: Any) -> bool:
    """Tell whether the error is about a column that is not declared; see body_schema."""
    return "unexpected" in error.kind.as_dict() and len(error.instance_path) == 2


def _summary(faults: Sequence[Fault]) -> str:
    first = faults[0]
    more = f", and {len(faults) - 1} more" if 1 < len(faults) <= MAX_FAULTS else ""
    more = f", and more than {MAX_FAULTS - 1} others" if len(faults) > MAX_FAULTS else more
    return f"{first.pointer or 'the body'}: {first.detail}{more}"


def _wrong_value(error: Any, column: Column | None) -> str:
    shown = _short(error.instance)
    if isinstance(error.instance, str) and "\0" in error.instance:
        return f"{shown} has a NUL character, which no name from a kernel has"
    if column is not None and error.kind.name in ("type", "anyOf", "format", "pattern"):
        return f"{shown} is not of type {column.type.name}: {column.type.help}"
    reason = error.message
    return reason if len(reason) < 200 else f"{shown} does not satisfy '{error.kind.name}'"


def _short(value: Any) -> str:
    text = repr(value[:_SHOWN]) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:_SHOWN], known, 1)
    return f". Did you mean '{close[0]}'?" if close else ""


def _pointer(path: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(part)[:200].replace('~', '~0').replace('/', '~1')}" for part in path)
