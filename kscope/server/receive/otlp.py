"""OpenTelemetry's profiles over HTTP: experimental, as the protocol itself."""

import base64
import binascii
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from kscope.declare.receive import SampleType
from kscope.profiles.wire import written
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Steps
from kscope.server.receive.gather import Gathered, Pushed, PushedProfile, frequency_of
from kscope.server.receive.intake import Intake, OldLayoutProblem, Reader
from kscope.server.receive.otlp_decode import LAYOUT, decoded
from kscope.server.receive.otlp_messages import Dictionary, Profile, Request, Sample, ValueType
from kscope.server.receive.otlp_tables import Tables, Value, at, tables

PATH = "/v1development/profiles"
_JSON = "application/json"
_PROTO = frozenset({"application/x-protobuf", "application/protobuf"})
_VERSION, _KNOWN_VERSION = "otlp-profiles-development-version", "1"
_ID_BYTES = 16
# google.rpc.Code by HTTP status; the others are INVALID_ARGUMENT.
_CODES = {401: 16, 403: 7, 413: 8, 415: 12, 429: 8, 503: 14}
_INVALID = 3
# Sentences about old rows in one answer.
_MOST_TOLD = 10


@dataclass(frozen=True)
class Otlp:
    intake: Intake

    async def __call__(self, request: HttpRequest) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            with self.intake.counted():
                gathered = await self.intake.store(request, _reader(request, kind))
        except HttpProblem as problem:
            return _status(problem, kind)
        return _answer(gathered, kind)


def _reader(request: HttpRequest, kind: str) -> Reader:
    """Return the reader of the body by its type and version. Raises HttpProblem."""
    versions = request.headers.getlist(_VERSION)
    if versions and [each.strip() for each in versions] != [_KNOWN_VERSION]:
        shown = ", ".join(versions)[:80]
        raise HttpProblem(
            400, f"{_VERSION} is {shown!r}: only version {_KNOWN_VERSION} of profiles is read"
        )
    if kind != _JSON and kind not in _PROTO:
        detail = f"Content-Type {kind[:80]!r} is not taken"
        raise HttpProblem(415, f"{detail}: send application/x-protobuf or application/json")

    def read(body: bytearray, gathered: Gathered) -> Steps[None]:
        return _add(body, gathered, json=kind == _JSON)

    return read


def _add(body: bytearray, gathered: Gathered, *, json: bool) -> Steps[None]:
    digest = blake2b(body, digest_size=16).hexdigest()
    request: Request = yield from decoded(body, gathered.room, json=json)
    known = yield from tables(request.dictionary or Dictionary(), gathered.room)
    reading = _Reading(known, digest, time.time_ns() // 1000)
    for resource in request.resource_profiles:
        shared = known.named(resource.resource.attributes if resource.resource else ())
        for scope in resource.scope_profiles:
            own = known.named(scope.scope.attributes if scope.scope else ())
            for profile in scope.profiles:
                yield from gathered.add(reading.profile(profile, shared | own))


@dataclass
class _Reading:
    """The profiles of one body, by their number. `now` is in microseconds."""

    known: Tables
    digest: str
    now: int
    number: int = -1

    def profile(self, profile: Profile, shared: dict[str, Value]) -> PushedProfile:
        """Return the next profile, with the attributes that it shares. Raises HttpProblem."""
        self.number += 1
        where = f"profile {self.number}"
        if profile.sample_type is None or not profile.sample_type.type_strindex:
            raise HttpProblem(400, f"{where} has no sample type")
        period_type = _names(self.known, profile.period_type)
        kind, unit = _names(self.known, profile.sample_type)
        end = (profile.time_unix_nano + profile.duration_nano) // 1000
        timed = profile.time_unix_nano > 0 or any(s.timestamps_unix_nano for s in profile.samples)
        digest = f"{self.digest} {self.number}" if timed else ""
        return PushedProfile(
            types=[SampleType(kind, unit, period=period_type)],
            samples=partial(_samples, profile, self.known, where),
            labels=shared | self.known.labels(profile.attribute_indices, where),
            time=end if profile.time_unix_nano > 0 else self.now,
            frequency=frequency_of(period_type, profile.period),
            key=_id(profile.profile_id) or digest,
            count=len(profile.samples),
        )


def _names(known: Tables, kind: ValueType | None) -> tuple[str, str]:
    return (
        (known.string(kind.type_strindex), known.string(kind.unit_strindex)) if kind else ("", "")
    )


def _samples(profile: Profile, known: Tables, where: str) -> Iterator[Pushed]:
    for number, sample in enumerate(profile.samples):
        place = f"{where}, sample {number}"
        _check_shape(sample, place)
        if sample.link_index and not 0 <= sample.link_index < known.links:
            raise HttpProblem(
                400,
                f"{place} refers to entry {sample.link_index} of link_table, which has"
                f" {known.links}. Is it of another release of the protocol?",
            )
        labels = known.labels(sample.attribute_indices, place)
        index = sample.stack_index
        stack = at(known.stacks, index, "stack_table", place) if index else ()
        times = sample.timestamps_unix_nano
        if not times:
            yield Pushed(stack, sample.values, labels)
            continue
        for moment, value in zip(times, sample.values or [1] * len(times), strict=True):
            yield Pushed(stack, [value], labels, moment // 1000)


def _check_shape(sample: Sample, where: str) -> None:
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


def _id(text: str) -> str:
    """Return a profile's id in hexadecimal, empty if there is none: 16 bytes, not all 0."""
    is_hex = len(text) == 2 * _ID_BYTES
    try:
        found = bytes.fromhex(text) if is_hex else base64.b64decode(text[:64])
    except (ValueError, binascii.Error):
        return ""
    return found.hex() if len(found) == _ID_BYTES and any(found) else ""


def _answer(gathered: Gathered, kind: str) -> Response:
    """Return an ExportProfilesServiceResponse: empty if all profiles were taken."""
    why = "; ".join(filter(None, (gathered.why_untaken(), *gathered.old[:_MOST_TOLD])))
    if kind == _JSON:
        partial = {"rejectedProfiles": str(gathered.refused), "errorMessage": why}
        body = msgspec.json.encode({"partialSuccess": partial} if why else {})
    else:
        partial_success = written(1, gathered.refused) + written(2, why.encode())
        body = written(1, partial_success) if why else b""
    return Response(body, media_type=kind)


def _status(problem: HttpProblem, kind: str) -> Response:
    """Return a google.rpc.Status in the request's type. A sender repeats only 429 and 503."""
    status = 400 if problem.status == 422 else problem.status
    code = _CODES.get(status, _INVALID)
    if kind in _PROTO:
        body, media_type = written(1, code) + written(2, problem.detail.encode()), kind
    else:
        body, media_type = msgspec.json.encode({"code": code, "message": problem.detail}), _JSON
    return Response(body, status, dict(problem.headers), media_type)


def otlp_routes(intake: Intake) -> list[Route]:
    """Return the route, also under an address that ends in `/`."""
    return [Route(path, Otlp(intake).__call__, methods=["POST"]) for path in (PATH, f"/{PATH}")]
