"""The query and the body of Pyroscope's `/ingest`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from starlette.datastructures import QueryParams

from kscope.declare.receive import SampleType
from kscope.declare.units import SECONDS
from kscope.server.http.problems import Fault, HttpProblem
from kscope.server.ingest.fair_queue import Steps
from kscope.server.receive.folded_text import folded, stacks
from kscope.server.receive.gather import Gathered, PushedProfile
from kscope.server.receive.multipart import parts
from kscope.server.receive.pprof_profile import Origin, add_pprof

_SECOND = 10**9
_MAX_NAME, _MAX_TAGS, _MAX_RATE = 8192, 100, 10**6
_TEXTS = {"": folded, "groups": folded, "folded": folded, "collapsed": folded, "lines": stacks}
# Formats that Pyroscope takes, too, and what to do instead.
_UNTAKEN = {
    "jfr": "Java Flight Recorder is not read; async-profiler's jfrconv makes folded text of it",
    "trie": "its tries of old clients are not read: send pprof or folded text",
    "tree": "its trees of old clients are not read: send pprof or folded text",
    "speedscope": "speedscope's JSON is not read: send pprof or folded text",
}
# Types at the end of an application's name, as older clients write them.
_ENDINGS = {
    "cpu": ("cpu", "nanoseconds"),
    "wall": ("wall", "nanoseconds"),
    "itimer": ("cpu", "nanoseconds"),
    "alloc_objects": ("alloc_objects", "count"),
    "alloc_space": ("alloc_space", "bytes"),
    "inuse_objects": ("inuse_objects", "count"),
    "inuse_space": ("inuse_space", "bytes"),
    "goroutines": ("goroutines", "count"),
    "mutex_count": ("contentions", "count"),
    "mutex_duration": ("delay", "nanoseconds"),
    "block_count": ("contentions", "count"),
    "block_duration": ("delay", "nanoseconds"),
}
# `units` of text whose name has no such end; of samples the rate gives the time.
_UNITS = {
    "samples": ("cpu", "nanoseconds"),
    "objects": ("alloc_objects", "count"),
    "bytes": ("alloc_space", "bytes"),
    "goroutines": ("goroutines", "count"),
    "lock_samples": ("contentions", "count"),
    "lock_nanoseconds": ("delay", "nanoseconds"),
    "nanoseconds": ("cpu", "nanoseconds"),
}
_TIME = re.compile(r"\d{10}|\d{13}|\d{16}|\d{19}", re.ASCII)
_RELATIVE = re.compile(r"now(?:-(\d{1,9})([smhdw]))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class IngestQuery:
    """The query of one request. Times are in microseconds, `rate` in samples a second.

    It is `timed` if it names a span that is another one each time, unlike now-1h.
    """

    application: str
    tags: Mapping[str, str]
    kind: tuple[str, str] | None
    until: int
    timed: bool
    rate: int
    units: str
    format: str
    text: str

    @property
    def labels(self) -> dict[str, str]:
        return {"service_name": self.application, **self.tags}


def read_query(query: QueryParams, content_type: str, now: int) -> IngestQuery:
    """Return the query of a request. Raises HttpProblem."""
    application, tags, kind = _named(query.get("name", ""))
    rate = query.get("sampleRate", "") or "100"
    if not (rate.isascii() and rate.isdigit() and 0 < int(rate[:8]) <= _MAX_RATE):
        raise _wrong("sampleRate", f"{rate[:40]!r} is not a number from 1 to {_MAX_RATE}")
    _moment("from", query.get("from", ""), now)
    return IngestQuery(
        application,
        tags,
        kind,
        _moment("until", query.get("until", ""), now),
        all(_TIME.fullmatch(query.get(end, "")) for end in ("from", "until")),
        int(rate),
        query.get("units", "") or "samples",
        _format(query.get("format", ""), content_type),
        str(query),
    )


def add_ingest(
    body: bytearray, asked: IngestQuery, content_type: str, gathered: Gathered
) -> Steps[None]:
    """Add the profile of a body, in steps. Raises HttpProblem."""
    key = blake2b(asked.text.encode() + b"\n", digest_size=16)
    key.update(body)
    if asked.format == "pprof":
        content: bytes | bytearray = body
        if content_type.startswith("multipart/"):
            content = _profile_part(content_type, body, gathered)
        origin = Origin(
            "", asked.labels, asked.until, key.hexdigest(), asked.timed, float(asked.rate)
        )
        yield from add_pprof(content, origin, gathered, "the body")
        return
    kind = asked.kind or _UNITS.get(asked.units)
    if kind is None:
        raise _wrong("units", f"{asked.units[:40]!r} is not one of {', '.join(_UNITS)}")
    sampled = asked.units == "samples" and kind[1] == "nanoseconds"
    factor = _SECOND // asked.rate if sampled else 1
    frequency = float(asked.rate) if sampled else None
    samples = partial(_TEXTS[asked.format], body, factor)
    key_text = key.hexdigest() if asked.timed else ""
    yield from gathered.add(
        PushedProfile([SampleType(*kind)], samples, asked.labels, asked.until, frequency, key_text)
    )


def _profile_part(content_type: str, body: bytearray, gathered: Gathered) -> bytes:
    gathered.room(2 * len(body))
    found = parts(content_type, body)
    if "profile" not in found:
        raise HttpProblem(400, "the body has no part `profile`")
    if found.get("prev_profile"):
        raise HttpProblem(
            422,
            "the difference to `prev_profile` is not taken: use a newer client, which sends the"
            " difference itself",
        )
    return found["profile"]


def _format(given: str, content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    ending = kind.rpartition("+")[2] if kind.startswith("binary/octet-stream+") else ""
    name = given.lower() or ending or ("pprof" if kind == "multipart/form-data" else "")
    if name in _UNTAKEN:
        raise HttpProblem(415, f"format {name} is not taken: {_UNTAKEN[name]}")
    if name != "pprof" and name not in _TEXTS:
        known = ", ".join(["pprof", *filter(None, _TEXTS)])
        raise HttpProblem(415, f"format {name[:40]!r} is not known: send one of {known}")
    return name


def _named(name: str) -> tuple[str, dict[str, str], tuple[str, str] | None]:
    """Return the application, its tags, and the sample type at the end of the name if any.

    `shop.cpu{region=eu,zone=a}` has all of them.
    """
    application, _, rest = name.partition("{")
    application = application.strip()
    if not application or len(name) > _MAX_NAME or (rest and not rest.rstrip().endswith("}")):
        raise _wrong("name", "must be the application's name, or APPLICATION{TAG=VALUE,...}")
    tags = {}
    for pair in filter(None, rest.rstrip().removesuffix("}").split(",", _MAX_TAGS)):
        key, _, value = pair.partition("=")
        tags[key.strip()] = value.strip().strip('"')
    base, _, ending = application.rpartition(".")
    if base and ending in _ENDINGS:
        return base, tags, _ENDINGS[ending]
    return application, tags, None


def _moment(parameter: str, text: str, now: int) -> int:
    """Return microseconds: Pyroscope's numbers of seconds to nanoseconds, or `now-1h`."""
    if not text:
        return now
    if _TIME.fullmatch(text):
        fraction: int = 10 ** (len(text) - 10)
        return int(text) * 10**6 // fraction
    if found := _RELATIVE.fullmatch(text):
        return now - (int(found[1]) * SECONDS[found[2]] * 10**6 if found[1] else 0)
    said = f"{text[:40]!r} is not a time: seconds, milli-, micro- or nanoseconds since 1970, now-1h"
    raise _wrong(parameter, said)


def _wrong(parameter: str, detail: str) -> HttpProblem:
    return HttpProblem(400, f"{parameter}: {detail}", [Fault(detail, parameter=parameter)])
