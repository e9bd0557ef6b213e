"""Databases made by an older version, and damaged ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from kscope.store.backends.errors import StoreError
from kscope.store.housekeeping.loop import roll_up
from kscope.store.schema import migrate
from kscope.store.schema.alterations import Step
from kscope.store.sums.planner import SECOND
from tests.databases import Database, changing, scalar
from tests.enginefixtures import TRANSACTIONAL
from tests.serving import serving
from tests.store.opened import WAITS, batch, category, opened

if TYPE_CHECKING:
    from kscope.generate.tables import Schema

# Of 0.1.0: 50 rows of web-1, an hour each from 20,000 days after 1970, two days of them summed, and
# 4 late ones of web-2; from a declaration of waits that had fewer columns.
DUMPS = Path(__file__).parent / "made_by_0_1_0"
NOW = """\
table: waits
rollup: {1h: 800d, 6h: 800d, 1d: 2000d}
columns:
  - {name: process, type: string}
  - {name: pid, type: int, index: true}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: sizes, type: histogram}
  - {name: reason, type: label, default: unknown}
  - {name: waits, type: count, default: 2}
"""
RANGE = {"from": "2024-10-04T00:00:00Z", "to": "2024-10-07T00:00:00Z"}


# 0.1.0 knew no ClickHouse.
@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)
def test_a_database_of_0_1_0_opens(database: Database, tmp_path: Path) -> None:
    """Its rows and sums are there, what was declared since is added, and new rows come in."""
    database.load((DUMPS / f"{database.name}.sql").read_text())
    (tmp_path / "waits.yaml").write_text(NOW)
    with serving(tmp_path, *database.options, "--categories", tmp_path) as server:
        row = {"process": "p", "pid": 1, "stack": "main;read", "elapsed": 1, "sizes": []}
        late = {"hostname": "web-3", "time": "2024-10-04T01:00:00Z", "waits": [row]}
        server.post(late, Idempotency_Key="new")
        for value, total in (("elapsed", 500 + 20 + 1), ("waits", 2 * 55)):
            answer = server.get("/api/v1/flamegraph/waits", value=value, **RANGE).json()
            assert answer["value"][0] == total
            assert "rollup 1d" in answer["meta"]["source"]
        hosts = server.get("/api/v1/top/waits", by="hostname", **RANGE).text
        assert "web-1" in hosts
        assert "web-2" in hosts
    assert scalar(database, "SELECT count(*) FROM waits WHERE reason = 'unknown'") == 55
    # It noted sums that late rows had left in pieces; now such rows are added to one sum.
    assert not database.rows("SELECT name FROM kscope_meta WHERE name LIKE 'late %'")


def test_a_later_layout_is_reached_by_its_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that changes our own tables says how; it is done once."""

    def upgrade(schema: Schema, *_: object) -> list[Step]:
        name = schema.dictionaries.meta.name
        return [Step(f"INSERT INTO {name} (name, value) VALUES ('upgraded', 'yes')")]

    async def run() -> None:
        async with opened(database, category()):
            pass
        following = migrate.LAYOUT + 1
        monkeypatch.setattr(migrate, "UPGRADES", {migrate.LAYOUT: upgrade})
        monkeypatch.setattr(migrate, "LAYOUT", following)
        for _ in range(2):
            async with opened(database, category()) as store:
                meta = store.schema.dictionaries.meta
                notes = dict(await store.reader.fetch(sa.select(meta.c.name, meta.c.value)))
                assert notes["layout"] == str(following)
                assert notes["upgraded"] == "yes"

    asyncio.run(run())


def test_our_own_tables_are_looked_at(database: Database) -> None:
    """A database without a column is refused immediately, with a clear message."""

    async def run() -> None:
        async with opened(database, category()):
            pass
        database.run("ALTER TABLE kscope_batch DROP COLUMN answer")
        with pytest.raises(StoreError, match="kscope_batch has no column 'answer'"):
            async with opened(database, category()):
                pass

    asyncio.run(run())


def test_a_view_follows_its_definition(database: Database) -> None:
    """A view of an older version is recreated even if it has the same columns."""

    async def run() -> None:
        async with opened(database, category(WAITS)):
            pass
        names = ("time", "hostname", "process", "pid", "stack", "elapsed", "sizes")
        columns = ", ".join(f"1 AS {name}" for name in names)
        database.run(
            "DROP VIEW waits",
            f"CREATE VIEW waits AS SELECT {columns}",
            changing(database, "kscope_meta", "value = 'older'", "name = 'view waits'"),
        )
        async with opened(database, category(WAITS)):
            assert scalar(database, "SELECT count(*) FROM waits") == 0

    asyncio.run(run())


# ClickHouse has never stored a histogram as text.
@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)
def test_counts_that_were_stored_with_a_point_are_read(database: Database, tmp_path: Path) -> None:
    """Earlier versions took a sender's 1.0 as it came: it is one, in rows and in late sums."""
    text = f"{WAITS}rollup: {{1h: 800d}}\n"
    (tmp_path / "waits.yaml").write_text(text)
    hour = {"from": "2024-10-04T00:00:00Z", "to": "2024-10-04T01:00:00Z"}
    pieces = "SELECT count(*) FROM kscope_rollup_1h_waits"

    async def store_late() -> None:
        """Store two late rows, which are added up."""
        waits = category(text)
        async with opened(database, waits) as store:
            await roll_up(store)
            for minute in (10, 20):
                at = (1_728_000_000 + minute * 60) * SECOND
                row = (at, "h", "p", 1, "main", 1, "0:1,2:2")
                await store.writer.write(batch(waits, [row]))

    asyncio.run(store_late())
    assert scalar(database, pieces) == 1
    database.run(
        "UPDATE kscope_rows_waits SET sizes = '0:1.0,2:2.0'",
        "UPDATE kscope_rollup_1h_waits SET sizes = '0:1.0,2:2.0,0:1.0,2:2.0'",
    )
    with serving(tmp_path, *database.options, "--categories", tmp_path) as server:
        listed = server.get("/api/v1/rows/waits", **hour).json()
        (at,) = (n for n, name in enumerate(listed["columns"]) if name == "sizes")
        assert [each[at] for each in listed["rows"]] == [[1, 0, 2]] * 2
        for question in (hour, {"from": "2024-10-04T00:05:00Z", "to": "2024-10-04T00:30:00Z"}):
            assert (
                server.get("/api/v1/histogram/waits", value="sizes", **question).json()["total"]
                == 6
            )
        assert "Traceback" not in server.log
