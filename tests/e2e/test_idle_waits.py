"""The preset of off-CPU time on a real MariaDB: who waits for a lock comes first."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import mariadb
from tests.agent.tracing import agent
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mariadb import MariaDB
    from tests.serving import Serving

pytestmark = pytest.mark.bpf

IDLE = "without idle waits"
HELD = 4  # seconds that the planted lock is held
WAITING = 3  # connections that want it
POOL = 6  # connections without a command
SHOP = "CREATE TABLE shop.stock (item INT PRIMARY KEY, left_over INT)"


def contend(server: MariaDB) -> None:
    """Beside a pool that does nothing, one transaction holds a row that three others update."""
    server.sql(f"CREATE DATABASE shop; {SHOP}; INSERT INTO shop.stock VALUES (1, 1000)")
    taken = "UPDATE shop.stock SET left_over = left_over - 1 WHERE item = 1;"
    with ExitStack() as clients:
        for _ in range(POOL):
            clients.enter_context(_connection(server, "SELECT 1;\n"))
        holder = clients.enter_context(_connection(server, f"BEGIN; {taken} SELECT 'held';\n"))
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        buyers = [clients.enter_context(_connection(server, f"{taken}\n")) for _ in range(WAITING)]
        time.sleep(HELD)
        for client in (holder, *buyers):
            assert client.stdin
            client.stdin.close()  # the holder's transaction ends with its connection
            assert client.wait(30) == 0


@contextmanager
def _connection(server: MariaDB, text: str) -> Iterator[subprocess.Popen[str]]:
    command = ["mariadb", "--no-defaults", "-n", "-N", "-B", "-uroot", f"-S{server.socket}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as client:
        assert client.stdin
        client.stdin.write(text)
        client.stdin.flush()
        yield client
        client.kill()


def test_the_planted_contention_is_on_top(tmp_path: Path) -> None:
    """Of all waits of a busy server, idle pool and its own threads left out, the lock is first."""
    server = mariadb.install(tmp_path / "mariadb")
    try:
        with serving(tmp_path) as kernelscope:
            assert server.process
            target = ["--pid", server.process.pid, "--interval", 1]
            sending = ["--server", kernelscope.ingest, "--spool", tmp_path / "spool"]
            with agent("offcputime", *target, *sending) as running:
                running.wait_for("probe running")
                contend(server)
                running.stop()
            graph = kernelscope.get("/api/v1/flamegraph/offcputime", preset=IDLE).json()
            shown = _stacks(kernelscope, preset=IDLE)
            everything = _stacks(kernelscope)
    finally:
        server.stop()
    seconds, stack = shown[0]
    assert "mysql_update" in stack
    assert 0.8 * WAITING * HELD < seconds < 1.5 * WAITING * HELD
    assert seconds > 2 * sum(value for value, stack in shown if "mysql_update" not in stack)
    # Without the preset the pool is.
    assert "mysql_update" not in everything[0][1]
    (hidden,) = graph["meta"]["hidden"]
    assert graph["total"] + hidden["value"] == sum(round(1e6 * value) for value, _ in everything)


def _stacks(kernelscope: Serving, **asked: str) -> list[tuple[float, str]]:
    """Return seconds and stack, the longest first."""
    folded = kernelscope.get("/api/v1/flamegraph/offcputime", format="folded", **asked).text
    lines = (line.rpartition(" ") for line in folded.splitlines())
    return sorted(((int(value) / 1e6, stack) for stack, _, value in lines), reverse=True)
