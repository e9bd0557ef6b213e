"""A web shop in Python and its MariaDB, traced by two agents; its last release has a fault."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import mariadb
from tests.agent.tracing import agent
from tests.stacks.stage import Stage

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from tests.agent.tracing import Agent
    from tests.serving import Serving

_SHOP = Path(__file__).parent / "shop.py"
_TABLES = """
CREATE DATABASE shop;
CREATE TABLE shop.items (item INT PRIMARY KEY, name VARCHAR(40), stock INT);
CREATE TABLE shop.orders (id SERIAL, item INT, note TEXT);
INSERT INTO shop.items SELECT seq, UUID(), 1000000 FROM shop.seq_1_to_40;
"""
_PROBES = {
    # MariaDB has threads that wait for minutes: their names, which say so, are not on the machine.
    "offcputime": {"threshold": 100, "longest": 10_000_000},
    "profile": {},
    "syscalls": {},
    "tcplife": {},
}
_INTERVAL = "2s"
_HOSTS = ("web", "db")


def play(folder: Path, server: Serving, python: Path, before: float, after: float) -> None:
    """Record the shop for `before` seconds, and its release for `after` seconds more.

    `python` is the interpreter that runs it.
    """
    with ExitStack() as stack:
        stages = {name: stack.enter_context(Stage(folder, name)) for name in (*_HOSTS, "visitors")}
        shop = _start(folder, stages, python)
        for stage in (stages[name] for name in _HOSTS):
            running = stack.enter_context(_tracing(folder, server, stage))
            running.wait_for("probe running", times=len(_PROBES))
        time.sleep(before)
        marker = {"text": "release 1.4.2", "kind": "release", "hostname": "web-1"}
        url = f"{server.ingest}/api/v1/markers"
        server.client.post(url, json=marker).raise_for_status()
        shop.send_signal(signal.SIGUSR1)
        time.sleep(after)


def _start(folder: Path, stages: Mapping[str, Stage], python: Path) -> subprocess.Popen[str]:
    """Start all programs, each in the cgroup of its host; return the shop."""
    engine = mariadb.install(folder / "mariadb", "--innodb-flush-method=fsync")
    engine.sql(_TABLES)
    assert engine.process
    stages["db"].adopt(engine.process, frozenset())
    payments = stages["web"].start(python, _SHOP, "payments").said.split()[1]
    shop = stages["web"].start(python, _SHOP, engine.socket, payments)
    stages["visitors"].start(python, _SHOP, "visitors", shop.said.split()[1])
    return shop.process


@contextmanager
def _tracing(folder: Path, server: Serving, stage: Stage) -> Iterator[Agent]:
    """Run an agent that records this host's programs alone."""
    probes = {name: {**options, "cgroup": str(stage.cgroup)} for name, options in _PROBES.items()}
    config = folder / f"{stage.name}.yaml"
    settings = {"server": server.ingest, "interval": _INTERVAL, "probes": probes}
    config.write_text(json.dumps({"agent": settings}))
    spool = folder / f"spool-{stage.name}"
    with agent("--config", config, "--hostname", f"{stage.name}-1", "--spool", spool) as running:
        yield running
        running.stop()
