"""Rows that come over HTTP: our own ingest, that of 2016, markers, and other senders' profiles."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard
from google.protobuf import json_format

from tests.days import NOON
from tests.fuzz.http import address, server
from tests.fuzz.target import Target
from tests.profiles.made import cpu
from tests.server.test_otlp import simple
from tests.server.test_pyroscope import heap, series, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROW = {
    "time": NOON, "process": "mysqld", "state": "", "path": "/tmp/a b", "started": NOON, "pid": 7,
    "events": 3, "latency": 900, "written": 4096, "busy": 0.5, "direct": True, "peer": "::1",
    "stack": 0, "user_stack": "main;write", "latencies": [0, 2, 0, 1],
}  # fmt: skip
WAIT = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
ROWS = {
    "hostname": "web-001", "time": NOON, "stacks": ["main;read", "main;write"],
    "everything": [ROW, ROW | {"stack": 1}], "offcputime": [WAIT],
}  # fmt: skip
COLUMNS = {
    "hostname": "web-001",
    "strings": ["mysqld", NOON, "/tmp/a b", "::1"],
    "stacks": ["main;read", "main;write"],
    "everything": {
        "time": {"strings": [1, 1]}, "process": {"strings": [0, 0]}, "state": ["", "x"],
        "path": {"strings": [2, 2]}, "started": [NOON, NOON], "pid": [1, 2], "events": [1, 2],
        "latency": [900, 901], "busy": [0.5, 1], "direct": [True, False],
        "peer": {"strings": [3, 3]}, "stack": [0, 1], "user_stack": ["", "a;b"],
        "latencies": {"slots": [1, 3, 2], "counts": [2, 1, 5], "ends": [2, 3]},
    },
}  # fmt: skip
MARKERS = [
    {"message": "release 7", "kind": "deploy", "hostname": "web-1", "time": "now-1h"},
    {"text": "a note"},
]
# Labels in the query of Pyroscope's older API.
OLD_QUERIES = (
    "name=shop.cpu{service=web}&from=1795870000&until=1795870010&sampleRate=99&units=samples",
    "name=x&format=pprof&from=now-1m",
    "name=x&format=lines&aggregationType=sum",
)


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(each).encode() for each in values]


def _posting(path: str, kind: str, **headers: str) -> Callable[[], Callable[[bytes], object]]:
    """Return what sends a body to the ingest listener."""

    def open_() -> Callable[[bytes], object]:
        found = server()
        return lambda data: found.ask(
            found.ingest, "POST", path, data, content_type=kind, **headers
        )

    return open_


def _old_pyroscope() -> Callable[[bytes], object]:
    """The first line is the query, the second one the type of the body."""
    found = server()

    def send(data: bytes) -> object:
        query, _, rest = data.partition(b"\n")
        kind, _, body = rest.partition(b"\n")
        target = f"/ingest?{address(query)}"
        return found.ask(
            found.ingest, "POST", target, body, content_type=kind.decode("latin-1").strip()
        )

    return send


def _old_seeds() -> Sequence[bytes]:
    head = b'Content-Disposition: form-data; name="profile"; filename="p"'
    form = b"--b\r\n" + head + b"\r\n\r\n%s\r\n--b--\r\n"
    bodies = {
        b"application/octet-stream": b"main;work 3\nmain;read 4\n",
        b"binary/octet-stream": timed(cpu({"main;work": 30_000_000})),
        b"multipart/form-data; boundary=b": form % timed(heap()),
    }
    return [
        query.encode() + b"\n" + kind + b"\n" + body
        for query in OLD_QUERIES
        for kind, body in bodies.items()
    ]


def _pushed() -> list[bytes]:
    labels = {"__name__": "process_cpu", "service_name": "shop", "hostname": "push-1"}
    made = timed(cpu({"main;work": 30_000_000}, pid="41"))
    return [
        series(labels, made),
        series(labels, gzip.compress(made)),
        series(labels, timed(heap())),
    ]


def _pushed_json() -> list[bytes]:
    raw = base64.b64encode(timed(cpu({"main": 10_000_000}))).decode()
    labels = [{"name": "service_name", "value": "shop"}]
    return _json({"series": [{"labels": labels, "samples": [{"rawProfile": raw, "ID": "1"}]}]})


def _otlp() -> list[bytes]:
    return [simple("web-1").content, simple("").content]


def _otlp_json() -> list[bytes]:
    return [json_format.MessageToJson(simple("web-1").request).encode()]


def _compressed() -> list[bytes]:
    (body,) = _json(ROWS)
    return [gzip.compress(body), gzip.compress(b" " * 100_000 + body)]


def _zstd() -> list[bytes]:
    (body,) = _json(ROWS)
    return [zstandard.compress(body), zstandard.compress(b" " * 100_000 + body)]


_JSON, _PACKED = "application/json", "application/msgpack"
TARGETS = (
    Target("ingest", _posting("/api/v1/ingest", _JSON), lambda: _json(ROWS, COLUMNS), "json"),
    Target(
        "ingest-msgpack",
        _posting("/api/v1/ingest", _PACKED),
        lambda: [msgspec.msgpack.encode(each) for each in (ROWS, COLUMNS)],
        "msgpack",
    ),
    Target("ingest-2016", _posting("/", "text/plain"), lambda: _json(ROWS), "json"),
    Target("ingest-gzip", _posting("/api/v1/ingest", _JSON, content_encoding="gzip"), _compressed),
    Target("ingest-zstd", _posting("/api/v1/ingest", _JSON, content_encoding="zstd"), _zstd),
    Target("markers", _posting("/api/v1/markers", _JSON), lambda: _json(*MARKERS), "json"),
    Target("otlp", _posting("/v1development/profiles", "application/x-protobuf"), _otlp),
    Target("otlp-json", _posting("/v1development/profiles", _JSON), _otlp_json, "json"),
    Target("pyroscope", _posting("/push.v1.PusherService/Push", "application/proto"), _pushed),
    Target("pyroscope-json", _posting("/push.v1.PusherService/Push", _JSON), _pushed_json, "json"),
    Target("pyroscope-ingest", _old_pyroscope, _old_seeds),
)
