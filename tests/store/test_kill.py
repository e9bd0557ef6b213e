"""kill -9 at any moment: what was acknowledged is there once, nothing is half done."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import sqlite3
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from kscope.config import Address, Settings
from kscope.declare.files.catalog import load_catalog
from kscope.store.housekeeping.loop import roll_up
from kscope.store.sums.functions import weight
from kscope.store.sums.planner import SECOND
from tests.databases import Database, SQLiteFile
from tests.enginefixtures import TRANSACTIONAL
from tests.forked import CONTEXT
from tests.serving import free_port
from tests.store import killable
from tests.store.opened import opened

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
table: waits
retention: 2d
rollup: {1h: 800d, 1d: 2000d}
columns:
  - {name: process, type: string}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
"""
DAY = 86400
ROWS = 20
KILLS_PER_PHASE = 10
# Where the clock of housekeeping begins.
START = 20_000 * DAY


@dataclass
class Sender:
    """Sends batches, each until it is acknowledged, as an agent does."""

    url: str
    name: str
    shared: Any
    sent: list[list[int]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        chance = random.Random(self.name)
        with httpx.Client(timeout=5, verify=False) as client:
            while not self.stopping.is_set():
                now = int(self.shared[killable.CLOCK])
                rows = [
                    {
                        "time": time.strftime(
                            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - chance.randrange(3 * DAY))
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


# Fifty kills and as many starts: on a busy machine they alone take most of a minute. ClickHouse has
# other steps, and longer waits: test_steps.py and test_clickhouse_changes.py end those.
@pytest.mark.timeout(400)
@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)
def test_acknowledged_rows_survive(database: Database, tmp_path: Path) -> None:
    """Killed in the middle of ingest, migrations, sums, retention and the adding of late rows."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "waits.yaml").write_text(FILE)
    log = tmp_path / "server.log"
    log.touch()
    ingest = free_port()
    chosen = replace(
        database.settings,
        categories=(folder,),
        ingest=Address("127.0.0.1", ingest),
        read=Address("127.0.0.1", free_port()),
    )
    shared = CONTEXT.Array("d", killable.CELLS, lock=False)
    shared[killable.CLOCK] = START
    senders = [Sender(f"http://127.0.0.1:{ingest}/", name, shared) for name in "ab"]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    try:
        amid_statements = kill_often(chosen, folder / "waits.yaml", log, shared)
        last = start(chosen, log, "", shared)
        for sender in senders:
            sender.stopping.set()
        for thread in threads:
            thread.join(30)
        last.terminate()
        last.join(30)
        assert last.exitcode == 0, log.read_text()[-2000:]
    finally:
        for sender in senders:
            sender.stopping.set()
        for process in multiprocessing.active_children():
            process.kill()
    assert "Traceback" not in log.read_text()
    # MySQL commits each statement of a migration by itself.
    assert amid_statements >= KILLS_PER_PHASE // 2
    sent = [elapsed for sender in senders for batch in sender.sent for elapsed in batch]
    assert asyncio.run(stored(database, folder)) == (len(sent), sum(sent))
    if isinstance(database, SQLiteFile):
        with sqlite3.connect(database.path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def kill_often(chosen: Settings, file: Path, log: Path, shared: Any) -> int:
    """Let it die in each phase; give how often it did so between a migration's statements."""
    amid = 0
    for phase in killable.PHASES:
        for number in range(KILLS_PER_PHASE):
            # Half of the migrations die after a statement that is neither the first nor the last.
            shared[killable.LAST_STATEMENT] = 1 + number // 2 % 3 if number % 2 else 0
            if phase == "migration":
                kind = "count, default: 2" if number % 2 else "label, default: x"
                with file.open("a") as text:
                    text.write(f"  - {{name: c{number}, type: {kind}}}\n")
            process = start(chosen, log, phase, shared)
            process.join(120)
            assert process.exitcode == -signal.SIGALRM, (phase, log.read_text())
            assert shared[killable.INSIDE]
            if phase == "migration":
                amid += 0 < shared[killable.STATEMENTS] < shared[killable.PLANNED]
    return amid


def start(
    chosen: Settings, log: Path, phase: str, shared: Any
) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=killable.run, args=(chosen, log, phase, shared))
    process.start()
    return process


async def stored(database: Database, folder: Path) -> tuple[int, int]:
    """Rows and their elapsed, by the sums and rows that a plan names; each level must agree."""
    catalog = load_catalog([folder])
    async with opened(database, *catalog) as store:
        await roll_up(store)
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
            select = sa.select(weight(table), sa.func.sum(table.c.elapsed))
            ((more, amount),) = await store.reader.fetch(select.where(segment.within))
            rows += int(more or 0)
            elapsed += int(amount or 0)
        return rows, elapsed
