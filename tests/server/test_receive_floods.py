"""A profile costs its sender's bytes, whatever is in it: each input with 10^5 to 10^7 items.

The server is a separate process, whose memory the kernel counts.
"""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from kscope.profiles.wire import written
from tests.profiles.made import Making, cpu
from tests.receiving import receiving
from tests.server.test_floods import MIB, Process
from tests.server.test_otlp import PATH as OTLP
from tests.server.test_otlp import Making as OtlpMaking
from tests.server.test_otlp import simple
from tests.server.test_pyroscope import PUSH, series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.serving import Serving

PROTO = {"Content-Type": "application/proto"}
OTLP_PROTO = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
FOLDED = "/ingest?name=flood"
PPROF = "/ingest?name=flood&format=pprof"
SETTINGS = "max_body: 8MiB"
# All bodies together may have 64 MiB.
_MEMORY = 100 * MIB


def push(raw: bytes) -> bytes:
    return series({"__name__": "process_cpu", "hostname": "flood"}, raw)


def pprof(samples: bytes, start: bytes = b"") -> bytes:
    """Return a profile with samples of location 1."""
    return cpu({"main": 1}).content + start + samples


def sample(value: int, *more: bytes) -> bytes:
    return written(2, written(1, b"\x01") + written(2, value) + b"".join(more))


def label(number: int) -> bytes:
    """Return a label with the key 2, which is the text `nanoseconds`."""
    return written(3, written(1, 2) + written(3, number))


def deep(samples: int) -> bytes:
    made = Making()
    made.types(("cpu", "nanoseconds"))
    place = made.location(*("f" * 12 for _ in range(900)))
    for number in range(samples):
        made.sample([place] * 20, number + 1)
    return made.content


def long_names() -> bytes:
    made = Making()
    made.types(("cpu", "nanoseconds"))
    names = [made.location("x" * 1_000_000 + str(number)) for number in range(6)]
    made.sample(names, 10_000_000)
    return made.content


def pids(samples: int) -> bytes:
    """Return a profile whose samples all have another pid."""
    made = cpu({"main": 1})
    key = made.text("pid")
    labels = (written(3, written(1, key) + written(3, number)) for number in range(samples))
    return made.content + b"".join(sample(1, each) for each in labels)


def otlp(profile: bytes) -> bytes:
    dictionary = simple("flood").request.dictionary.SerializeToString()
    return written(1, written(2, written(2, profile))) + written(2, dictionary)


def timestamps(count: int) -> bytes:
    made = simple("flood")
    own = made.request.resource_profiles[0].scope_profiles[0].profiles[0].samples[0]
    del own.values[:]
    own.timestamps_unix_nano.extend(1795870000 * 10**9 + at * 1000 for at in range(count))
    return made.content


def many_profiles(count: int) -> bytes:
    made = simple("flood")
    scope = made.request.resource_profiles[0].scope_profiles[0]
    one = scope.profiles[0].SerializeToString()
    ids = (one + written(7, number.to_bytes(16, "big")) for number in range(1, count))
    scopes = b"".join(written(2, each) for each in ids)
    dictionary = made.request.dictionary.SerializeToString()
    return written(1, written(2, scopes)) + written(2, dictionary)


def deep_otlp() -> bytes:
    made = OtlpMaking()
    place = made.location(*("f" for _ in range(900)))
    for _ in range(3000):
        made.stack(*[place] * 5)
    return made.content


# Where it goes, how, the body, and the statuses that it may have.
FLOODS: dict[str, tuple[str, dict[str, str], Callable[[], bytes], set[int]]] = {
    "a bomb": (
        PUSH,
        PROTO | {"Content-Encoding": "gzip"},
        lambda: gzip.compress(bytes(30 * MIB), 1),
        {413},
    ),
    "a bomb in a push": (PUSH, PROTO, lambda: push(gzip.compress(bytes(100 * MIB), 1)), {400, 413}),
    "many series": (PUSH, PROTO, lambda: b"\x0a\x00" * (3 * MIB), {413}),
    "many labels": (PUSH, PROTO, lambda: written(1, b"\x0a\x00" * (3 * MIB)), {413}),
    "many profiles in a series": (PUSH, PROTO, lambda: written(1, b"\x12\x00" * (3 * MIB)), {413}),
    "many objects of JSON": (
        PUSH,
        JSON,
        lambda: b'{"series":[' + b"{}," * (2 * MIB) + b"{}]}",
        {413},
    ),
    "many samples": (PUSH, PROTO, lambda: push(pprof(sample(1) * 20_000)), {200}),
    "many processes": (PUSH, PROTO, lambda: push(pids(5_000)), {200}),
    "many labels of a sample": (
        PUSH,
        PROTO,
        lambda: push(pprof(sample(1, *map(label, range(30_000))))),
        {400},
    ),
    "deep stacks": (PUSH, PROTO, lambda: push(deep(2600)), {400}),
    "fewer deep stacks": (PUSH, PROTO, lambda: push(deep(200)), {200}),
    "long names": (PPROF, {}, long_names, {200}),
    "empty texts": (PPROF, {}, lambda: pprof(b"\x32\x00" * (3 * MIB)), {400, 413}),
    "empty functions": (PPROF, {}, lambda: pprof(b"\x2a\x00" * (3 * MIB)), {400, 413}),
    "unknown fields": (PPROF, {}, lambda: pprof(b"\x78\x01" * (3 * MIB)), {400}),
    "a long line": (FOLDED, {}, lambda: b"x" * (7 * MIB), {413}),
    "many lines": (FOLDED, {}, lambda: b"main;work 1\n" * 50_000, {200}),
    "empty lines": (FOLDED, {}, lambda: b"\n" * (3 * MIB), {413}),
    "many stacks": (
        FOLDED,
        {},
        lambda: b"".join(b"main;work%d 1\n" % number for number in range(150_000)),
        {413},
    ),
    "many parts": (
        FOLDED,
        {"Content-Type": "multipart/form-data; boundary=x"},
        lambda: b"--x\r\n" * MIB,
        {400},
    ),
    "messages of OTLP": (OTLP, OTLP_PROTO, lambda: otlp(b"\x12\x00" * (3 * MIB)), {413}),
    "resources of OTLP": (OTLP, OTLP_PROTO, lambda: b"\x0a\x00" * (3 * MIB), {413}),
    "ids of OTLP": (
        OTLP,
        OTLP_PROTO | {"Content-Encoding": "gzip"},
        lambda: gzip.compress(otlp(b"\x3a\x00" * (3 * MIB)), 1),
        {413},
    ),
    "texts of OTLP": (OTLP, OTLP_PROTO, lambda: written(2, b"\x2a\x00" * (3 * MIB)), {413}),
    "attributes of OTLP": (
        OTLP,
        OTLP_PROTO,
        lambda: otlp(written(2, written(2, b"\x01" * (7 * MIB)))),
        {400, 413},
    ),
    "timestamps of OTLP": (OTLP, OTLP_PROTO, lambda: timestamps(120_000), {413}),
    "profiles of OTLP": (OTLP, OTLP_PROTO, lambda: many_profiles(2_000), {413}),
    "stacks of OTLP": (OTLP, OTLP_PROTO, deep_otlp, {413}),
    "JSON of OTLP": (
        OTLP,
        JSON,
        lambda: b'{"resourceProfiles":[' + b"{}," * (2 * MIB) + b"{}]}",
        {413},
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with receiving(tmp_path_factory.mktemp("served"), SETTINGS) as running:
        yield running


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_bounded(server: Serving, name: str) -> None:
    """It is refused, or becomes few rows, and rows of others are stored in the meantime."""
    path, headers, body, statuses = FLOODS[name]
    content = body()
    process = Process(server.process.pid)
    before = process.forget_peak()
    answers: list[httpx.Response] = []

    def flood() -> None:
        where = f"{server.ingest}{path}"
        answers.append(server.client.post(where, content=content, headers=headers))

    thread = threading.Thread(target=flood)
    thread.start()
    row = {"process": "others", "pid": 1, "stack": "main", "elapsed": 1}
    server.post({"hostname": "others", "profile": [row]})
    thread.join()
    assert {answer.status_code for answer in answers} <= statuses, answers[0].text[:300]
    assert process.peak() - before < _MEMORY
    assert len(answers[0].content) < 10_000
