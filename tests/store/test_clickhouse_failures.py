"""Failures of ClickHouse: a clear message, no acknowledged row lost or doubled, service resumes."""

from __future__ import annotations

import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import serving as running
from tests.clickhouse import PASSWORD, USER, Node, install
from tests.clickhouse_http import Asked, Handler, RefusedError, Server, User
from tests.databases import ClickHouseDatabase, scalar
from tests.serving import few, free_port, serving, start, stop
from tests.store.faults import COUNT, ROW, eventually_stored, fails_to_start, send
from tests.store.test_failures import eventually_answered, keep_sending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

pytestmark = pytest.mark.clickhouse
_AWAY = 3  # seconds


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Yield a node that these tests may kill."""
    node = install(tmp_path_factory.mktemp("own-clickhouse"))
    try:
        yield node
    finally:
        node.stop()


def test_clickhouse_is_gone_for_a_while(own: Node, tmp_path: Path) -> None:
    """A killed node: 503 until it is back; the server reconnects by itself, and lost nothing."""
    database = ClickHouseDatabase(own, own.new_database())
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        for _ in range(5):
            assert send(server, 10).status_code == 200
        own.kill()
        answer = send(server)
        assert answer.status_code == 503
        assert "does not answer" in answer.json()["detail"]
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200
        own.start()
        eventually_stored(server)
        assert scalar(database, COUNT) == 51
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        assert "Traceback" not in server.log


def test_senders_outlast_clickhouse(own: Node, tmp_path: Path) -> None:
    """Killed amid their batches, and away while they go on sending: each batch is there once."""
    database = ClickHouseDatabase(own, own.new_database())
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        done = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(keep_sending, server, f"sender {n}", done) for n in range(4)]
            time.sleep(1)
            own.kill()
            time.sleep(_AWAY)
            own.start()
            eventually_stored(server)
            done.set()
        rows, refusals = (sum(counts) for counts in zip(*(f.result() for f in sent), strict=True))
        assert refusals > 4 * _AWAY
        assert scalar(database, COUNT) == rows + 1
        assert "Traceback" not in server.log


# A server that dies once the first rows of a batch are stored, and one that lives; both wait less
# long until nothing of an attempt can run any more.
SETTLING = """
import os, sys
from kscope.store.backends import clickhouse
from kscope.store.write import steps
steps.WRITE_SECONDS, steps.SETTLED_SECONDS = 4, 8
clickhouse.SETTLED_SECONDS = 8
append = clickhouse.ClickHouseSession.append
async def appending(self, table, *rest):
    await append(self, table, *rest)
    if table.name.startswith("kscope_rows_"):
        os._exit(9)
if DIES:
    clickhouse.ClickHouseSession.append = appending
from kscope.cli import main
main()
"""


def sent_twice(
    database: ClickHouseDatabase,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: object,
) -> None:
    """Send it to a server that dies in the middle, and again to another one until it is taken."""

    def sent(server: Serving) -> httpx.Response:
        headers = {"Idempotency-Key": "again"}
        return server.client.post(f"{server.ingest}{path}", json=body, headers=headers)

    def program(*, dies: bool) -> None:
        code = SETTLING.replace("DIES", str(dies))
        monkeypatch.setattr(running, "PROGRAM", (sys.executable, "-c", code))

    program(dies=True)
    server = start(folder, [*few(folder, "marker"), *database.options])
    with pytest.raises(httpx.TransportError):
        sent(server)
    assert server.process.wait(30) == 9
    server.client.close()
    program(dies=False)
    with serving(folder, *few(folder, "marker"), *database.options) as server:
        deadline = time.monotonic() + 60
        while (answer := sent(server)).status_code != 200:
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert answer.json()["duplicate"] is False
        assert sent(server).json() == answer.json() | {"duplicate": True}


def test_rows_without_a_time_are_there_once(
    own: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender comes again at another time: its rows keep that of their first arrival.

    In one body: tables that are stored and that are not, rows alike, and rows that have a time.
    """
    database = ClickHouseDatabase(own, own.new_database())
    body = {
        "hostname": "h",
        "offcputime": [ROW, ROW, ROW | {"time": "2026-11-23T02:46:15Z"}, ROW | {"elapsed": 1}],
        "marker": [{"kind": "note", "message": "one"}, {"kind": "note", "message": "two"}],
    }
    sent_twice(database, tmp_path, monkeypatch, "/api/v1/ingest", body)
    assert scalar(database, COUNT) == 4
    assert scalar(database, "SELECT count(*) FROM marker") == 2
    times = database.rows(
        "SELECT time FROM offcputime UNION DISTINCT SELECT time FROM marker ORDER BY time"
    )
    assert len(times) == 2, times


@pytest.mark.parametrize("when", ["", "now-1h", "2026-11-23T02:46:15Z"])
def test_a_marker_is_there_once(
    own: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Also one of now, or of an hour ago: when it is sent again that is another time."""
    database = ClickHouseDatabase(own, own.new_database())
    body = {"message": "a deploy"} | ({"time": when} if when else {})
    sent_twice(database, tmp_path, monkeypatch, "/api/v1/markers", body)
    assert scalar(database, "SELECT count(*) FROM marker") == 1


def test_clickhouse_that_cannot_be_used(own: Node) -> None:
    """Wrong password, missing database: reported at the start, with the fix."""
    options = own.options("none")
    assert "CREATE DATABASE `none`" in fails_to_start(*options)
    wrong = ["wrong" if option == PASSWORD else option for option in options]
    told = fails_to_start(*wrong)
    assert "check user and password" in told
    assert "wrong" not in told


class Forbidding:
    """An engine whose user may do nothing."""

    def run(self, asked: Asked) -> bytes:  # noqa: ARG002
        raise RefusedError(497, f"{USER}: Not enough privileges. (ACCESS_DENIED)")


def test_a_user_without_rights(own: Node) -> None:
    """The message has the statement that grants them."""
    port = free_port()
    handler = type("Refusing", (Handler,), {"engine": Forbidding(), "user": User(USER, PASSWORD)})
    with Server(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        options = [str(port) if each == str(own.port) else each for each in own.options("some")]
        told = fails_to_start(*options)
        server.shutdown()
    assert f"GRANT ALL ON `some`.* TO `{USER}`" in told


def test_a_server_that_starts_before_its_database(own: Node, tmp_path: Path) -> None:
    """It waits, and says so to the log and to senders; once the database is there it serves."""
    database = ClickHouseDatabase(own, own.new_database())
    own.stop()
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(start, tmp_path, [*database.options, "--ingest", str(port)])
        try:
            answer = eventually_answered(address)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
        finally:
            own.start()
        server = starting.result()
    try:
        assert send(server).status_code == 200
        assert re.search(r"does not answer: .*; retrying in 1 s", server.log)
        assert "Traceback" not in server.log
    finally:
        stop(server)


def eventually_answered_with(status: int, server: Serving) -> None:
    """Ask until the statements of earlier questions have ended: all of them go on at once."""
    deadline = time.monotonic() + 30
    while server.get("/api/v1/rows/offcputime").status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.2)


IMPATIENT = """
from kscope.store.backends import clickhouse_client
clickhouse_client.ANSWER_SECONDS = 2
from kscope.cli import main
main()
"""


def test_clickhouse_that_hangs(own: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests get an error, the server can be stopped, and one that waited it out continues."""
    monkeypatch.setattr(running, "PROGRAM", (sys.executable, "-c", IMPATIENT))
    config = tmp_path / "kernelscope.yaml"
    config.write_text("query_deadline: 2s\n")
    database = ClickHouseDatabase(own, own.new_database())
    with serving(tmp_path, "--config", config, *database.options) as server:
        assert send(server, 10).status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        own.hang()
        try:
            for answer in (
                send(server),
                server.get("/readyz"),
                server.get("/api/v1/rows/offcputime"),
            ):
                assert answer.status_code == 503
                # The second if housekeeping has the turn and hangs.
                assert re.search("does not answer|takes long", answer.json()["detail"])
            assert server.get("/healthz").status_code == 200
        finally:
            own.resume()
        eventually_stored(server)
        assert scalar(database, COUNT) >= 11
        eventually_answered_with(200, server)
        own.hang()
        try:
            assert stop(server) == 0
        finally:
            own.resume()
        assert "Traceback" not in server.log
