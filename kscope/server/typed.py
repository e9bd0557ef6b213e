"""The fast way through a body: decoded and checked in one step, into structs made of the catalog.

It takes a subset of what the JSON Schema takes. Whatever it does not take, right or wrong, is left
to the schema, which alone has the last word and the words for what is wrong.
"""

from __future__ import annotations

import re
import types
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from kscope.declare.columns import HISTOGRAM_SLOTS, INT64_MAX, TIME_PATTERN
from kscope.generate.jsonschema import MAX_STACKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kscope.declare.model import Catalog, Category, Column

# Unlike JSON Schema's, Python's $ also matches before a line's end.
_TIME = re.compile(TIME_PATTERN.removesuffix("$") + r"\Z", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f]")
_STACK_LENGTH = 65536
_TIME_LENGTH = 40

_Time = Annotated[str, msgspec.Meta(max_length=_TIME_LENGTH)]
_Stack = Annotated[str, msgspec.Meta(max_length=_STACK_LENGTH)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's rows: column -> values; in `times` None stands for the envelope's."""

    rows: int
    times: Sequence[str | None]
    values: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Body:
    hostname: str
    time: str | None
    stacks: Sequence[str]
    tables: Mapping[str, Columns]


@dataclass(frozen=True)
class TypedBodies:
    """Structs for the categories whose column types allow it."""

    _decoder: msgspec.json.Decoder[Any] = field(repr=False)
    _fields: Mapping[str, str]
    _columns: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @classmethod
    def of(cls, catalog: Catalog) -> TypedBodies:
        rows = {category.table: _row(category) for category in catalog}
        known = {table: row for table, row in rows.items() if row is not None}
        # Tables and columns may be called as no attribute can be.
        fields = {table: f"t{number}" for number, table in enumerate(known)}
        envelope: list[Any] = [
            ("hostname", Annotated[str, msgspec.Meta(min_length=1, max_length=255)]),
            ("time", _Time, None),
            ("stacks", Annotated[list[_Stack], msgspec.Meta(max_length=MAX_STACKS)], ()),
        ]
        tables: list[Any] = [
            (fields[table], types.GenericAlias(list, row), None) for table, row in known.items()
        ]
        body = msgspec.defstruct(
            "Body",
            [*envelope, *tables],
            kw_only=True,
            forbid_unknown_fields=True,
            rename={name: table for table, name in fields.items()},
        )
        getters = {
            category.table: {
                column.name: attrgetter(f"c{number}")
                for number, column in enumerate(category.columns)
            }
            for category in catalog
            if category.table in known
        }
        return cls(msgspec.json.Decoder(body), fields, getters)

    def decode(self, text: bytes) -> Body | None:
        """Give None for what the schema has to look at."""
        if b"\\" in text and b"\\u0000" in text:
            return None
        try:
            body = self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if _CONTROL.search(body.hostname) or not _are_times({body.time}):
            return None
        tables = {}
        for table, name in self._fields.items():
            rows = getattr(body, name)
            if rows is None:
                continue
            times = list(map(attrgetter("time"), rows))
            if not _are_times(set(times)):
                return None
            values = {
                column: list(map(getter, rows)) for column, getter in self._columns[table].items()
            }
            tables[table] = Columns(len(rows), times, values)
        return Body(body.hostname, body.time, body.stacks, tables)


def _are_times(texts: set[str | None]) -> bool:
    return all(text is None or _TIME.match(text) for text in texts)


def _row(category: Category) -> Any:
    """A struct of the category's rows; None where a column needs what only the schema checks."""
    fields: list[Any] = [("time", _Time, None)]
    for number, column in enumerate(category.columns):
        kind = _kind(column)
        if kind is None:
            return None
        default = (column.default,) if column.optional else ()
        fields.append((f"c{number}", kind, *default))
    return msgspec.defstruct(
        "Row",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
        rename={f"c{number}": column.name for number, column in enumerate(category.columns)},
    )


def _kind(column: Column) -> Any:
    """The Python type of a column's JSON, as strict as its schema or stricter."""
    match column.type.name:
        case "string" | "label" | "text":
            return Annotated[str, msgspec.Meta(max_length=column.type.json["maxLength"])]
        case "int":
            return Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
        case "count" | "elapsed" | "bytes":
            return _Count
        case "float":
            limits = column.type.json
            return Annotated[float, msgspec.Meta(ge=limits["minimum"], le=limits["maximum"])]
        case "bool":
            return bool
        case "stack":
            return _Stack | _Count
        case "histogram":
            return Annotated[list[_Count], msgspec.Meta(max_length=HISTOGRAM_SLOTS)]
    return None
