"""kill -9 at any moment: what was acknowledged is there once, nothing is half done."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa

from kscope.config import Address, Settings
from kscope.declare.catalog import load_catalog
from kscope.store import upkeep
from kscope.store.planner import SECOND
from tests.databases import Database, SQLiteFile
from tests.store import killable
from tests.store.opened import opened, settings

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
table: waits
retention: 2d
rollup: {1h: 40d, 1d: 80d}
columns:
  - {name: process, type: string}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
"""
DAY = 86400
ROWS = 20
KILLS = {"sqlite": 50, "mysql": 25}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@dataclass
class Sender:
    """Sends batches, each until it is acknowledged, as an agent does."""

    url: str
    name: str
    sent: list[list[int]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        chance = random.Random(self.name)
        now = int(time.time())
        with httpx.Client(timeout=5, verify=False) as client:
            while not self.stopping.is_set():
                rows = [
                    {
                        "time": time.strftime(
                            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - chance.randrange(20 * DAY))
                        ),
                        "process": f"p{chance.randrange(5)}",
                        "stack": f"main;f{chance.randrange(50)}",
                        "elapsed": chance.randrange(1000),
                    }
                    for _ in range(ROWS)
                ]
                self._deliver(client, rows)
                self.sent.append([row["elapsed"] for row in rows])

    def _deliver(self, client: httpx.Client, rows: list[dict[str, Any]]) -> None:
        key = f"{self.name}-{len(self.sent)}"
        content = json.dumps({"hostname": "h", "waits": rows}).encode()
        while True:
            try:
                answer = client.post(self.url, content=content, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.01)
                continue
            if answer.status_code == 200:
                return
            assert answer.status_code == 503, answer.text
            time.sleep(0.01)


def test_acknowledged_rows_survive(
    database: Database, tmp_path: Path, record_property: Any
) -> None:
    """In the middle of ingest, of migrations, of sums and of retention."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "waits.yaml").write_text(FILE)
    log = tmp_path / "server.log"
    log.touch()
    ingest = free_port()
    chosen = replace(
        settings(database),
        categories=(folder,),
        ingest=Address("127.0.0.1", ingest),
        read=Address("127.0.0.1", free_port()),
    )
    senders = [Sender(f"http://127.0.0.1:{ingest}/", name) for name in "ab"]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    try:
        kill_often(chosen, folder / "waits.yaml", log, KILLS[database.name])
        last = start(chosen, log)
        for sender in senders:
            sender.stopping.set()
        for thread in threads:
            thread.join(30)
        last.terminate()
        last.join(10)
    finally:
        for sender in senders:
            sender.stopping.set()
    assert "Traceback" not in log.read_text()
    sent = [elapsed for sender in senders for batch in sender.sent for elapsed in batch]
    record_property("rows", len(sent))
    assert len(sent) > KILLS[database.name] * ROWS
    assert asyncio.run(stored(database, folder)) == (len(sent), sum(sent))
    if isinstance(database, SQLiteFile):
        with sqlite3.connect(database.path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def kill_often(chosen: Settings, file: Path, log: Path, times: int) -> None:
    chance = random.Random(5)
    for number in range(times):
        # Each start has something to migrate.
        with file.open("a") as text:
            text.write(f"  - {{name: c{number}, type: label, default: d{number}}}\n")
        process = start(chosen, log)
        time.sleep(chance.uniform(0.05, 0.5))
        assert process.pid is not None
        assert process.is_alive(), log.read_text()
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)


def start(chosen: Settings, log: Path) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.killable"])
    process = context.Process(target=killable.run, args=(chosen, log))
    process.start()
    return process


async def stored(database: Database, folder: Path) -> tuple[int, int]:
    """Rows and their elapsed, by the sums and rows that a plan names; each level must agree."""
    catalog = load_catalog([folder])
    async with opened(database, *catalog) as store:
        await upkeep.roll_up(store)
        tables = store.schema.categories["waits"]
        found = []
        for level in tables.rollups:
            table = level.table
            select = sa.select(sa.func.sum(table.c.kscope_rows), sa.func.sum(table.c.elapsed))
            closed = (int(time.time()) // DAY) * DAY * SECOND
            ((rows, elapsed),) = await store.reader.fetch(select.where(table.c.time < closed))
            found.append((int(rows), int(elapsed)))
        assert found[0] == found[1]
        stop = (int(time.time()) + DAY) * SECOND
        plan = await store.reader.plan("waits", 0, stop, {"process", "elapsed"})
        rows = elapsed = 0
        for segment in plan.segments:
            table = segment.table
            select = sa.select(sa.func.sum(segment.weight), sa.func.sum(table.c.elapsed))
            ((more, amount),) = await store.reader.fetch(select.where(segment.within))
            rows += int(more or 0)
            elapsed += int(amount or 0)
        return rows, elapsed
