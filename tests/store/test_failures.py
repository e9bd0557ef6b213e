"""Failures around a server: a clear message, no acknowledged row lost, service resumes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import serving as running
from tests.databases import MariaDBDatabase, SQLiteFile, scalar
from tests.mariadb import MariaDB, install
from tests.serving import ROOT, Serving, few, free_port, kscope, serving, start, stop
from tests.store.faults import COUNT, ROW, eventually_stored, fails_to_start, send

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG = 25  # seconds


def test_rows_that_the_database_refuses(tmp_path: Path) -> None:
    """The sender learns that they can never be stored; the log has the reason and the file."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        database.run(
            "CREATE TRIGGER refusing BEFORE INSERT ON kscope_rows_offcputime"
            " BEGIN SELECT RAISE(ABORT, 'not today'); END"
        )
        answer = send(server)
        assert answer.status_code == 422
        assert str(tmp_path) not in answer.text
        assert f"{tmp_path}/k.db: not today" in server.log
        database.run("DROP TRIGGER refusing")
        assert send(server).status_code == 200


@pytest.fixture(scope="module")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Yield a MariaDB that these tests may stop and kill."""
    server = install(tmp_path_factory.mktemp("own-mariadb"))
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.mysql
def test_mariadb_is_gone_for_a_while(own_mariadb: MariaDB, tmp_path: Path) -> None:
    """A killed MariaDB: 503 until it is back; the server reconnects by itself, and lost nothing."""
    database = MariaDBDatabase(own_mariadb, own_mariadb.new_database())
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        for _ in range(20):
            assert send(server, 10).status_code == 200
        assert own_mariadb.process is not None
        own_mariadb.process.send_signal(signal.SIGKILL)
        own_mariadb.process.wait()
        answer = send(server)
        assert answer.status_code == 503
        assert "does not answer" in answer.json()["detail"]
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200
        own_mariadb.start()
        eventually_stored(server)
        assert scalar(database, COUNT) == 201
        assert server.get("/readyz").status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        assert "Traceback" not in server.log


@pytest.mark.mysql
def test_mariadb_that_cannot_be_used(own_mariadb: MariaDB) -> None:
    """Wrong password, missing database, no server: reported at the start, with the fix."""
    options = own_mariadb.options("none")
    assert "GRANT ALL" in fails_to_start(*options)
    own_mariadb.sql("GRANT ALL ON *.* TO kscope@'%'")
    assert "CREATE DATABASE `none`" in fails_to_start(*options)
    wrong = [option if option != options[7] else "wrong" for option in options]
    assert "check user and password" in fails_to_start(*wrong)
    assert "wrong" not in fails_to_start(*wrong)


@pytest.mark.mysql
def test_a_server_that_starts_before_its_database(own_mariadb: MariaDB, tmp_path: Path) -> None:
    """It waits, and says so to the log and to senders; once the database is there it serves."""
    database = MariaDBDatabase(own_mariadb, own_mariadb.new_database())
    own_mariadb.stop()
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    arguments = [*database.options, "--ingest", str(port)]
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(start, tmp_path, arguments)
        try:
            answer = eventually_answered(address)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert httpx.get(f"{address}healthz").status_code == 200
        finally:
            own_mariadb.start()
        server = starting.result()
    try:
        assert send(server).status_code == 200
        assert re.search(r"does not answer: .*; retrying in 1 s", server.log)
        assert "Traceback" not in server.log
    finally:
        stop(server)


@pytest.mark.mysql
def test_a_server_that_waits_ends_on_request(own_mariadb: MariaDB, tmp_path: Path) -> None:
    """SIGTERM ends it as it ends any other: exit code 0, no traceback."""
    options = own_mariadb.options("none")
    nobody = [option if option != str(own_mariadb.port) else "1" for option in options]
    port = free_port()
    log = tmp_path / "log"
    command = kscope("serve", *nobody, "--ingest", str(port), "--read", "127.0.0.1:0")
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    try:
        eventually_answered(f"http://127.0.0.1:{port}/")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()


def eventually_answered(address: str) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.post(address, json={})
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextmanager
def hanging(server: MariaDB) -> Iterator[None]:
    """Stop the process: its connections stay open, and nothing comes."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    # Each of its threads stops when it next looks: one may answer until then.
    tasks = Path(f"/proc/{server.process.pid}/task")
    deadline = time.monotonic() + 10
    while not all(_is_stopped(task) for task in tasks.iterdir()):
        assert time.monotonic() < deadline, "it does not stop"
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def _is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


IMPATIENT = """
from kscope.store.backends import mysql
mysql._ANSWER_SECONDS = 2
from kscope.cli import main
main()
"""


@pytest.mark.mysql
def test_mariadb_that_hangs(
    own_mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests get an error, the server can be stopped, and one that waited it out continues."""
    monkeypatch.setattr(running, "PROGRAM", (sys.executable, "-c", IMPATIENT))
    config = tmp_path / "kernelscope.yaml"
    config.write_text("query_deadline: 2s\n")
    database = MariaDBDatabase(own_mariadb, own_mariadb.new_database())
    with serving(tmp_path, "--config", config, *database.options) as server:
        assert send(server, 10).status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        with hanging(own_mariadb):
            for answer in (
                send(server),
                server.get("/readyz"),
                server.get("/api/v1/rows/offcputime"),
            ):
                assert answer.status_code == 503
                assert "does not answer" in answer.json()["detail"]
            assert server.get("/healthz").status_code == 200
        eventually_stored(server)
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        assert scalar(database, COUNT) >= 11
        with hanging(own_mariadb):
            assert stop(server) == 0
        assert "Traceback" not in server.log


@pytest.mark.mysql
def test_senders_outlast_mariadb(own_mariadb: MariaDB, tmp_path: Path) -> None:
    """Killed, and away for long, in which agents go on sending: each batch is there once."""
    database = MariaDBDatabase(own_mariadb, own_mariadb.new_database())
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        done = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(keep_sending, server, f"sender {n}", done) for n in range(4)]
            time.sleep(0.5)
            assert own_mariadb.process is not None
            own_mariadb.process.send_signal(signal.SIGKILL)
            own_mariadb.process.wait()
            time.sleep(_LONG)
            own_mariadb.start()
            eventually_stored(server)
            done.set()
        rows, refusals = (sum(counts) for counts in zip(*(f.result() for f in sent), strict=True))
        assert refusals > 4 * _LONG
        assert scalar(database, COUNT) == rows + 1
        assert "Traceback" not in server.log


def keep_sending(server: Serving, name: str, done: threading.Event) -> tuple[int, int]:
    """Send batches, each until it is taken, as an agent does.

    Give the number of their rows, and how often the server said to come later.
    """
    batches = refusals = 0
    with httpx.Client(timeout=60) as client:
        while not done.is_set() or not batches:
            key = {"Idempotency-Key": f"{name} {batches}"}
            body = {"hostname": name, "offcputime": [ROW] * 5}
            while (
                answer := client.post(f"{server.ingest}/", json=body, headers=key)
            ).status_code != 200:
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                refusals += 1
                time.sleep(0.1)
            batches += 1
    return 5 * batches, refusals
