"""The column types: one row each, read by the checker, the DDL, the JSON Schema and the charts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INT64_MAX = 2**63 - 1
HISTOGRAM_SLOTS = 64


class Storage(StrEnum):
    """What a dialect has to render; the narrow waist between column types and engines."""

    TIME = "time"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    STRING_ID = "string id"
    STACK_ID = "stack id"
    HISTOGRAM = "histogram"


class Role(StrEnum):
    """What a column is to a question.

    Dimensions group and are kept in rollups. Identities (a pid, a path) only filter: there are
    too many of them to sum by. Values add up.
    """

    TIME = "time"
    DIMENSION = "dimension"
    IDENTITY = "identity"
    VALUE = "value"
    STACK = "stack"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class ColumnType:
    name: str
    storage: Storage
    role: Role
    help: str
    json: Mapping[str, Any] = field(hash=False)
    unit: str = ""
    aggregate: str = "sum"


# ISO 8601, the offset optional. It refuses what cannot be a time; the reader has the last word.
TIME_PATTERN = (
    "^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(:\\d\\d([.,]\\d{1,9})?)?(Z|[+-]\\d\\d:?\\d\\d)?$"
)
# Text without NUL: no engine stores it alike, and nothing that a kernel names contains it.
_TEXT_PATTERN = "^[^\\u0000]*$"
_COUNT = {"type": "integer", "minimum": 0, "maximum": INT64_MAX}


def _text(limit: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": limit, "pattern": _TEXT_PATTERN}


_TYPES = (
    ColumnType(
        "string",
        Storage.STRING_ID,
        Role.DIMENSION,
        "a name that repeats: a process, a device, a function",
        _text(1024),
    ),
    ColumnType(
        "label",
        Storage.STRING_ID,
        Role.DIMENSION,
        "one of a few words, such as a state or a reason; charts group by it first",
        _text(256),
    ),
    ColumnType(
        "text",
        Storage.TEXT,
        Role.IDENTITY,
        "text that seldom repeats, such as a path or a command line; not kept in rollups",
        _text(8192),
    ),
    ColumnType(
        "timestamp",
        Storage.TIME,
        Role.IDENTITY,
        "a moment: ISO 8601, UTC where no offset is given",
        {"type": "string", "maxLength": 40, "pattern": TIME_PATTERN},
    ),
    ColumnType(
        "int",
        Storage.INTEGER,
        Role.IDENTITY,
        "a whole number that identifies, such as a pid; never summed, not kept in rollups",
        {"type": "integer", "minimum": -INT64_MAX - 1, "maximum": INT64_MAX},
    ),
    ColumnType("count", Storage.INTEGER, Role.VALUE, "a whole number that adds up", _COUNT),
    ColumnType(
        "elapsed", Storage.INTEGER, Role.VALUE, "a duration in microseconds", _COUNT, unit="us"
    ),
    ColumnType("bytes", Storage.INTEGER, Role.VALUE, "an amount of data", _COUNT, unit="bytes"),
    ColumnType(
        "float",
        Storage.REAL,
        Role.VALUE,
        "a measured value such as a load or a share; averaged",
        {"type": "number", "minimum": -1.7e308, "maximum": 1.7e308},
        aggregate="avg",
    ),
    ColumnType("bool", Storage.BOOLEAN, Role.DIMENSION, "true or false", {"type": "boolean"}),
    ColumnType(
        "ip",
        Storage.STRING_ID,
        Role.DIMENSION,
        "an IPv4 or IPv6 address",
        {"type": "string", "maxLength": 45, "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    ),
    ColumnType(
        "stack",
        Storage.STACK_ID,
        Role.STACK,
        "a folded stack, root first, ';' between frames; or an index into the body's `stacks`",
        {
            "anyOf": [
                {"type": "string", "maxLength": 65536, "pattern": _TEXT_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": INT64_MAX},
            ]
        },
    ),
    ColumnType(
        "histogram",
        Storage.HISTOGRAM,
        Role.HISTOGRAM,
        "counts by power of two: slot i counts the values from 2**i up to 2**(i+1), slot 0 also 0",
        {"type": "array", "items": _COUNT, "maxItems": HISTOGRAM_SLOTS},
    ),
)

TYPES: Mapping[str, ColumnType] = MappingProxyType({row.name: row for row in _TYPES})
