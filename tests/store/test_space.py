"""The size of a SQLite file on the disk, over time."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kscope.store.backends import sqlite
from kscope.store.housekeeping.loop import retain
from kscope.store.sums.planner import SECOND
from tests.databases import SQLiteFile, scalar
from tests.serving import ROOT, serving
from tests.store.opened import WAITS, batch, category, opened

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400 * SECOND
T0 = 20_000 * DAY
CATEGORY = category(f"{WAITS}retention: 2d\n")
SCRIPT = ROOT / "sql/generated/sqlite.sql"


def pages(database: SQLiteFile) -> int:
    return scalar(database, "SELECT page_count FROM pragma_page_count")


async def fill_and_empty(database: SQLiteFile) -> tuple[int, int]:
    """Return the pages of the full file, and after retention removed its rows."""
    async with opened(database, CATEGORY) as store:
        rows = [(T0 + n, "a", "p", n, "s", 1, "") for n in range(40_000)]
        await store.writer.write(batch(CATEGORY, rows))
        full = pages(database)
        await retain(store, T0 + 5 * DAY)
        return full, pages(database)


@pytest.fixture(autouse=True)
def few_spare_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SPARE_PAGES", 50)


def test_a_surplus_goes_back_to_the_disk(tmp_path: Path) -> None:
    """Once much more is free than new rows will fill, the file becomes smaller."""
    full, emptied = asyncio.run(fill_and_empty(SQLiteFile(tmp_path / "k.db")))
    assert emptied < full * 0.9


def test_a_file_made_with_the_generated_script_shrinks_too(tmp_path: Path) -> None:
    """`sqlite3 my.db < sql/generated/sqlite.sql` makes what a server makes."""
    database = SQLiteFile(tmp_path / "k.db")
    with closing(sqlite3.connect(database.path)) as connection:
        connection.executescript(SCRIPT.read_text())
    full, emptied = asyncio.run(fill_and_empty(database))
    assert emptied < full * 0.9


def test_a_file_that_cannot_shrink_is_spoken_of(tmp_path: Path) -> None:
    """A file that another program created, without auto_vacuum: the log states the fix."""
    with closing(sqlite3.connect(tmp_path / "kernelscope.db")) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.execute("DROP TABLE mine")
    with serving(tmp_path) as server:
        assert "PRAGMA auto_vacuum=INCREMENTAL; VACUUM" in server.log


def test_a_log_that_readers_kept_open_becomes_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Constant reading makes the log grow; housekeeping restarts it."""
    monkeypatch.setattr(sqlite, "_LOG_LIMIT", 2**20)
    database = SQLiteFile(tmp_path / "k.db")
    log = tmp_path / "k.db-wal"

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM kscope_rows_waits").fetchone()
                rows = [(T0 + n, "a", "p", n, f"s{n};{'x' * 40}", 1, "") for n in range(40_000)]
                await store.writer.write(batch(CATEGORY, rows))
                assert log.stat().st_size > 2**20
                await store.backend.checkpoint()
                assert log.stat().st_size > 2**20
            assert store.backend.gauges()["kscope_wal_bytes"] == log.stat().st_size
            await store.backend.checkpoint()
            assert log.stat().st_size == 0

    asyncio.run(run())
