"""An ExportProfilesServiceRequest, as protobuf or JSON -> its messages, within bounds."""

import struct
from collections.abc import Mapping
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
    Sample,
    ScopeProfiles,
)

M = TypeVar("M", bound=msgspec.Struct)

LAYOUT = (
    "Profiles are read in the layout of opentelemetry-proto 1.43 to 1.45; older releases have"
    " others under the same names: update the sender"
)
# Of one request, in all its lists.
_MOST_MESSAGES = 500_000
_MOST_NUMBERS = 1_000_000
_TEXT = 4096
# JSON is decoded in one piece.
_MAX_JSON = 16 * 1024 * 1024
# Bytes of memory for a message, for a byte of packed numbers, and for a value of JSON.
_MESSAGE, _PACKED, _VALUE = 160, 18, 40
_STEP = 1000
# Messages with many others in them, which are read in steps.
_LARGE = frozenset({Request, Dictionary, ResourceProfiles, ScopeProfiles, Profile})
# The wire type of each kind; lists of numbers may have another.
_WIRE = {
    Kind.NUMBER: VARINT,
    Kind.SIGNED: VARINT,
    Kind.FIXED: FIXED64,
    Kind.DOUBLE: FIXED64,
}
_DECODER = msgspec.json.Decoder(Request, strict=False)


@dataclass
class _Wire:
    """One pass over a body."""

    body: Content
    room: Room
    messages: int = 0

    def steps(self, of: type[M], start: int, end: int) -> Steps[M]:
        """Return a message that may be large. Raises WireError or HttpProblem."""
        found: dict[str, Any] = {}
        known = FIELDS[of]
        for each in fields(self.body, start, end):
            own = known.get(each[0])
            if own is None:
                continue
            if own.of in _LARGE and each[1] == BYTES:
                value: Any = yield from self.steps(own.of, each[2], each[3])
                _put(found, own, value)
            else:
                self._read(of, found, own, each)
            if self.messages % _STEP == 0:
                yield Lane.GOOD
        return of(**found)

    def _message(self, of: type[M], start: int, end: int) -> M:
        self._count()
        found: dict[str, Any] = {}
        known = FIELDS[of]
        for each in fields(self.body, start, end):
            if own := known.get(each[0]):
                self._read(of, found, own, each)
        return of(**found)

    def _count(self) -> None:
        self.messages += 1
        self.room(_MESSAGE)
        if self.messages > _MOST_MESSAGES:
            raise _too_many(_MOST_MESSAGES)

    def _read(self, of: type[M], found: dict[str, Any], own: Known, each: Field) -> None:
        _check_layout(of, own, each)
        _put(found, own, self._value(own, each))
        if own.kind in (Kind.TEXT, Kind.TEXTS):
            self._count()

    def _value(self, own: Known, each: Field) -> Any:
        _, _, start, end = each
        match own.kind:
            case Kind.NUMBER | Kind.FIXED:
                return start
            case Kind.SIGNED:
                return signed(start)
            case Kind.DOUBLE:
                return struct.unpack("<d", start.to_bytes(8, "little"))[0]
            case Kind.TEXT | Kind.TEXTS:
                return text(self.body, each, _TEXT)
            case Kind.ID:
                return bytes(self.body[start : min(end, start + 64)]).hex()
            case Kind.FIXEDS:
                self.room(end - start if each[1] == BYTES else 8)
                return fixed64s(self.body, each, _MOST_NUMBERS)
            case Kind.NUMBERS | Kind.SIGNEDS:
                self.room(_PACKED * (end - start if each[1] == BYTES else 1))
                listed = numbers(self.body, each, _MOST_NUMBERS)
                return list(map(signed, listed)) if own.kind is Kind.SIGNEDS else listed
        assert own.of
        return self._message(own.of, start, end)


def _put(found: dict[str, Any], own: Known, value: Any) -> None:
    """Set a field, or add to a list."""
    if own.kind in (Kind.MESSAGES, Kind.TEXTS):
        found.setdefault(own.name, []).append(value)
    elif own.kind in (Kind.NUMBERS, Kind.SIGNEDS, Kind.FIXEDS):
        found.setdefault(own.name, []).extend(value)
    else:
        found[own.name] = value


def _check_layout(of: type[Any], own: Known, each: Field) -> None:
    """Raise OldLayoutProblem if a field has another wire type, as it has in older layouts."""
    number, kind, _, _ = each
    expected = _WIRE.get(own.kind, BYTES)
    # Protobuf allows lists that are not packed, and no sender writes them: `values` of a single
    # number is the `link_index` of an older layout.
    if kind != expected:
        raise OldLayoutProblem(
            400, f"field {number} of a {of.__name__} is not its `{own.name}`. {LAYOUT}"
        )


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


def check_shape(sample: Sample, where: str) -> None:
    """Raise HttpProblem unless values and timestamps are of a shape that the standard has."""
    values, times = len(sample.values), len(sample.timestamps_unix_nano)
    if not values and not times:
        raise OldLayoutProblem(400, f"{where} has neither values nor timestamps. {LAYOUT}")
    if values and times and values != times:
        raise HttpProblem(400, f"{where} has {values} values and {times} timestamps")
    if values > 1 and not times:
        raise HttpProblem(
            400, f"{where} has {values} values without timestamps, at most one is read"
        )


def _too_many(most: int) -> HttpProblem:
    return HttpProblem(413, f"more than {most} messages: send fewer samples at a time")
