"""Pyroscope's two push APIs: profiles in, rows out, and the reason for what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.profiles.wire import written
from kscope.server.http.tokens import token_hash
from tests.profiles.made import Making, cpu
from tests.receiving import counted, receiving, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from tests.serving import Serving

PUSH = "/push.v1.PusherService/Push"
TOKEN = "kscope_pyroscope"
TOKENS = f"""\
tokens:
  - {{name: all, scopes: [ingest, read], sha256: {token_hash(TOKEN)}}}
"""
START = 1795870000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with receiving(tmp_path_factory.mktemp("served"), TOKENS) as running:
        running.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield running


def series(labels: Mapping[str, str], *profiles: bytes, own: str = "") -> bytes:
    parts = [
        written(1, written(1, name.encode()) + written(2, value.encode()))
        for name, value in labels.items()
    ]
    parts += [
        written(2, written(1, raw) + (written(2, own.encode()) if own else b"")) for raw in profiles
    ]
    return written(1, b"".join(parts))


def push(server: Serving, body: bytes, path: str = PUSH, **headers: str) -> httpx.Response:
    named = {"content_type": "application/proto", **headers}
    sent = {name.replace("_", "-"): value for name, value in named.items()}
    return server.client.post(f"{server.ingest}{path}", content=body, headers=sent)


def ingest(server: Serving, body: bytes, **query: str | int) -> httpx.Response:
    headers = {"content-type": "binary/octet-stream"}
    where = f"{server.ingest}/ingest"
    return server.client.post(where, params=query, content=body, headers=headers)


def timed(made: Making, start: int = START, seconds: int = 10) -> bytes:
    made.message.time_nanos, made.message.duration_nanos = start * 10**9, seconds * 10**9
    return made.content


def heap() -> Making:
    made = Making()
    made.types(
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    )
    made.sample([made.location("grow"), made.location("main")], 3, 4096, 0, 0)
    made.sample([made.location("idle")], 0, 0, 5, 500)
    return made


def test_a_cpu_profile_becomes_rows(server: Serving) -> None:
    """The time is its end, samples follow from the period, labels fill columns; rows of the same
    stack are one.
    """
    made = cpu({"main;work": 30_000_000}, pid="41", thread_id="42", endpoint="/cart")
    made.sample([1, 2], 20_000_000, pid="41", thread_id="42", endpoint="/login")
    made.sample([1, 2], 0, pid="41")
    labels = {"__name__": "process_cpu", "service_name": "shop web,{=}", "hostname": "push-1"}
    assert push(server, series(labels, timed(made))).status_code == 200
    (row,) = rows(server, "profile", hostname="push-1")
    assert row == {
        "time": (START + 10) * 10**6,
        "hostname": "push-1",
        "process": "shop web,{=}",
        "pid": 41,
        "tid": 42,
        "stack": "main;work",
        "elapsed": 50_000,
        "samples": 5,
    }


@pytest.mark.parametrize("path", [PUSH, f"/{PUSH}"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_bodies_and_profiles_may_be_compressed(
    server: Serving, path: str, packed: Callable[[bytes], bytes]
) -> None:
    """A server address that ends in / doubles the first slash."""
    host = f"packed {path} {packed.__name__}"
    body = series({"hostname": host}, packed(timed(cpu({"main": 10_000_000}))))
    answer = push(server, gzip.compress(body), path, content_encoding="gzip")
    assert (answer.status_code, answer.content) == (200, b"")
    assert [row["elapsed"] for row in rows(server, "profile", hostname=host)] == [10_000]


def test_connect_sends_json(server: Serving) -> None:
    """Base64 in `rawProfile`; the answer and its errors are JSON, too."""
    raw = base64.b64encode(timed(cpu({"main": 10_000_000}))).decode()
    labels = [{"name": "hostname", "value": "connect"}]
    sample = {"rawProfile": raw, "ID": str(uuid.uuid4())}
    body = {"series": [{"labels": labels, "samples": [sample]}], "later": 1}
    answer = push(server, json.dumps(body).encode(), content_type="application/json")
    assert (answer.status_code, answer.json()) == (200, {})
    assert [row["elapsed"] for row in rows(server, "profile", hostname="connect")] == [10_000]
    sample["rawProfile"] = "???"
    answer = push(server, json.dumps(body).encode(), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_argument"
    assert "series 0: rawProfile is not base64" in answer.json()["message"]


@pytest.mark.parametrize("name", ["rawProfile", "raw_profile"])
def test_connect_s_json_is_that_of_protobuf(server: Serving, name: str) -> None:
    """Either name of a field, either alphabet of base64 with or without its end, and null."""
    raw = timed(cpu({"main": 10_000_000})) + b"\x78\x00\x78\x7f\x78\x7f"
    labels = [{"name": "hostname", "value": name}, {"name": "later", "value": None}]
    for packed in (base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
        sample = {name: packed.decode(), "ID": None}
        body = {"series": [{"labels": labels, "samples": [sample]}, {"labels": None}]}
        answer = push(server, json.dumps(body).encode(), content_type="application/json")
        assert (answer.status_code, answer.text) == (200, "{}")
    (row,) = rows(server, "profile", hostname=name)
    assert row["elapsed"] == 10_000


def test_a_push_that_is_sent_again_counts_once(server: Serving) -> None:
    """By its id in each series; without one by its content, if that has a time."""
    raw, other = timed(cpu({"main": 10_000_000})), timed(cpu({"main": 20_000_000}))
    own = str(uuid.uuid4())
    first = series({"hostname": "twice", "part": "a"}, raw, own=own)
    second = series({"hostname": "twice", "part": "b"}, raw, own=own)
    for body in (first, first, second, first + second, series({"hostname": "twice"}, other)):
        assert push(server, body).status_code == 200
    assert push(server, series({"hostname": "twice"}, other)).status_code == 200
    found = rows(server, "profile", hostname="twice")
    assert sorted(row["elapsed"] for row in found) == [10_000, 10_000, 20_000]
    untimed = series({"hostname": "untimed"}, cpu({"main": 10_000_000}).content)
    for _ in range(2):
        assert push(server, untimed).status_code == 200
    assert len(rows(server, "profile", hostname="untimed")) == 2


def test_each_type_has_its_category(server: Serving) -> None:
    """Of two series, one is CPU and one is memory, which a category of the user takes."""
    body = series(
        {"__name__": "process_cpu", "hostname": "both"}, timed(cpu({"main": 10_000_000}))
    ) + series(
        {"__name__": "memory", "node": "both", "service_name": "shop", "zone": "eu"}, timed(heap())
    )
    assert push(server, body).status_code == 200
    assert len(rows(server, "profile", hostname="both")) == 1
    (row,) = rows(server, "heap", hostname="both")
    assert row["process"], row["region"] == ("shop", "eu")
    assert (row["stack"], row["allocated"], row["objects"]) == ("main;grow", 4096, 3)


def test_a_type_that_no_category_takes_is_refused(server: Serving) -> None:
    """With the way to declare one, and counted; beside one that is taken it is skipped."""
    made = Making()
    made.types(("goroutines", "count"))
    made.sample([made.location("main")], 7)
    before = counted(server, "profiles_refused_total", protocol="pyroscope", reason="no category")
    answer = push(server, series({"hostname": "none"}, timed(made)))
    assert answer.status_code == 422
    assert "no category takes goroutines/count" in answer.json()["message"]
    assert "receive: {pyroscope: {types: {goroutines/count: COLUMN}}}" in answer.text
    good = series({"hostname": "none"}, timed(cpu({"main": 10_000_000})))
    assert push(server, series({"hostname": "none"}, timed(made)) + good).status_code == 200
    assert len(rows(server, "profile", hostname="none")) == 1
    after = counted(server, "profiles_refused_total", protocol="pyroscope", reason="no category")
    assert after == before + 2
    assert "no category takes goroutines/count" in server.log


def test_a_damaged_push_stores_nothing(server: Serving) -> None:
    """The answer names the series; its good neighbour can be sent again."""
    good = series({"hostname": "damaged"}, timed(cpu({"main": 10_000_000})))
    for bad, why in (
        (series({"__name__": "process_cpu"}, b"main;work 12"), "series 1 (process_cpu): the prof"),
        (b"\x0a\xff\xff", "the body is not a PushRequest"),
        (series({}, b""), "is empty"),
    ):
        answer = push(server, good + bad)
        assert answer.status_code == 400, answer.text
        assert why in answer.json()["message"]
    assert rows(server, "profile", hostname="damaged") == []
    for kind in ("application/grpc", "text/plain"):
        answer = push(server, good, content_type=kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unimplemented")
    assert counted(server, "profiles_refused_total", protocol="pyroscope", reason="damaged") >= 3


def test_negative_values_are_refused_by_the_category(server: Serving) -> None:
    """As in rows that are sent to our own ingest."""
    answer = push(server, series({"hostname": "negative"}, timed(cpu({"main": -10_000_000}))))
    assert answer.status_code == 422
    assert "/profile/0/elapsed" in answer.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": "Basic " + base64.b64encode(f"user:{TOKEN}".encode()).decode()},
    ],
)
def test_tokens_are_those_of_the_ingest(server: Serving, headers: dict[str, str]) -> None:
    """As a bearer, or as the password that Pyroscope's clients send."""
    body = series({"hostname": "token"}, cpu({"main": 10_000_000}).content)
    sent = {"Content-Type": "application/proto"}
    bare = server.client.build_request("POST", server.ingest + PUSH, content=body, headers=sent)
    del bare.headers["Authorization"]
    assert server.client.send(bare).status_code == 401
    assert push(server, body, **headers).status_code == 200


def test_text_is_samples_at_a_rate(server: Serving) -> None:
    """Without a format, and as lines; the name has the tags, `until` the time."""
    name = "shop.cpu{hostname=folded,region=eu}"
    asked = {"from": START, "until": START + 10}
    assert ingest(server, b"main;work 12\nmain 3\n\n", name=name, **asked).status_code == 200
    found = rows(server, "profile", hostname="folded")
    assert [(row["stack"], row["elapsed"], row["samples"]) for row in found] == [
        ("main", 30_000, 3),
        ("main;work", 120_000, 12),
    ]
    assert {row["process"] for row in found} == {"shop"}
    assert {row["time"] for row in found} == {(START + 10) * 10**6}
    name = "shop{hostname=lines}"
    for form in ({"format": "lines", "sampleRate": 50}, {"until": "now-1h", "format": "lines"}):
        assert ingest(server, b"main;work\nmain;work\n", name=name, **form).status_code == 200
    found = rows(server, "profile", hostname="lines")
    assert [(row["elapsed"], row["samples"]) for row in found] == [(20_000, 2), (40_000, 2)]


def test_a_span_that_is_relative_names_no_push(server: Serving) -> None:
    """A script may send the same text every hour; with a span in numbers it is the same push."""
    name = "hourly{hostname=hourly}"
    for _ in range(2):
        for asked in ({"from": "now-1h", "until": "now"}, {"from": START, "until": START + 10}):
            answer = ingest(server, b"\xef\xbb\xbfmain 3\r\n", name=name, **asked)
            assert answer.status_code == 200
    found = rows(server, "profile", hostname="hourly")
    assert [(row["stack"], row["samples"]) for row in found] == [("main", 3)] * 3


def test_a_script_may_name_its_push(server: Serving) -> None:
    """With the header of our own ingest."""
    where = f"{server.ingest}/ingest?name=named"
    for key in ("a", "a", "b"):
        answer = server.client.post(where, content=b"main 1", headers={"Idempotency-Key": key})
        assert answer.status_code == 200
    assert len(rows(server, "profile", process="named")) == 2


def test_pprof_over_ingest(server: Serving) -> None:
    """As a body, compressed by itself or not, and as a part of a form; the same one counts once."""
    raw = cpu({"main;work": 30_000_000}, hostname="pprof").content
    asked: dict[str, Any] = {"name": "web", "from": START, "until": START + 10}
    for body in (raw, raw, gzip.compress(raw, mtime=0)):
        assert ingest(server, body, format="pprof", **asked).status_code == 200
    for files in ({"profile": raw}, {"profile": raw, "sample_type_config": b"{}"}):
        where = f"{server.ingest}/ingest"
        answer = server.client.post(where, params=asked, files=files)
        assert answer.status_code == 200, answer.text
    found = rows(server, "profile", hostname="pprof")
    assert [(row["time"], row["elapsed"], row["process"]) for row in found] == [
        ((START + 10) * 10**6, 30_000, "web")
    ] * 4


def test_other_formats_are_refused_with_the_reason(server: Serving) -> None:
    """Also if they are in the Content-Type, or if the previous profile is to be subtracted."""
    for form in ("jfr", "trie", "tree", "speedscope", "svg"):
        answer = ingest(server, b"main 1", name="x", format=form)
        assert answer.status_code == 415
        assert "send" in answer.json()["detail"] or "jfrconv" in answer.json()["detail"]
    headers = {"Content-Type": "binary/octet-stream+trie"}
    where = f"{server.ingest}/ingest?name=x"
    answer = server.client.post(where, content=b"main 1", headers=headers)
    assert answer.status_code == 415
    both = {"profile": cpu({"main": 1}).content, "prev_profile": cpu({"main": 1}).content}
    answer = server.client.post(where, files=both)
    assert answer.status_code == 422
    assert "prev_profile" in answer.json()["detail"]
    answer = server.client.post(where, files={"other": b"x"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body has no part `profile`")


def test_a_wrong_query_is_named(server: Serving) -> None:
    for query, parameter in (
        ({}, "name"),
        ({"name": "{a=b}"}, "name"),
        ({"name": "x{a=b"}, "name"),
        ({"name": "x", "from": "yesterday"}, "from"),
        ({"name": "x", "until": "12"}, "until"),
        ({"name": "x", "sampleRate": "0"}, "sampleRate"),
        ({"name": "x", "sampleRate": "9" * 5000}, "sampleRate"),
        ({"name": "x", "units": "furlongs"}, "units"),
    ):
        answer = ingest(server, b"main 1", **query)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["parameter"] == parameter
    for body, line in ((b"main 1\nmain\n", 2), (b"main -1", 1), (b" 5", 1), (b"a 1.5", 1)):
        answer = ingest(server, body, name="x")
        assert answer.status_code == 400
        assert f"line {line}: " in answer.json()["detail"]
    answer = ingest(server, b"main 1", name="x", units="goroutines")
    assert answer.status_code == 422
    assert "goroutines/count" in answer.json()["detail"]


def test_web_pages_cannot_push(server: Serving) -> None:
    """As with our own ingest."""
    answer = push(server, series({}, cpu({"main": 1}).content), Origin="https://other.example")
    assert answer.status_code == 403
    headers = {"Origin": "https://other.example"}
    where = f"{server.ingest}/ingest?name=x"
    assert server.client.post(where, content=b"main 1", headers=headers).status_code == 403


def test_the_host_is_the_sender_if_no_label_names_one(server: Serving) -> None:
    assert ingest(server, b"alone 1", name="alone").status_code == 200
    found = rows(server, "profile", process="alone")
    assert [row["hostname"] for row in found] == ["127.0.0.1"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_body_is_stored_or_refused(server: Serving, data: st.DataObject) -> None:
    """Whichever bytes are changed: no answer is an internal error."""
    good = series({"__name__": "process_cpu"}, timed(cpu({"main;work": 30_000_000}, pid=7)))
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=5))
    assert push(server, bytes(content)).status_code in (200, 400, 422)
    assert ingest(server, bytes(content), name="fuzz").status_code in (200, 400)


def test_receivers_are_off_unless_configured(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without the settings there is no such route."""
    with receiving(tmp_path_factory.mktemp("off"), receive="{}") as off:
        for path in (PUSH, "/ingest", "/v1development/profiles"):
            assert off.client.post(f"{off.ingest}{path}", content=b"").status_code in (404, 405)
