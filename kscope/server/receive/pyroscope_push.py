"""The body of `/push.v1.PusherService/Push`, in protobuf or in Connect's JSON.

PushRequest{1 series[]}, series{1 labels[], 2 samples[]}, label{1 name, 2 value},
sample{1 raw_profile, 2 ID}.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated

import msgspec

from kscope.profiles.wire import BYTES, Content, Field, WireError, fields, text
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.receive.gather import Gathered, Room
from kscope.server.receive.pprof_profile import Origin, add_pprof

_NAME = "__name__"
_MOST_SERIES, _MOST_LABELS, _MOST_SAMPLES = 1000, 100, 1000
_MOST_OBJECTS = 200_000
_LABEL, _ID = 1024, 200


@dataclass
class _Series:
    labels: dict[str, str] = field(default_factory=dict)
    # The profile and its id.
    samples: list[tuple[bytes, str]] = field(default_factory=list)


# Protobuf's JSON: null is the same as nothing, and a field may have its name of the proto file.
class _JsonLabel(msgspec.Struct):
    name: str | None = None
    value: str | None = None


class _JsonSample(
    msgspec.Struct, rename={"raw": "rawProfile", "raw_snake": "raw_profile", "id": "ID"}
):
    raw: str | None = None
    raw_snake: str | None = None
    id: str | None = None


class _JsonSeries(msgspec.Struct):
    labels: Annotated[list[_JsonLabel], msgspec.Meta(max_length=_MOST_LABELS)] | None = None
    samples: Annotated[list[_JsonSample], msgspec.Meta(max_length=_MOST_SAMPLES)] | None = None


class _JsonRequest(msgspec.Struct):
    series: Annotated[list[_JsonSeries], msgspec.Meta(max_length=_MOST_SERIES)] | None = None


_DECODER = msgspec.json.Decoder(_JsonRequest)
# Its base64 has either alphabet, with or without the end.
_ALPHABET = bytes.maketrans(b"-_", b"+/")


def add_push(body: bytearray, gathered: Gathered, now: int, *, json: bool) -> Steps[None]:
    """Add the profiles of a push, in steps. `now` is in microseconds. Raises HttpProblem."""
    read = _from_json if json else _from_wire
    try:
        listed = read(body, gathered.room)
    except (WireError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpProblem(400, f"the body is not a PushRequest: {error}") from None
    except RecursionError:
        raise HttpProblem(400, "the body is nested too deeply") from None
    yield Lane.GOOD
    for number, series in enumerate(listed):
        while series.samples:
            raw, own = series.samples.pop(0)
            name, key = series.labels.get(_NAME, ""), _key(series, raw, own)
            origin = Origin(name, series.labels, now, key, identified=bool(own))
            where = f"series {number} ({name[:80] or 'without a name'})"
            yield from add_pprof(raw, origin, gathered, where)


def _key(series: _Series, raw: bytes, own: str) -> str:
    """Return the key of a profile: its id and its labels, or without an id its content."""
    named: Mapping[str, str] = series.labels
    digest = blake2b(repr(sorted(named.items())).encode(errors="replace"), digest_size=16)
    digest.update(own.encode(errors="replace") if own else raw)
    return digest.hexdigest()


def _from_json(body: bytearray, room: Room) -> list[_Series]:
    _check(body.count(b"{"), _MOST_OBJECTS, "objects")
    found = []
    for number, each in enumerate(_DECODER.decode(body).series or ()):
        labels = ((label.name or "", label.value or "") for label in each.labels or ())
        series = _Series({name: value[:_LABEL] for name, value in labels})
        for sample in each.samples or ():
            raw = _unpacked(sample.raw or sample.raw_snake or "", number, room)
            series.samples.append((raw, (sample.id or "")[:_ID]))
        found.append(series)
    return found


def _unpacked(base64_text: str, series: int, room: Room) -> bytes:
    room(2 * len(base64_text))
    packed = base64_text.encode().translate(_ALPHABET)
    packed += b"=" * (-len(packed) % 4)
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        detail = f"series {series}: rawProfile is not base64: {error}"
        raise HttpProblem(400, detail) from None


def _from_wire(body: bytearray, room: Room) -> list[_Series]:
    found = []
    for each in fields(body):
        if each[0] == 1:
            found.append(_series(body, each, room))
            _check(len(found), _MOST_SERIES, "series")
    return found


def _series(body: Content, each: Field, room: Room) -> _Series:
    series = _Series()
    for part in _message(body, each):
        if part[0] == 1:
            name, value = _label(body, part)
            series.labels[name] = value
            _check(len(series.labels), _MOST_LABELS, "labels in one series")
        elif part[0] == 2:
            series.samples.append(_sample(body, part, room))
            _check(len(series.samples), _MOST_SAMPLES, "samples in one series")
    return series


def _label(body: Content, each: Field) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for part in _message(body, each):
        if part[0] in texts:
            texts[part[0]] = text(body, part, _LABEL)
    return texts[1], texts[2]


def _sample(body: Content, each: Field, room: Room) -> tuple[bytes, str]:
    raw, own = b"", ""
    for number, kind, start, end in _message(body, each):
        if number == 1 and kind == BYTES:
            room(end - start)
            raw = bytes(body[start:end])
        elif number == 2:
            own = text(body, (number, kind, start, end), _ID)
    return raw, own


def _message(body: Content, each: Field) -> list[Field]:
    number, kind, start, end = each
    if kind != BYTES:
        raise WireError(f"at byte {end}: a number in place of field {number}")
    found = []
    for part in fields(body, start, end):
        found.append(part)
        _check(len(found), _MOST_SAMPLES + _MOST_LABELS, "fields in one message")
    return found


def _check(found: int, most: int, what: str) -> None:
    if found > most:
        raise HttpProblem(413, f"more than {most} {what}: send fewer at a time")
