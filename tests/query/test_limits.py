"""One host's rows and one client's questions cannot delay the answers of others."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from kscope.query.parse.timerange import iso
from kscope.query.scan import heaviest, read, sizes
from kscope.store.backends import mysql, sqlite
from tests.databases import SQLiteFile
from tests.numbers import LARGEST, is_sum
from tests.query.world import SECOND, waits
from tests.serving import serving

if TYPE_CHECKING:
    import pytest

    from tests.enginefixtures import Served
    from tests.query.world import World
    from tests.serving import Serving

DAY = {"from": "2026-11-23", "to": "2026-11-24"}


def test_a_sum_may_pass_64_bits(engine_world: World) -> None:
    """A sum of absurd values stops at the largest number; sums of other hosts stay exact."""
    base = waits()[0]
    absurd = [base | {"hostname": "bad", "elapsed": LARGEST, "count": LARGEST}] * 3
    engine_world.insert("offcputime", [*waits(), *absurd])

    def ask(question: str, **parameters: str) -> dict[str, Any]:
        response = engine_world.get(f"/api/v1/{question}/offcputime", DAY | parameters)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    assert is_sum(ask("flamegraph")["total"], LARGEST)
    top = ask("top", by="hostname")
    assert {each["key"][0]: each["value"] for each in top["entries"]} == {
        "bad": LARGEST,
        "web-001": 9000,
        "web-002": 7031,
    }
    assert is_sum(sum(ask("timeseries", by="")["series"][0]["values"]), LARGEST)
    assert is_sum(ask("histogram", value="elapsed")["total"], LARGEST)
    assert {each["host"] for each in ask("hosts")["hosts"]} == {"bad", "web-001", "web-002"}
    assert is_sum(ask("compare")["total"], LARGEST)
    for form in ("svg", "pprof", "speedscope", "folded", "tree"):
        path = "/api/v1/flamegraph/offcputime"
        assert engine_world.get(path, DAY | {"format": form}).status_code == 200, form


def test_more_groups_than_fit_are_no_mistake(
    client: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heaviest are answered; percentiles, which do not add up, say what to do."""
    monkeypatch.setattr(read, "MOST_GROUPS", 3)
    by = {"top/offcputime": "time,pid", "flamegraph/offcputime": "pid", "hosts/offcputime": ""}
    for question, names in (by | {"values/offcputime/pid": ""}).items():
        response = client.get(f"/api/v1/{question}", DAY | ({"by": names} if names else {}))
        assert response.status_code == 200, question
    percentiles = DAY | {"by": "pid", "value": "lengths"}
    monkeypatch.setattr(sizes, "MOST_CELLS", 3)
    monkeypatch.setattr(heaviest, "RANKED_HERE", 3)
    assert client.get("/api/v1/top/offcputime", percentiles).status_code == 200
    spread = DAY | {"by": "pid", "aggregate": "p99"}
    (error,) = client.get("/api/v1/top/offcputime", spread).json()["errors"]
    assert "too many groups (over 3): filter, group by less" in error["detail"]
    assert client.get("/api/v1/top/offcputime", DAY | {"by": "hostname"}).status_code == 200


def fill(served: Served, rows: int, frames: int) -> None:
    row = {"process": "x", "pid": 1, "stack": 0}
    served.server.post(
        {
            "hostname": "h",
            "time": "2026-11-23T00:00:00Z",
            "stacks": [";".join(["frame"] * frames)],
            "offcputime": [row | {"elapsed": i % 1000} for i in range(rows)],
        }
    ).raise_for_status()


def test_clients_that_stop_reading_are_in_nobodys_way(served: Served) -> None:
    """More of them than there are connections to the database; the next one gets its answer."""
    # More than the kernel and the server keep for a client: what is sent, and what comes next.
    fill(served, rows=6500, frames=400)
    where = urlsplit(served.server.read)
    path = "/api/v1/rows/offcputime?from=2026-11-23&to=2026-11-24&format=csv&order=-elapsed"
    with ExitStack() as stack:
        for _ in range(9):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(60)
            client.connect((where.hostname, where.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 200"
        top = served.server.get("/api/v1/top/offcputime", **DAY)
        assert top.json()["entries"][0]["rows"] == 6500


def test_who_finds_no_reader_free_may_ask_again(engine_world: World) -> None:
    """503, not the 504 of a question that takes too long."""
    world, reader = engine_world, engine_world.store.reader
    readers = sqlite.READERS if isinstance(world.database, SQLiteFile) else mysql.READERS

    async def ask() -> httpx.Response:
        async with AsyncExitStack() as held:
            for _ in range(readers):
                stream = reader.stream(sa.select(sa.literal(1)))
                held.push_async_callback(stream.aclose)
                await anext(stream)
            answer: httpx.Response = await world.http.get("/api/v1/flamegraph/offcputime")
            return answer

    answer = world.run(ask())
    assert answer.status_code == 503
    assert "ask again later" in answer.json()["detail"]
    assert world.get("/api/v1/flamegraph/offcputime").status_code == 200


def memory(pid: int) -> int:
    """Megabytes of a process that are not files."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) // 1024


def test_a_stream_in_any_order_takes_little_memory(tmp_path: Path) -> None:
    """300,000 rows by their value: the server does not hold them, nor does SQLite sort them all."""
    database = SQLiteFile(tmp_path / "kernelscope.db")
    # A server removes rows of long ago.
    begin = time.time_ns() // 1000 - 3600 * SECOND
    span = {"from": iso(begin), "to": iso(begin + SECOND)}
    with serving(tmp_path) as server:
        server.post({"hostname": "h", "time": iso(begin), "offcputime": [ROW]})
        names = [row[0] for row in database.rows("SELECT name FROM pragma_table_info('" + T + "')")]
        changed = {"time": "time + i", "elapsed": "(i * 7919) % 100003"}
        columns = ", ".join(changed.get(name, f'"{name}"') for name in names)
        database.run(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 299999)"
            f" INSERT INTO {T} SELECT {columns} FROM {T}, n"
        )
        warm_up(server, span)
        before, most, lines = memory(server.process.pid), 0, 0
        address = f"{server.read}/api/v1/rows/offcputime"
        query = span | {"order": "elapsed", "format": "csv"}
        with httpx.stream("GET", address, params=query, timeout=120) as answer:
            for piece in answer.iter_bytes(1 << 20):
                lines += piece.count(b"\n")
                most = max(most, memory(server.process.pid))
        assert lines == 300_001
        assert most - before < 15, f"grew from {before} to {most} MB"


def warm_up(server: Serving, span: dict[str, str]) -> None:
    """Each connection to the database takes what it needs, whichever is asked afterwards."""

    def ask(_: int) -> httpx.Response:
        few = {"order": "elapsed", "format": "csv", "limit": 30_000}
        return server.get("/api/v1/rows/offcputime", **span | few)

    with ThreadPoolExecutor(sqlite.READERS) as pool:
        answers = pool.map(ask, range(3 * sqlite.READERS))
    assert {answer.status_code for answer in answers} == {200}


T = "kscope_rows_offcputime"
ROW = {"process": "x", "pid": 1, "stack": "main;write", "elapsed": 0}
