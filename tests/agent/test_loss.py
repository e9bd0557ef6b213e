"""Whatever happens between an agent and its database: each row is there once, or counted as lost.

The agent is a process of its own with a probe that numbers its rows, the server a real one.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests import needs, serving
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
    """What one host's agent has in the database."""

    def __init__(self, path: Path, host: str) -> None:
        self._path = path
        self._host = host

    def numbers(self) -> list[int]:
        rows = self._ask("SELECT elapsed FROM offcputime WHERE hostname = ? ORDER BY elapsed")
        return [number for (number,) in rows]

    def told(self, column: str) -> int:
        """What the rows about the probe say altogether."""
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
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of 128 KiB, all but full; gives the file that fills it."""
    needs.root("mounting a small file system")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        needs.lacking("tmpfs", "this machine mounts no tmpfs")
    ballast = folder / "ballast"
    try:
        (folder / "lab").mkdir()
        yield ballast
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


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
    """No connection is refused, and none answers: the agent does not wait for ever, and all is
    there when the network is back.
    """
    with (
        proxy(server.ingest) as network,
        numbering(network.url, tmp_path, timeout=0.5) as running,
    ):
        running.wait_for_drains(1)
        network.silent = True
        running.wait_for("timed out")
        running.wait_for_drains(len(running.given) + 5)
        network.silent = False
        running.wait_for("delivery works again")
        running.stop()
    assert stored.numbers() == flat(running.given)


def test_kill_9_of_the_agent_is_told(
    server: serving.Serving, stored: Stored, tmp_path: Path
) -> None:
    """With the server away and with it there: rows are in the database once. What a kill may cost
    is the interval under way, and each is told, as no longer than that interval was to be.
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
        time.sleep(2 * INTERVAL)  # nobody's interval
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
    """By an hour, and forward again, with the server away meanwhile: each row once, none dropped
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
            network.down = False
            eventually(lambda: len(stored.numbers()) >= len(flat(running.given[:-1])))
        running.stop()
    assert stored.numbers() == flat(running.given)
    assert stored.told("dropped_rows") == 0


def test_a_full_disk_stops_nothing(server: serving.Serving, stored: Stored, tmp_path: Path) -> None:
    """What the disk does not take goes to the server at once: nothing is lost or sent twice."""
    with full_disk(tmp_path / "disk") as ballast:
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
    with full_disk(tmp_path / "disk") as ballast, proxy(server.ingest) as network:
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
        with numbering(network.url, tmp_path, rows=100, spool_bytes=1500) as running:
            running.wait_for_drains(len(running.given) + 2)
            running.stop()
    given = flat(running.given)
    assert stored.told("dropped_rows") >= 300
    assert len(stored.numbers()) + stored.told("dropped_rows") == len(given)
    assert stored.told("row_count") == len(given)
