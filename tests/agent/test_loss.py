"""Each row of an agent is in the database once, or counted as lost, after every kind of failure.

The agent is a separate process with a probe that numbers its rows; the server is real.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests import needs, serving
from tests.agent.disks import fill, small_disk
from tests.agent.numbering import INTERVAL, numbering
from tests.agent.proxy import proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Serving]:
    with serving.serving(tmp_path_factory.mktemp("server")) as running:
        yield running


class Stored:
    """The rows that one host's agent has in the database."""

    def __init__(self, path: Path, host: str) -> None:
        self._path = path
        self._host = host

    def numbers(self) -> list[int]:
        rows = self._ask("SELECT elapsed FROM offcputime WHERE hostname = ? ORDER BY elapsed")
        return [number for (number,) in rows]

    def told(self, column: str) -> int:
        """Return the sums of the rows about the probe."""
        query = f"SELECT coalesce(sum({column}), 0) FROM agent WHERE hostname = ?"
        return int(self._ask(query)[0][0])

    def _ask(self, query: str) -> list[tuple[int, ...]]:
        with sqlite3.connect(self._path) as database:
            return database.execute(query, [self._host]).fetchall()


@pytest.fixture
def stored(server: serving.Serving, tmp_path: Path) -> Stored:
    return Stored(server.log_file.parent / "kernelscope.db", tmp_path.name)


def flat(given: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(given))


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """As when the kernel finds errors on a disk."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    remount = ["mount", "-o", "remount,bind,ro", folder]
    try:
        # Refused as busy as long as somebody has a file open for writing, for a moment each time.
        eventually(lambda: not subprocess.run(remount, check=False).returncode)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_answer_that_is_lost_does_not_count_twice(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """The server has committed when the network eats its answer: the batch is sent again, under
    its key, and is in the database once.
    """
    with proxy(server.ingest) as network, numbering(network.url, tmp_path) as running:
        running.wait_for_drains(1)
        network.lose_answers = True
        eventually(lambda: network.lost >= 3)
        network.lose_answers = False
        running.wait_for_drains(len(running.given) + 2)
        running.stop()
    assert stored.numbers() == flat(running.given)


def test_a_network_that_swallows_everything_costs_nothing(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """No connection is refused, and none answers: the agent stops waiting, and every row is
    there when the network is back.
    """
    with (
        proxy(server.ingest) as network,
        numbering(network.url, tmp_path, timeout=2) as running,
    ):
        running.wait_for_drains(1)
        network.silent = True
        running.wait_for("no whole answer within 2 s")
        running.wait_for_drains(len(running.given) + 5)
        network.silent = False
        running.wait_for("delivery works again")
        running.stop()
    assert stored.numbers() == flat(running.given)


def test_kill_9_of_the_agent_is_told(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """With the server away and with it there: rows are in the database once. What a kill may cost
    is the running interval; each loss is reported, and is no longer than that interval.
    """
    kills = 2
    with proxy(server.ingest) as network:
        at_risk: set[int] = set()
        for number in range(kills):
            network.down = number % 2 == 0
            with numbering(network.url, tmp_path) as running:
                running.wait_for_drains(len(running.given) + 2)
                running.signal(signal.SIGKILL)
                running.process.wait()
                at_risk |= set(running.given[-1])
        network.down = False
        time.sleep(2 * INTERVAL)  # no interval runs
        with numbering(network.url, tmp_path) as running:
            running.wait_for("an interval of offcputime is lost")
            running.stop()
    numbers = stored.numbers()
    assert len(numbers) == len(set(numbers))
    assert set(flat(running.given)) - set(numbers) <= at_risk
    assert stored.told("lost_intervals") == kills
    killed = "CASE WHEN state = 'killed' THEN elapsed ELSE 0 END"
    assert 0 < stored.told(killed) <= kills * INTERVAL * 1e6


def test_a_clock_that_is_set_back_changes_nothing(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """By an hour, and forward again, while the server is down: each row once, none dropped
    as too old.
    """
    with (
        proxy(server.ingest) as network,
        numbering(network.url, tmp_path, spool_age=60) as running,
    ):
        for offset in (-3600, 0):
            network.down = True
            running.wait_for_drains(len(running.given) + 2)
            (tmp_path / "clock").write_text(str(offset))
            running.wait_for_drains(len(running.given) + 2)
            drained = len(flat(running.given[:-1]))
            network.down = False
            eventually(lambda drained=drained: len(stored.numbers()) >= drained)
        running.stop()
    assert stored.numbers() == flat(running.given)
    assert stored.told("dropped_rows") == 0


def test_a_full_disk_stops_nothing(server: serving.Serving, stored: Stored, tmp_path: Path) -> None:
    """Batches that do not fit on the disk are sent immediately: none is lost or duplicated."""
    with small_disk(tmp_path / "disk") as ballast:
        spool = str(ballast.parent / "spool")
        with numbering(server.ingest, tmp_path, rows=100, spool=spool) as running:
            running.wait_for_drains(1)
            fill(ballast)
            running.wait_for_drains(len(running.given) + 3)
            ballast.unlink()
            running.wait_for_drains(len(running.given) + 2)
            running.stop()
    assert stored.numbers() == flat(running.given)
    assert stored.told("dropped_rows") == 0


def test_what_a_full_disk_cost_is_counted(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """Server away and disk full for five intervals of a hundred rows, then both are back: rows
    and rows told as dropped are all that there were.
    """
    with small_disk(tmp_path / "disk") as ballast, proxy(server.ingest) as network:
        network.down = True
        spool = str(ballast.parent / "spool")
        with numbering(network.url, tmp_path, rows=100, spool=spool) as running:
            running.wait_for_drains(1)
            fill(ballast)
            running.wait_for_drains(len(running.given) + 5)
            network.down = False
            ballast.unlink()
            running.wait_for("delivery works again")
            running.wait_for_drains(len(running.given) + 2)
            running.stop()
    numbers, given = stored.numbers(), flat(running.given)
    assert len(numbers) == len(set(numbers))
    assert stored.told("dropped_rows") >= 300
    assert len(numbers) + stored.told("dropped_rows") == len(given)
    assert stored.told("row_count") == len(given)
    lacks = server.get("/api/v1/quality/offcputime", hostname=tmp_path.name).json()["lacks"]
    share = stored.told("dropped_rows") / len(given)
    assert {lack["column"]: lack["share"] for lack in lacks} == {"dropped_rows": share}


def test_what_a_full_spool_cost_is_counted(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """The same when the spool's bound is what has no room, though it drops rows that told of other
    drops and agents end in the middle of it.
    """
    with proxy(server.ingest) as network:
        network.down = True
        for _ in range(2):
            with numbering(network.url, tmp_path, rows=100, spool_bytes=1500) as running:
                running.wait_for_drains(len(running.given) + 6)
                running.stop()
        network.down = False
        # With free space again, the next agent reports what the last one dropped at its end.
        with numbering(network.url, tmp_path, rows=100) as running:
            running.wait_for_drains(len(running.given) + 2)
            running.stop()
    given = flat(running.given)
    assert stored.told("dropped_rows") >= 300
    assert len(stored.numbers()) + stored.told("dropped_rows") == len(given)
    assert stored.told("row_count") == len(given)


def test_a_disk_that_can_only_be_read_stops_nothing(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """As a kernel leaves one with errors: what waits is sent though it cannot be removed, what
    comes is sent at once, and nothing counts twice when the disk is well again.
    """
    needs.root("mounting a folder read-only")
    spool = tmp_path / "spool"
    with proxy(server.ingest) as network:
        network.down = True
        with numbering(network.url, tmp_path) as running:
            running.wait_for_drains(3)
            with read_only(spool):
                network.down = False
                running.wait_for("cannot be removed")
                running.wait_for_drains(len(running.given) + 2)
                running.stop()
            assert list(spool.rglob("*.json*"))
        with numbering(network.url, tmp_path) as running:
            running.wait_for_drains(len(running.given) + 1)
            running.stop()
    assert not list(spool.rglob("*.json*"))
    numbers = stored.numbers()
    assert len(numbers) == len(set(numbers))
    assert len(numbers) + stored.told("dropped_rows") == len(flat(running.given))


def test_what_other_agents_left_is_taken_over(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """Two agents side by side are killed with the server away: the next one sends the rows of
    both, and reports both kills.
    """
    spool, other = str(tmp_path / "spool"), tmp_path / "other"
    other.mkdir()
    with proxy(server.ingest) as network:
        network.down = True
        with (
            numbering(network.url, tmp_path, spool=spool) as first,
            numbering(network.url, other, spool=spool) as second,
        ):
            for running in (first, second):
                running.wait_for_drains(2)
            for running in (first, second):
                running.signal(signal.SIGKILL)
                running.process.wait()
            # Rows drained during the kill belong to the interval that was lost.
            kept, theirs_kept = flat(first.given[:-1]), flat(second.given[:-1])
        network.down = False
        with numbering(network.url, tmp_path, spool=spool) as running:
            running.wait_for_drains(len(running.given) + 1)
            running.stop()
    theirs = Stored(server.log_file.parent / "kernelscope.db", other.name).numbers()
    assert set(theirs_kept) <= set(theirs)
    assert set(kept) <= set(stored.numbers())
    assert stored.told("lost_intervals") == 2


def test_rows_for_a_server_that_is_no_longer_ours_are_not_forgotten(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """They are mentioned, and too old they are dropped and counted as others are."""
    with numbering("http://127.0.0.1:9", tmp_path) as running:
        running.wait_for_drains(2)
        running.stop()
    for age, said in ((3600, "batches for another server wait in"), (1.0, "probe running")):
        with numbering(server.ingest, tmp_path, spool_age=age) as running:
            running.wait_for(said)
            running.wait_for_drains(len(running.given) + 1)
            running.stop()
    assert not list((tmp_path / "spool" / "127.0.0.1_9").rglob("*.json.*"))
    assert stored.told("dropped_rows") > 0
    assert len(stored.numbers()) + stored.told("dropped_rows") == len(flat(running.given))


def test_a_pause_is_not_an_agent_that_was_away(server: serving.Serving, tmp_path: Path) -> None:
    """The banner tells how long a probe was paused or saw less, by what its rows say."""
    minute = 60_000_000
    rows = [
        {"state": "raised", "elapsed": minute, "raised_time": minute, "row_count": 5},
        {"state": "paused", "elapsed": minute, "paused_time": minute},
        {"state": "paused", "elapsed": minute, "paused_time": minute},
        {"state": "running", "elapsed": minute, "row_count": 5},
    ]
    now = time.time()
    for after, row in zip((60, 120, 180, 240), rows, strict=True):
        named = [{"probe": "offcputime", **row}]
        when = datetime.fromtimestamp(now - 300 + after, UTC).isoformat()
        server.post({"hostname": tmp_path.name, "time": when, "agent": named})
    lacks = server.get("/api/v1/quality/offcputime", hostname=tmp_path.name).json()["lacks"]
    assert {lack["column"]: lack["share"] for lack in lacks} == {
        "paused_time": 0.5,
        "raised_time": 0.25,
    }
    assert "paused" in lacks[0]["reason"]
