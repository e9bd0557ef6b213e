"""Several processes behind the two addresses of one server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kscope.config import MOST_WORKERS
from kscope.server.http.memory_budget import Budget, Share
from kscope.server.http.problems import HttpProblem
from kscope.server.http.tokens import token_hash
from kscope.server.workers.adding import added
from kscope.server.workers.memory import made
from tests.commands import command
from tests.databases import MariaDBDatabase, scalar
from tests.enginefixtures import ENGINES
from tests.serving import ROOT, few, serving
from tests.workers import client_of, is_there, until, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases import Database
    from tests.serving import Serving

SHARED = ENGINES[1:]
HOUR = 3600
ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}


@contextmanager
def served_by_two(
    folder: Path, database: Database, *options: str, more: str = ""
) -> Iterator[Serving]:
    folder.mkdir(exist_ok=True)
    known = few(folder)
    with (folder / "few.yaml").open("a") as config:
        config.write(more)
    with serving(folder, *known, *database.options, "--workers", "2", *options) as server:
        yield server


def body(host: str, rows: int, **values: object) -> dict[str, Any]:
    return {"hostname": host, "offcputime": [ROW | values] * rows}


def deliver(client: httpx.Client, sent: dict[str, Any], key: str) -> dict[str, Any]:
    """Send until it is stored, as an agent does, and return the answer."""
    while True:
        try:
            answer = client.post("/api/v1/ingest", json=sent, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            time.sleep(0.05)
            continue
        if answer.status_code == 200:
            return dict(answer.json())
        assert answer.status_code == 503, answer.text
        time.sleep(0.2)


def metric(server: Serving, name: str) -> float:
    """Ask over a new connection, which either worker may accept."""
    text = httpx.get(f"{server.read}/metrics").raise_for_status().text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


@pytest.mark.parametrize("database", SHARED, indirect=True)
def test_hosts_of_all_workers_are_known(database: Database, tmp_path: Path) -> None:
    """Either worker lists the hosts that the other has heard; figures count once."""
    with served_by_two(tmp_path, database) as server:
        for number, worker in enumerate(workers(server)):
            deliver(client_of(server, worker), body(f"web-{number}", 2), f"key {number}")

        def listed() -> list[str]:
            answer = httpx.get(f"{server.read}/api/v1/heard").json()
            return sorted(each["host"] for each in answer["hosts"])

        for _ in range(4):
            until(lambda: listed() == ["web-0", "web-1"])
        until(lambda: metric(server, "kscope_hosts") == 2)
        assert metric(server, "kscope_hosts_silent_after_seconds") == 600
        assert metric(server, "kscope_database_bytes") > 0
        now = metric(server, "kscope_database_read_timestamp_seconds")
        assert time.time() - 60 < now <= time.time()
        newest = 'kscope_category_last_row_timestamp_seconds{category="offcputime"}'
        assert time.time() - 60 < metric(server, newest) <= time.time()
        assert metric(server, "kscope_commit_duration_seconds_count") >= 2


@pytest.mark.parametrize("database", SHARED, indirect=True)
def test_each_row_is_stored_once(database: Database, tmp_path: Path) -> None:
    """Both take rows, also of one new category; a batch sent to both at once is stored once; both
    answer the counts of all; sums are made once.
    """
    with served_by_two(tmp_path, database) as server:
        clients = [client_of(server, worker) for worker in workers(server)]
        together = threading.Barrier(2, timeout=60)
        earlier = time.strftime("%Y-%m-%dT%H:00", time.gmtime(time.time() - 2 * HOUR))

        def send(client: httpx.Client, number: int) -> int:
            copies = 0
            for turn in range(10):
                together.wait()
                same = body("same", 5, time=f"{earlier}:{turn:02}Z")
                copies += not deliver(client, same, f"same {turn}")["duplicate"]
                deliver(client, body(f"own {number}", 3), f"own {number} {turn}")
            return copies

        with ThreadPoolExecutor(2) as pool:
            copies = list(pool.map(send, clients, range(2)))
        assert sum(copies) == 10
        for _ in range(4):
            assert metric(server, "kscope_rows_stored_total") == 10 * 5 + 2 * 10 * 3
            assert metric(server, "kscope_batches_duplicate_total") == 10
            assert metric(server, "kscope_workers_running") == 2
        found = server.get("/api/v1/top/offcputime", by="hostname", **{"from": "now-6h"}).json()
        assert {entry["key"][0]: entry["value"] for entry in found["entries"]} == {
            "same": 10 * 5 * 5123, "own 0": 30 * 5123, "own 1": 30 * 5123,
        }  # fmt: skip
        (tmp_path / "few/categories/extras.yaml").write_text(
            "table: extras\ncolumns:\n  - {name: n, type: count}\n"
        )
        for number, client in enumerate(clients):
            deliver(client, {"hostname": "h", "extras": [{"n": 7}]}, f"extra {number}")
        assert scalar(database, "SELECT sum(n) FROM extras") == 14
        sums = "SELECT coalesce(sum(kscope_rows), 0) FROM kscope_rollup_1h_offcputime"
        # With several servers an engine without transactions waits a minute before it sums.
        if isinstance(database, MariaDBDatabase):
            until(lambda: scalar(database, sums) >= 50)
            assert scalar(database, sums) == 50
        assert "Traceback" not in server.log


@pytest.mark.parametrize("database", SHARED, indirect=True)
def test_a_killed_worker_is_replaced(database: Database, tmp_path: Path) -> None:
    """No acknowledged row is lost or there twice, and no counter of /metrics goes back."""
    with served_by_two(tmp_path, database) as server:
        victim = workers(server)[1]
        acknowledged: list[int] = []
        ended = threading.Event()

        def send(number: int) -> None:
            with httpx.Client(base_url=server.ingest, timeout=60) as client:
                for turn in range(1000):
                    if ended.is_set():
                        return
                    deliver(client, body("h", 7), f"{number} {turn}")
                    acknowledged.append(7)

        with ThreadPoolExecutor(4) as pool:
            sending = [pool.submit(send, number) for number in range(4)]
            try:
                until(lambda: len(acknowledged) > 20)
                before = metric(server, "kscope_rows_stored_total")
                os.kill(victim, signal.SIGKILL)
                assert metric(server, "kscope_rows_stored_total") >= before
                until(lambda: metric(server, "kscope_workers_running") == 2)
            finally:
                ended.set()
            for each in sending:
                each.result()
        assert metric(server, "kscope_workers_restarted_total") == 1
        assert scalar(database, "SELECT count(*) FROM kscope_rows_offcputime") == sum(acknowledged)
        new = next(each for each in workers(server) if each != victim)
        deliver(client_of(server, new), body("h", 1), "to the new one")
        assert victim not in workers(server)
        assert len(workers(server)) == 2
        assert "was ended by signal 9; it is started again in 1 s" in server.log


@pytest.mark.mysql
@pytest.mark.parametrize("database", SHARED[:1], indirect=True)
def test_the_bounds_of_a_server_are_those_of_all(database: Database, tmp_path: Path) -> None:
    """New texts of a host, and wrong tokens of an address, are counted over both."""
    more = (
        "new_stacks_per_hour: 10\ntokens:\n"
        f"  - {{name: one, scopes: [ingest, read], sha256: {token_hash('right')}}}\n"
    )
    with served_by_two(tmp_path, database, more=more) as server:
        clients = [client_of(server, worker) for worker in workers(server)]
        statuses = [
            client.post("/", headers={"Authorization": "Bearer wrong"}).status_code
            for client in clients
            for _ in range(30)
        ]
        assert statuses.count(401) == 20
        assert statuses.count(429) == 40
        right = {"Authorization": "Bearer right"}
        for number, client in enumerate(clients):
            rows = [ROW | {"stack": f"main;{number};{n}"} for n in range(8)]
            sent = {"hostname": "h", "offcputime": rows}
            client.post("/", json=sent, headers=right).raise_for_status()
        metrics = httpx.get(f"{server.read}/metrics", headers=right).text
        assert "kscope_rows_over_stack_limit_total 6\n" in metrics
        assert 'kscope_tokens_throttled_total{listener="ingest"} 40\n' in metrics


@pytest.mark.mysql
@pytest.mark.parametrize("database", SHARED[:1], indirect=True)
def test_all_end_together(database: Database, tmp_path: Path) -> None:
    """After SIGTERM with code 0, and rows under way are stored; after the death of the parent."""
    with served_by_two(tmp_path, database) as server:
        running = workers(server)
        assert len(running) == 2
        half = client_of(server, running[0])
        deliver(half, body("h", 3), "")

        def slowly() -> Iterator[bytes]:
            yield b'{"hostname": "h", "offcputime": ['
            server.process.terminate()
            time.sleep(1)
            yield b'{"process": "p", "pid": 1, "stack": "a", "elapsed": 1}]}'

        assert half.post("/", content=slowly()).status_code == 200
        assert server.process.wait(60) == 0
        assert [each for each in running if is_there(each)] == []
        assert server.log.count("page ") == server.log.count("ingest  ") == 1
    assert scalar(database, "SELECT count(*) FROM kscope_rows_offcputime") == 4
    with served_by_two(tmp_path / "again", database) as server:
        running = workers(server)
        server.process.kill()
        until(lambda: not any(map(is_there, running)))


@pytest.mark.mysql
@pytest.mark.parametrize("database", SHARED[:1], indirect=True)
def test_an_error_at_the_start_is_said_once(database: Database, tmp_path: Path) -> None:
    """The command ends as one process would."""
    wrong = [*database.options, "--dbpassword", "wrong", "--workers", "2"]
    addresses = ["--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0"]
    run = subprocess.run(
        [sys.executable, "-m", "kscope", "serve", *few(tmp_path), *wrong, *addresses],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False, timeout=90,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.count("Access denied") == 1
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_sqlite_has_one_writer(tmp_path: Path) -> None:
    """More workers are refused, with the reason and the cure: of the command line and of a file."""
    (tmp_path / "kernelscope.yaml").write_text("workers: 3\n")
    for arguments in (["--workers", "3", "--sqlite", "k.db"], []):
        run = command("serve", *arguments, folder=tmp_path)
        assert run.returncode == 2
        assert run.stderr == (
            "workers: 3 processes cannot store rows in one SQLite file, which has one writer. Say"
            " --workers 1, or name MariaDB, MySQL or ClickHouse as the database: --mysql HOST or"
            " --clickhouse HOST\n"
        )
    for number in (0, MOST_WORKERS + 1):
        run = command("serve", "--workers", str(number), folder=tmp_path)
        assert run.returncode == 2
        assert "is not in the range 1<=x<=64" in run.stderr


def test_one_worker_is_one_process(tmp_path: Path) -> None:
    with serving(tmp_path, *few(tmp_path), "--sqlite", "k.db", "--workers", "1") as server:
        assert workers(server) == []
        assert "kscope_workers" not in server.get("/metrics").text


def test_bodies_of_all_workers_have_one_bound() -> None:
    """One cannot use the memory of another, until it is given back or its owner has ended."""
    with made(2) as memory:
        one, two = (Budget(1000, memory.used(), place) for place in range(2))
        mine = Share(one)
        with two.share() as theirs:
            mine.take(700)
            with pytest.raises(HttpProblem) as refused:
                theirs.take(400)
            assert refused.value.status == 503
            mine.give(100)
            theirs.take(100)
            assert one.used == two.used == 700
            memory.clear(0)
            assert two.used == 100


COUNTING = """
import sys
from kscope.server.workers.memory import SharedMemory
table = SharedMemory(int(sys.argv[1]), 4).table(1, b"key")
for turn in range(500):
    table.begin(int(sys.argv[2]))
    keys = [table.key_of(f"host {n}") for n in range(20)]
    table.add(dict.fromkeys(keys, 1))
"""


def test_counts_of_several_processes_are_exact() -> None:
    """Four count twenty hosts at the same time; a new hour begins with nothing."""
    with made(4) as memory:
        for period in (3, 4):
            running = [
                subprocess.Popen(
                    [sys.executable, "-c", COUNTING, str(memory.file), str(period)],
                    pass_fds=[memory.file], env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
                for _ in range(4)
            ]  # fmt: skip
            assert [each.wait(60) for each in running] == [0] * 4
            table = memory.table(1, b"key")
            assert len(table) == 20
            assert {table.count(table.key_of(f"host {n}")) for n in range(20)} == {2000}
        table.begin(5)
        assert len(table) == 0
        assert table.count(table.key_of("host 1")) == 0


def test_hosts_without_a_place_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up names of hosts neither fill the memory nor make it slow."""
    monkeypatch.setattr("kscope.server.workers.memory.MAX_HOSTS", 50)
    with made(1) as memory:
        table = memory.table(0, b"key")
        for number in range(200):
            table.add({table.key_of(f"host {number}"): 1})
        assert len(table) == 50
        assert table.count(table.key_of("host 0")) == 1
        assert table.count(table.key_of("host 199")) == 150


def test_counts_are_added_by_their_labels() -> None:
    """Of a thing that all see alike, the most is shown."""
    one = [
        ("kscope_a_total", "text", [({"status": "200"}, 1), ({"status": "404"}, 2)]),
        ("kscope_shards_missing", "text", [({}, 1)]),
    ]
    two = [
        ("kscope_a_total", "text", [({"status": "200"}, 5)]),
        ("kscope_shards_missing", "text", [({}, 1)]),
        ("kscope_b", "text", []),
    ]
    assert added([one, two]) == [
        ("kscope_a_total", "text", [({"status": "200"}, 6), ({"status": "404"}, 2)]),
        ("kscope_shards_missing", "text", [({}, 1)]),
        ("kscope_b", "text", []),
    ]
