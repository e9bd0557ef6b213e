"""Bad requests get a clear answer, and the server and its data are unharmed."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import zstandard

from tests.databases import scalar
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.enginefixtures import Served

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}


def stored(served: Served) -> int:
    return scalar(served.database, "SELECT count(*) FROM offcputime")


@pytest.fixture(autouse=True)
def unharmed(served: Served) -> Iterator[None]:
    """After each of these the server takes a good row, and nothing else was stored."""
    before = stored(served)
    yield
    served.server.post({"hostname": "good", "offcputime": [ROW]})
    assert stored(served) == before + 1
    assert "Traceback" not in served.server.log


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    return body


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"hostname": "h"} x', "not JSON"),
        (b'{"hostname": NaN}', "not JSON"),
        (b'{"hostname": "h\xff"}', "not UTF-8"),
        (b'{"hostname": "\\ud800"}', "not JSON"),
        pytest.param(b"[" * 200_000, "nested", id="deep"),
        (b"\x00\x01\x02", "not JSON"),
        (b'{"hostname": "h", "offcputime": [{"elapsed": 1e999}]}', "not JSON"),
    ],
)
def test_malformed_json(served: Served, content: bytes, says: str) -> None:
    """400, with the place where reading ended."""
    assert says in problem(served.server.send(content), 400)["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"hostname": "h", "offcputim": [ROW]}, "/offcputim", "Did you mean 'offcputime'?"),
        ({"offcputime": [ROW]}, "", "'hostname' is missing"),
        ([], "", "is not of type"),
        (
            {"hostname": "h", "offcputime": [ROW, ROW | {"proces": 1}]},
            "/offcputime/1/proces",
            "Did you mean 'process'?",
        ),
        ({"hostname": "h", "offcputime": [ROW | {"pid": "1"}]}, "/offcputime/0/pid", "type int"),
        ({"hostname": "h", "offcputime": [ROW | {"pid": 2**63}]}, "/offcputime/0/pid", ""),
        ({"hostname": "h", "offcputime": [ROW | {"pid": True}]}, "/offcputime/0/pid", "type int"),
        ({"hostname": "h", "offcputime": [ROW | {"elapsed": -1}]}, "/offcputime/0/elapsed", "-1"),
        ({"hostname": "h", "offcputime": [ROW | {"elapsed": 0.5}]}, "/offcputime/0/elapsed", "0.5"),
        ({"hostname": "h", "offcputime": [{"pid": 1}]}, "/offcputime/0", "'process' is missing"),
        (
            {"hostname": "h", "stacks": ["a"], "offcputime": [ROW | {"stack": 1}]},
            "/offcputime/0/stack",
            "1 is outside `stacks`, which has 1 entries",
        ),
        ({"hostname": "h", "offcputime": [ROW | {"stack": -1}]}, "/offcputime/0/stack", "-1"),
        (
            {"hostname": "h", "offcputime": [ROW | {"process": "a\0b"}]},
            "/offcputime/0/process",
            "NUL",
        ),
        ({"hostname": "h\0", "offcputime": [ROW]}, "/hostname", "NUL"),
        ({"hostname": "h", "time": "2026-13-45", "offcputime": [ROW]}, "/time", "timestamp"),
        ({"hostname": "h", "time": "2026-13-45T00:00", "offcputime": [ROW]}, "/time", "not a time"),
        (
            {"hostname": "h", "offcputime": [ROW | {"time": "2026-02-30T00:00:00Z"}]},
            "/offcputime/0/time",
            "is not a time",
        ),
        ({"hostname": "h", "time": 5, "offcputime": [ROW]}, "/time", ""),
        (
            {"hostname": "h", "offcputime": [ROW | {"process": "x" * 2000}]},
            "/offcputime/0/process",
            "",
        ),
        ({"hostname": "h", "a/b~c": []}, "/a~1b~0c", "there is no category"),
    ],
)
def test_rows_that_do_not_fit(served: Served, body: object, pointer: str, says: str) -> None:
    """422, with a JSON pointer to the place and a hint."""
    answer = problem(served.server.send(json.dumps(body).encode()), 422)
    fault = answer["errors"][0]
    assert fault["pointer"] == pointer
    assert says in fault["detail"]
    assert len(fault["detail"]) < 300


def test_every_bad_row_is_named(served: Served) -> None:
    """One answer lists all problems up to a limit, so a sender can fix its rows in one step."""
    rows = [ROW, ROW | {"pid": "x"}, ROW, ROW | {"stack": 1.5}]
    answer = problem(
        served.server.send(json.dumps({"hostname": "h", "offcputime": rows}).encode()), 422
    )
    assert {e["pointer"] for e in answer["errors"]} == {"/offcputime/1/pid", "/offcputime/3/stack"}
    many = {"hostname": "h", "offcputime": [ROW | {"pid": "x"}] * 5000}
    answer = problem(served.server.send(json.dumps(many).encode()), 422)
    assert len(answer["errors"]) == 100
    assert "more than 99 others" in answer["detail"]


def test_bodies_that_are_too_large(served: Served) -> None:
    """413 before it is read when its length says so, and as soon as it is reached when not."""
    body = b" " * (33 * 1024 * 1024)
    assert "larger than" in problem(served.server.send(body), 413)["detail"]

    def unannounced() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 1024 * 1024

    answer = served.server.send(unannounced())
    problem(answer, 413)


def test_a_bomb_is_not_inflated(served: Served) -> None:
    """A MiB of gzip, a few KiB of zstd, that stand for 300 MiB: 413, memory as before."""
    squeeze = zlib.compressobj(1, wbits=31)
    chunk = b" " * (1 << 20)
    bomb = b"".join(squeeze.compress(chunk) for _ in range(300)) + squeeze.flush()
    before = resident(served)
    assert (
        "decompressed" in problem(served.server.send(bomb, Content_Encoding="gzip"), 413)["detail"]
    )
    zstd = zstandard.ZstdCompressor().compressobj()
    bomb = b"".join(zstd.compress(chunk) for _ in range(300)) + zstd.flush()
    assert (
        "decompressed" in problem(served.server.send(bomb, Content_Encoding="zstd"), 413)["detail"]
    )
    assert resident(served) - before < 400 * 1024 * 1024


def test_a_body_of_many_gzip_members(served: Served) -> None:
    """Joined files are read as one; so many members that they can only be meant to cost are not."""
    good = json.dumps({"hostname": "members", "offcputime": []}).encode()
    pieces = [good[at : at + 7] for at in range(0, len(good), 7)]
    joined = gzip.compress(b"").join(gzip.compress(piece) for piece in pieces)
    assert served.server.send(joined, Content_Encoding="gzip").status_code == 200
    half = joined + gzip.compress(b" " * 100)[:-4]
    problem(served.server.send(half, Content_Encoding="gzip"), 400)
    empty = gzip.compress(b"") * 100_000
    refused = problem(served.server.send(empty, Content_Encoding="gzip"), 400)
    assert "10000 members" in refused["detail"]


def resident(served: Served) -> int:
    status = open(f"/proc/{served.server.process.pid}/status").read()  # noqa: PTH123, SIM115
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_what_is_not_what_its_header_says(served: Served) -> None:
    """Broken compression is 400, an encoding or a type that is not known 415."""
    good = json.dumps({"hostname": "h", "offcputime": [ROW]}).encode()
    for encoding, compressed in (("gzip", gzip.compress(good)), ("zstd", zstandard.compress(good))):
        problem(served.server.send(good, Content_Encoding=encoding), 400)
        problem(served.server.send(compressed[:-10], Content_Encoding=encoding), 400)
    problem(served.server.send(good, Content_Encoding="br"), 415)
    problem(served.server.send(good, Content_Type="text/xml"), 415)
    problem(served.server.send(good, Content_Type="application/json; charset=latin-1"), 415)


def test_a_page_of_another_site_cannot_post(served: Served) -> None:
    """A browser says where a request comes from."""
    good = json.dumps({"hostname": "h", "offcputime": [ROW]}).encode()
    answer = served.server.send(good, Origin="https://example.com", Content_Type="text/plain")
    problem(answer, 403)


def test_a_key_that_is_too_long(served: Served) -> None:
    good = json.dumps({"hostname": "h", "offcputime": [ROW]}).encode()
    problem(served.server.send(good, Idempotency_Key="k" * 256), 400)


def test_unknown_paths_and_methods(served: Served) -> None:
    """Problem documents here too; the read listener takes no rows, and says who does."""
    problem(served.server.client.get(f"{served.server.ingest}/nothing"), 404)
    problem(served.server.client.put(f"{served.server.ingest}/"), 405)
    good = json.dumps({"hostname": "h", "offcputime": [ROW]}).encode()
    for path in ("/", "/api/v1/ingest"):
        answer = served.server.client.post(f"{served.server.read}{path}", content=good)
        assert f"send them to {served.server.ingest}/" in problem(answer, 405)["detail"]


NASTY = [
    "'; DROP TABLE kscope_string; --",
    '" OR 1=1 --',
    "%s %d {0} ? :x",
    "\\'; \\",
    "<script>alert(1)</script>",
    "\U0001f600 \u202e tab\tnewline\n",
    "' UNION SELECT 1; /*",
    " leading and trailing ",
    "Ä",
    "ä",
    "A",
    "a",
    "",
]


def test_text_is_stored_as_it_is(served: Served) -> None:
    """SQL, markup, emoji, case and blanks come back letter by letter."""
    before = stored(served)
    for number, text in enumerate(NASTY):
        row = ROW | {"process": text, "reason": text, "stack": f"{text};{text}"}
        served.server.post({"hostname": f"nasty-{number}", "offcputime": [row]})
    for number, text in enumerate(NASTY):
        answer = served.server.get(
            "/api/v1/rows/offcputime", hostname=f"nasty-{number}", **{"from": "now-1h"}
        )
        columns, rows = answer.json()["columns"], answer.json()["rows"]
        found = dict(zip(columns, rows[0], strict=True))
        assert (found["process"], found["reason"]) == (text, text)
        assert found["stack"] == f"{text};{text}"
    good = len(NASTY)
    assert stored(served) == before + good
    served.database.run(
        "DELETE FROM kscope_rows_offcputime WHERE hostname IN"
        " (SELECT id FROM kscope_string WHERE text LIKE 'nasty-%')"
    )


def test_a_sender_that_goes_away(served: Served) -> None:
    """An incomplete body is not logged."""
    before = served.server.log
    with unfinished(served.server.ingest, 1000, b"{"):
        pass
    served.server.send(b"{")
    assert served.server.log == before


@contextmanager
def unfinished(listener: str, announced: int, body: bytes) -> Iterator[socket.socket]:
    """Yield a connection that has sent less than it announced."""
    url = httpx.URL(listener)
    with socket.create_connection((url.host, url.port or 80)) as connection:
        head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n"
        connection.sendall(head.encode() + body)
        yield connection


def test_a_small_limit_of_ones_own(tmp_path: Path) -> None:
    """The bound is the operator's to set."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("database: {sqlite: k.db}\nmax_body: 1KiB\n")
    with serving(tmp_path, "--config", config) as server:
        answer = server.send(b" " * 2000)
        assert "1 KiB" in problem(answer, 413)["detail"]
