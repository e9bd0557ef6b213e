"""Several servers on one database, and a MariaDB whose own settings would let values be cut."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from kscope.store.backends.errors import BatchRefused
from tests.databases import ClickHouseDatabase, MariaDBDatabase, scalar
from tests.enginefixtures import ENGINES
from tests.mariadb import install
from tests.serving import few, start, stop
from tests.store.faults import ROW
from tests.store.opened import WAITS, batch, category, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases import Database
    from tests.serving import Serving

# One server at a time opens an SQLite file.
SHARED = ENGINES[1:]
SENDERS = 4
ROUNDS = 25
NAMES = 30


@contextmanager
def both(database: Database, folder: Path) -> Iterator[list[Serving]]:
    """Start two servers at the same moment, on a database that has no table yet."""
    folders = [folder / "one", folder / "two"]
    for each in folders:
        each.mkdir()
    with ThreadPoolExecutor(2) as pool:
        starting = [pool.submit(start, each, [*few(each), *database.options]) for each in folders]
    servers = [each.result() for each in starting]
    try:
        yield servers
    finally:
        for server in servers:
            stop(server)


@pytest.mark.parametrize("database", SHARED, indirect=True)
def test_two_servers_store_each_row_once(database: Database, tmp_path: Path) -> None:
    """Both start at once, take rows that name the same new things, and batches that are the same.

    A server may answer that it is busy; sending again succeeds.
    """
    with both(database, tmp_path) as servers, ThreadPoolExecutor(SENDERS) as pool:
        together = threading.Barrier(SENDERS, timeout=30)
        sending = [
            pool.submit(send_rounds, servers[number % 2], number, together)
            for number in range(SENDERS)
        ]
        assert sum(sender.result() for sender in sending) == ROUNDS
        expected = {"shared": 7 * ROUNDS * NAMES, "own": SENDERS * ROUNDS * NAMES}
        for server in servers:
            top = server.get("/api/v1/top/offcputime", by="hostname").json()
            assert {entry["key"][0]: entry["value"] for entry in top["entries"]} == expected
            assert top["meta"]["rows"] == (SENDERS + 1) * ROUNDS * NAMES
            assert "Traceback" not in server.log
    for table, text in (("kscope_string", "text"), ("kscope_stack", "frames")):
        # ClickHouse merges texts that both have stored, later or when it is asked.
        merged = " FINAL" if isinstance(database, ClickHouseDatabase) else ""
        counts = f"SELECT count(*), count(DISTINCT {text}) FROM {table}{merged}"
        ((every, distinct),) = database.rows(counts)
        assert every == distinct


def send_rounds(server: Serving, number: int, together: threading.Barrier) -> int:
    """Send a batch that all send, and one's own; tell how many of the former were new."""
    new = 0
    with httpx.Client(base_url=server.ingest, timeout=60) as client:
        for round_ in range(ROUNDS):
            # In another order than the other server, which has half of them in its hands already.
            names = [f"{round_} {n}" for n in range(NAMES)][:: 1 if number % 2 else -1]
            shared = [row(name, f"main;{name}", 7) for name in names]
            together.wait()
            new += not deliver(client, "shared", shared, f"{round_}")["duplicate"]
            own = [row(f"{name} too", f"main;{number}", 1) for name in names]
            together.wait()
            deliver(client, "own", own)
    return new


def row(process: str, stack: str, elapsed: int) -> dict[str, Any]:
    return ROW | {"process": process, "stack": stack, "elapsed": elapsed}


def deliver(
    client: httpx.Client, host: str, rows: list[dict[str, Any]], key: str = ""
) -> dict[str, Any]:
    body = {"hostname": host, "offcputime": rows}
    headers = {"Idempotency-Key": key} if key else {}
    while (answer := client.post("/", json=body, headers=headers)).status_code != 200:
        assert answer.status_code == 503, answer.text
        # Less than the answer asks for, and not all senders at once.
        time.sleep(random.random())
    found: dict[str, Any] = answer.json()
    return found


LAX = category(f"{WAITS}  - {{name: idle, type: bool}}\n")


@pytest.mark.mysql
def test_a_value_that_does_not_fit_is_never_cut(tmp_path: Path) -> None:
    """A server whose default is to truncate long values and only warn."""
    mariadb = install(tmp_path / "lax", "--sql-mode=")
    database = MariaDBDatabase(mariadb, mariadb.new_database())
    first = (0, "h", "p", 1, "a;b", 10, "2:1")

    async def run() -> None:
        async with opened(database, LAX) as store:
            await store.writer.write(batch(LAX, [(*first, 1)]))
            with pytest.raises(BatchRefused, match="Out of range"):
                await store.writer.write(batch(LAX, [(*first, 1), (*first, 2**15)]))
            rows = store.schema.categories["waits"].rows
            assert await store.reader.fetch(sa.select(rows.c.idle)) == ((1,),)

    try:
        database.run("CREATE TABLE lax (n SMALLINT)", "INSERT INTO lax VALUES (32768)")
        assert scalar(database, "SELECT n FROM lax") == 32767
        asyncio.run(run())
    finally:
        mariadb.stop()
