"""Rows that the fast decoder refused: valid by their schema, or with a message for each fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import msgspec

from kscope.declare.model import TIME, Category, Column
from kscope.errors import UNKNOWN_NAME, did_you_mean
from kscope.generate.jsonschema import column_schema, row_schema
from kscope.server.http.problems import Fault, HttpProblem
from kscope.server.ingest.fast_decode import Columns, WrongValuesError, encoded

MAX_FAULTS = 100
_SHOWN = 60
_POINTED = 80
_LONGEST_REASON = 200


class UnknownName(HttpProblem):
    """The body names a table or a column that the catalog does not have, perhaps not yet."""

    type = UNKNOWN_NAME


@dataclass
class Faults:
    """The faults of one body, up to one more than the answer lists."""

    found: list[Fault] = field(default_factory=list)
    unknown: bool = False

    @property
    def full(self) -> bool:
        return len(self.found) > MAX_FAULTS

    def add(self, path: Sequence[str | int], detail: str, *, unknown: bool = False) -> None:
        if not self.full:
            self.found.append(Fault(detail, pointer=pointer(path)))
            self.unknown = self.unknown or unknown

    def problem(self) -> HttpProblem:
        kind = UnknownName if self.unknown else HttpProblem
        return kind(422, _summary(self.found), self.found[:MAX_FAULTS])


class RowSchema:
    """The JSON Schema of one category's rows, and the messages for rows that do not match."""

    def __init__(self, category: Category) -> None:
        self.category = category
        self._rows = validator({"type": "array", "items": row_schema(category)})
        self._columns = {
            column.name: validator(column_schema(column)) for column in (TIME, *category.columns)
        }

    def columns(self, rows: Sequence[Any], first: int, faults: Faults) -> Columns | None:
        """Return the columns of right rows. `first` is the place of the first one in the body.

        Otherwise return None, and add to `faults`. Rows are checked until `faults` is full.
        """
        if not self._rows.is_valid(rows):
            self._judge(rows, first, faults)
            return None
        columns = (TIME, *self.category.columns)
        values = {each.name: [row.get(each.name, each.default) for row in rows] for each in columns}
        try:
            return encoded(self.category, values)
        except WrongValuesError as error:
            for row, column, detail in error.found:
                faults.add([self.category.table, first + row, column], detail)
            return None

    def _judge(self, rows: Sequence[Any], first: int, faults: Faults) -> None:
        for number, row in enumerate(rows, first):
            if faults.full:
                return
            if self._rows.is_valid([row]):
                continue
            path: list[str | int] = [self.category.table, number]
            if isinstance(row, dict):
                self._explain(path, row, faults)
            else:
                faults.add(path, f"{short(row)} is not an object with the row's columns")

    def _explain(self, path: Sequence[str | int], row: dict[str, Any], faults: Faults) -> None:
        """One fault for each name that is missing or unknown, and for each wrong value."""
        for name in row:
            if name in self._columns or faults.full:
                continue
            near = did_you_mean(name, self._columns, listed=False)
            detail = f"there is no column {short(name)}{near}"
            faults.add([*path, name], detail, unknown=True)
        for column in self.category.columns:
            if column.name not in row and not column.optional:
                faults.add(path, f"'{column.name}' is missing")
        for column in (TIME, *self.category.columns):
            if column.name in row:
                self._explain_value([*path, column.name], row[column.name], column, faults)

    def _explain_value(
        self, path: Sequence[str | int], value: Any, column: Column, faults: Faults
    ) -> None:
        for error in self._columns[column.name].iter_errors(value):
            faults.add([*path, *error.instance_path], wrong_value(error, column))


def validator(schema: Mapping[str, Any]) -> Any:
    return jsonschema_rs.validator_for(dict(schema), validate_formats=True)


def _summary(faults: Sequence[Fault]) -> str:
    first = faults[0]
    more = f", and {len(faults) - 1} more" if 1 < len(faults) <= MAX_FAULTS else ""
    more = f", and more than {MAX_FAULTS - 1} others" if len(faults) > MAX_FAULTS else more
    return f"{first.pointer or 'the body'}: {first.detail}{more}"


def wrong_value(error: Any, column: Column | None) -> str:
    """Return the message for a schema error, in the terms of the column."""
    shown = short(error.instance)
    if isinstance(error.instance, str) and "\0" in error.instance:
        return f"{shown} has a NUL character, which no name from a kernel has"
    if column is not None and error.kind.name in ("type", "anyOf", "format", "pattern"):
        return f"{shown} is not of type {column.type.name}: {column.type.help}"
    reason: str = error.message
    if len(reason) < _LONGEST_REASON:
        return reason
    return f"{shown} does not satisfy '{error.kind.name}'"


def short(value: Any) -> str:
    text = repr(value[:_SHOWN]) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def pointer(path: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join(f"/{_part(str(part))}" for part in path)


def _part(text: str) -> str:
    return text[:_POINTED].replace("~", "~0").replace("/", "~1")
