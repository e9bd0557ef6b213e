"""The messages of OpenTelemetry's profiles, as opentelemetry-proto 1.43 to 1.45 lay them out.

One description serves protobuf, by the numbers in FIELDS, and JSON, by the names in camel case.
Fields that are not used here are left out, and skipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType


class AnyValue(Struct, rename="camel"):
    string_value: str | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    int_value: int | UnsetType = UNSET
    double_value: float | UnsetType = UNSET
    string_value_strindex: int = 0


class KeyValue(Struct, rename="camel"):
    key: str = ""
    value: AnyValue | None = None
    key_strindex: int = 0


class Resource(Struct, rename="camel"):
    attributes: list[KeyValue] = []


class InstrumentationScope(Struct, rename="camel"):
    attributes: list[KeyValue] = []


class ValueType(Struct, rename="camel"):
    type_strindex: int = 0
    unit_strindex: int = 0


class Sample(Struct, rename="camel"):
    stack_index: int = 0
    attribute_indices: list[int] = []
    link_index: int = 0
    values: list[int] = []
    timestamps_unix_nano: list[int] = []


class Profile(Struct, rename="camel"):
    sample_type: ValueType | None = None
    samples: list[Sample] = []
    time_unix_nano: int = 0
    duration_nano: int = 0
    period_type: ValueType | None = None
    period: int = 0
    # Base64 or hexadecimal.
    profile_id: str = ""
    attribute_indices: list[int] = []
    # Names of older layouts.
    sample: Any = None
    location_table: Any = None
    string_table: Any = None


class ScopeProfiles(Struct, rename="camel"):
    scope: InstrumentationScope | None = None
    profiles: list[Profile] = []


class ResourceProfiles(Struct, rename="camel"):
    resource: Resource | None = None
    scope_profiles: list[ScopeProfiles] = []


class Mapping_(Struct, rename="camel"):  # noqa: N801 - the standard's name, beside the type
    filename_strindex: int = 0
    attribute_indices: list[int] = []


class Line(Struct, rename="camel"):
    function_index: int = 0


class Location(Struct, rename="camel"):
    mapping_index: int = 0
    address: int = 0
    lines: list[Line] = []
    attribute_indices: list[int] = []


class Function(Struct, rename="camel"):
    name_strindex: int = 0
    system_name_strindex: int = 0


class Link(Struct, rename="camel"):
    """Only their number matters here."""


class Attribute(Struct, rename="camel"):
    key_strindex: int = 0
    value: AnyValue | None = None


class Stack(Struct, rename="camel"):
    location_indices: list[int] = []


class Dictionary(Struct, rename="camel"):
    mapping_table: list[Mapping_] = []
    location_table: list[Location] = []
    function_table: list[Function] = []
    link_table: list[Link] = []
    string_table: list[str] = []
    attribute_table: list[Attribute] = []
    stack_table: list[Stack] = []


class Request(Struct, rename="camel"):
    resource_profiles: list[ResourceProfiles] = []
    dictionary: Dictionary | None = None
    # OTLP's JSON has names in camel case only; with these there would be no profile, and no error.
    snake_case: Any = msgspec.field(default=None, name="resource_profiles")


class Kind(Enum):
    """How a field is written."""

    NUMBER = "number"
    SIGNED = "signed"
    FIXED = "fixed"
    DOUBLE = "double"
    TEXT = "text"
    ID = "id"
    NUMBERS = "numbers"
    SIGNEDS = "signeds"
    FIXEDS = "fixeds"
    TEXTS = "texts"
    MESSAGE = "message"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class Known:
    """A field of a message."""

    name: str
    kind: Kind
    of: type[Struct] | None = None


def _one(name: str, of: type[Struct]) -> Known:
    return Known(name, Kind.MESSAGE, of)


def _many(name: str, of: type[Struct]) -> Known:
    return Known(name, Kind.MESSAGES, of)


def _number(name: str) -> Known:
    return Known(name, Kind.NUMBER)


def _numbers(name: str) -> Known:
    return Known(name, Kind.NUMBERS)


FIELDS: Mapping[type[Struct], Mapping[int, Known]] = {
    Request: {
        1: _many("resource_profiles", ResourceProfiles),
        2: _one("dictionary", Dictionary),
    },
    ResourceProfiles: {
        1: _one("resource", Resource),
        2: _many("scope_profiles", ScopeProfiles),
    },
    ScopeProfiles: {1: _one("scope", InstrumentationScope), 2: _many("profiles", Profile)},
    Resource: {1: _many("attributes", KeyValue)},
    InstrumentationScope: {3: _many("attributes", KeyValue)},
    KeyValue: {
        1: Known("key", Kind.TEXT),
        2: _one("value", AnyValue),
        3: _number("key_strindex"),
    },
    AnyValue: {
        1: Known("string_value", Kind.TEXT),
        2: _number("bool_value"),
        3: Known("int_value", Kind.SIGNED),
        4: Known("double_value", Kind.DOUBLE),
        8: _number("string_value_strindex"),
    },
    Profile: {
        1: _one("sample_type", ValueType),
        2: _many("samples", Sample),
        3: Known("time_unix_nano", Kind.FIXED),
        4: _number("duration_nano"),
        5: _one("period_type", ValueType),
        6: Known("period", Kind.SIGNED),
        7: Known("profile_id", Kind.ID),
        11: _numbers("attribute_indices"),
    },
    ValueType: {1: _number("type_strindex"), 2: _number("unit_strindex")},
    Sample: {
        1: _number("stack_index"),
        2: _numbers("attribute_indices"),
        3: _number("link_index"),
        4: Known("values", Kind.SIGNEDS),
        5: Known("timestamps_unix_nano", Kind.FIXEDS),
    },
    Dictionary: {
        1: _many("mapping_table", Mapping_),
        2: _many("location_table", Location),
        3: _many("function_table", Function),
        4: _many("link_table", Link),
        5: Known("string_table", Kind.TEXTS),
        6: _many("attribute_table", Attribute),
        7: _many("stack_table", Stack),
    },
    Mapping_: {4: _number("filename_strindex"), 5: _numbers("attribute_indices")},
    Location: {
        1: _number("mapping_index"),
        2: _number("address"),
        3: _many("lines", Line),
        4: _numbers("attribute_indices"),
    },
    Line: {1: _number("function_index")},
    Function: {1: _number("name_strindex"), 2: _number("system_name_strindex")},
    Link: {},
    Attribute: {1: _number("key_strindex"), 2: _one("value", AnyValue)},
    Stack: {1: _numbers("location_indices")},
}
