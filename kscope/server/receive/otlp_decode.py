"""An ExportProfilesServiceRequest, as protobuf or JSON -> its messages, within bounds."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kscope.profiles.wire import (
    BYTES,
    FIXED64,
    VARINT,
    Content,
    Field,
    WireError,
    fields,
    fixed64s,
    numbers,
    signed,
    text,
)
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.receive.gather import Room
from kscope.server.receive.intake import OldLayoutProblem
from kscope.server.receive.otlp_messages import (
    FIELDS,
    Dictionary,
    Kind,
    Known,
    Profile,
    Request,
    ResourceProfiles,
    ScopeProfiles,
)

M = TypeVar("M", bound=msgspec.Struct)

LAYOUT = (
    "Profiles are read in the layout of opentelemetry-proto 1.43 to 1.45; older releases have"
    " others under the same names: update the sender"
)
# Of one request, in all its lists.
_MOST_MESSAGES = 500_000
_MOST_FIELDS = 3_000_000
_MOST_NUMBERS = 1_000_000
_TEXT = 4096
# JSON is decoded in one piece.
_MAX_JSON = 16 * 1024 * 1024
# Bytes of memory for a message, for a byte of packed numbers, and for a value of JSON.
_MESSAGE, _PACKED, _VALUE = 160, 18, 40
# Fields that one step reads.
_STEP = 5000
# Messages with many others in them, which are read in steps.
_LARGE = frozenset({Request, Dictionary, ResourceProfiles, ScopeProfiles, Profile})
_DECODER = msgspec.json.Decoder(Request, strict=False)


@dataclass
class _Wire:
    """One pass over a body."""

    body: Content
    room: Room
    messages: int = 0
    fields: int = 0
    pause: int = 0

    def steps(self, of: type[M], start: int, end: int) -> Steps[M]:
        """Return a message that may be large. Raises WireError or HttpProblem."""
        self.count()
        found: dict[str, Any] = {}
        plan = _PLANS[of]
        for each in fields(self.body, start, end):
            own = plan.get(each[0])
            if own is None:
                continue
            if own.of in _LARGE and each[1] == BYTES:
                own.put(found, (yield from self.steps(own.of, each[2], each[3])))
            else:
                own.put(found, self._value(of, own, each))
            if self.fields >= self.pause:
                self.pause = self.fields + _STEP
                yield Lane.GOOD
        return of(**found)

    def _message(self, of: type[M], start: int, end: int) -> M:
        self.count()
        found: dict[str, Any] = {}
        plan = _PLANS[of]
        for each in fields(self.body, start, end):
            if own := plan.get(each[0]):
                own.put(found, self._value(of, own, each))
        return of(**found)

    def _value(self, of: type[M], own: "_Plan", each: Field) -> Any:
        # A field that is no message and comes again and again adds nothing to the messages.
        self.fields += 1
        if self.fields > _MOST_FIELDS:
            raise HttpProblem(413, f"more than {_MOST_FIELDS} fields: send fewer samples at a time")
        # Protobuf allows lists that are not packed, and no sender writes them: `values` of a single
        # number is the `link_index` of an older layout.
        if each[1] != own.wire:
            raise OldLayoutProblem(
                400, f"field {each[0]} of a {of.__name__} is not its `{own.name}`. {LAYOUT}"
            )
        return own.read(self, each) if own.read else self._message(own.of, each[2], each[3])

    def count(self) -> None:
        self.messages += 1
        self.room(_MESSAGE)
        if self.messages > _MOST_MESSAGES:
            raise _too_many(_MOST_MESSAGES)

    def text(self, each: Field) -> str:
        self.count()
        return text(self.body, each, _TEXT)

    def id(self, each: Field) -> str:
        return bytes(self.body[each[2] : min(each[3], each[2] + 64)]).hex()

    def numbers(self, each: Field) -> list[int]:
        self.room(_PACKED * (each[3] - each[2]))
        return numbers(self.body, each, _MOST_NUMBERS)

    def signeds(self, each: Field) -> list[int]:
        return list(map(signed, self.numbers(each)))

    def fixeds(self, each: Field) -> list[int]:
        self.room(_PACKED * (each[3] - each[2]) // 4)
        return fixed64s(self.body, each, _MOST_NUMBERS)


def _double(_: _Wire, each: Field) -> float:
    found: float = struct.unpack("<d", each[2].to_bytes(8, "little"))[0]
    return found


# How each kind is read, and its wire type.
_READ: Mapping[Kind, tuple[Callable[[_Wire, Field], Any] | None, int]] = {
    Kind.NUMBER: (lambda _, each: each[2], VARINT),
    Kind.SIGNED: (lambda _, each: signed(each[2]), VARINT),
    Kind.FIXED: (lambda _, each: each[2], FIXED64),
    Kind.DOUBLE: (_double, FIXED64),
    Kind.TEXT: (_Wire.text, BYTES),
    Kind.TEXTS: (_Wire.text, BYTES),
    Kind.ID: (_Wire.id, BYTES),
    Kind.NUMBERS: (_Wire.numbers, BYTES),
    Kind.SIGNEDS: (_Wire.signeds, BYTES),
    Kind.FIXEDS: (_Wire.fixeds, BYTES),
    Kind.MESSAGE: (None, BYTES),
    Kind.MESSAGES: (None, BYTES),
}


def _set(found: dict[str, Any], name: str, value: Any) -> None:
    found[name] = value


def _append(found: dict[str, Any], name: str, value: Any) -> None:
    found.setdefault(name, []).append(value)


def _extend(found: dict[str, Any], name: str, value: Any) -> None:
    found.setdefault(name, []).extend(value)


_PUT = {Kind.MESSAGES: _append, Kind.TEXTS: _append} | dict.fromkeys(
    (Kind.NUMBERS, Kind.SIGNEDS, Kind.FIXEDS), _extend
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a field is read, decided once."""

    name: str
    wire: int
    read: Callable[[_Wire, Field], Any] | None
    store: Callable[[dict[str, Any], str, Any], None]
    of: Any

    def put(self, found: dict[str, Any], value: Any) -> None:
        """Set the field, or add to its list."""
        self.store(found, self.name, value)


def _plan(known: Known) -> _Plan:
    read, wire = _READ[known.kind]
    return _Plan(known.name, wire, read, _PUT.get(known.kind, _set), known.of)


_PLANS = {
    of: {number: _plan(known) for number, known in fields_of.items()}
    for of, fields_of in FIELDS.items()
}


def decoded(body: bytearray, room: Room, *, json: bool) -> Steps[Request]:
    """Return the request of a body, in steps. Raises HttpProblem."""
    yield Lane.GOOD
    if json:
        return _of_json(body, room)
    try:
        return (yield from _Wire(body, room).steps(Request, 0, len(body)))
    except WireError as error:
        raise HttpProblem(
            400, f"the body is not an ExportProfilesServiceRequest: {error}"
        ) from None


def _of_json(body: bytearray, room: Room) -> Request:
    if len(body) > _MAX_JSON:
        raise HttpProblem(413, f"more than {_MAX_JSON >> 20} MiB of JSON: send protobuf")
    objects = body.count(b"{")
    if objects > _MOST_MESSAGES:
        raise _too_many(_MOST_MESSAGES)
    room(objects * _MESSAGE + body.count(b",") * _VALUE)
    try:
        request = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise OldLayoutProblem(400, f"the JSON: {error}. {LAYOUT}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpProblem(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise HttpProblem(400, "the body is nested too deeply") from None
    if request.snake_case is not None:
        raise HttpProblem(400, "the JSON has `resource_profiles`: write names as resourceProfiles")
    for resource in request.resource_profiles:
        for scope in resource.scope_profiles:
            for profile in scope.profiles:
                _check_names(profile)
    return request


def _check_names(profile: Profile) -> None:
    old: Mapping[str, Any] = {
        "sample": profile.sample,
        "locationTable": profile.location_table,
        "stringTable": profile.string_table,
    }
    for name, value in old.items():
        if value is not None:
            raise OldLayoutProblem(400, f"a Profile has `{name}`. {LAYOUT}")


def _too_many(most: int) -> HttpProblem:
    return HttpProblem(413, f"more than {most} messages: send fewer samples at a time")
