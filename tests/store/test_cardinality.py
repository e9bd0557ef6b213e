"""A host may bring so many new stacks and strings an hour; the rest of its rows are one text."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.store.write import cardinality
from kscope.store.write.cardinality import OVER_STACKS, OVER_STRINGS, NewTextLimits, NewTexts
from tests.databases import column, scalar
from tests.serving import serving
from tests.store.opened import batch, category, opened

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from kscope.store.store import Store
    from tests.databases import Database

WAITS = category()
OVER = f"SELECT count(*), sum(elapsed) FROM waits WHERE stack = '{OVER_STACKS}'"


def rows(host: str, start: int, stop: int, process: str = "p") -> list[tuple[Any, ...]]:
    return [(n + 1, host, process, 1, f"main;f{n}", 10, "") for n in range(start, stop)]


async def stacks(store: Store) -> int:
    table = store.schema.dictionaries.stack
    ((count,),) = await store.reader.fetch(sa.select(sa.func.count()).select_from(table))
    return int(count)


def test_rows_beyond_the_limit_keep_all_but_their_stack(database: Database) -> None:
    """Totals are exact; a stack that is stored is not new, from any host."""

    async def run() -> None:
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(stacks=NewTexts(100))
            for start in range(0, 300, 30):
                await store.writer.write(batch(WAITS, rows("a", start, start + 30)))
            assert database.rows(OVER) == [["200", "2000"]]
            assert await stacks(store) == 101
            await store.writer.write(batch(WAITS, rows("a", 0, 100)))
            assert database.rows(OVER) == [["200", "2000"]]
            await store.writer.write(batch(WAITS, rows("b", 50, 200)))
            assert database.rows(OVER) == [["200", "2000"]]
            await store.writer.write(batch(WAITS, rows("a", 100, 200)))
            assert database.rows(OVER) == [["200", "2000"]]
            assert store.writer.counters.over_stack_limit == 200
            assert scalar(database, "SELECT sum(elapsed) FROM waits") == 6500

    asyncio.run(run())


def test_batches_of_one_commit_share_the_limit(database: Database) -> None:
    """Many senders wait at once; a batch that is sent again counts once."""

    async def run() -> None:
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(stacks=NewTexts(100))
            sent = [batch(WAITS, rows("a", n, n + 30), b"%016d" % n) for n in range(0, 300, 30)]
            await asyncio.gather(*map(store.writer.write, sent + sent))
            assert database.rows(OVER) == [["200", "2000"]]
            assert store.writer.counters.over_stack_limit == 200
            mixed = [rows("b", 1000, 1080), rows("c", 1000, 1120), rows("b", 2000, 2100)]
            await asyncio.gather(*(store.writer.write(batch(WAITS, each)) for each in mixed))
            over = "SELECT hostname, count(*) FROM waits WHERE stack = '{}' GROUP BY 1 ORDER BY 1"
            assert database.rows(over.format(OVER_STACKS)) == [["a", "200"], ["b", "80"]]

    asyncio.run(run())


def test_what_is_not_committed_is_not_counted(database: Database) -> None:
    """A refused batch costs the host nothing; a server that starts again begins at none."""

    async def run() -> None:
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(stacks=NewTexts(100))
            database.rename("kscope_rows_waits", "away")
            answers = [store.writer.write(batch(WAITS, rows("a", 0, 90))) for _ in range(3)]
            failed = await asyncio.gather(*answers, return_exceptions=True)
            assert all(isinstance(each, Exception) for each in failed)
            database.rename("away", "kscope_rows_waits")
            await store.writer.write(batch(WAITS, rows("a", 0, 100)))
            assert database.rows(OVER)[0][0] == "0"
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(stacks=NewTexts(100))
            await store.writer.write(batch(WAITS, rows("a", 0, 200)))
            assert database.rows(OVER)[0][0] == "0"

    asyncio.run(run())


def test_the_next_hour_begins_at_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr(cardinality.time, "time", lambda: now[0])

    async def run() -> None:
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(stacks=NewTexts(10))
            await store.writer.write(batch(WAITS, rows("a", 0, 20)))
            now[0] += 3600
            await store.writer.write(batch(WAITS, rows("a", 20, 40)))
            assert database.rows(OVER)[0][0] == "20"

    asyncio.run(run())


def test_strings_have_a_limit_too(database: Database) -> None:
    """New process names of a host beyond it are one name; the host keeps its own."""

    async def run() -> None:
        async with opened(database, WAITS) as store:
            store.writer.limits = NewTextLimits(strings=NewTexts(10))
            named = [rows("a", n, n + 1, f"process {n}")[0] for n in range(30)]
            await store.writer.write(batch(WAITS, named[:15]))
            await store.writer.write(batch(WAITS, named[15:]))
            query = "SELECT hostname, count(*) FROM waits WHERE process = '{}' GROUP BY 1"
            assert database.rows(query.format(OVER_STRINGS)) == [["a", "20"]]
            assert len(column(database.rows("SELECT DISTINCT process FROM waits"))) == 11
            assert store.writer.counters.over_string_limit == 20

    asyncio.run(run())


def test_a_flood_of_hosts_takes_no_memory() -> None:
    """A million made-up names share one count once the table of hosts is full."""
    counted = NewTexts(5)
    tracemalloc.start()
    for start in range(0, 1_000_000, 10_000):
        grant = counted.start()
        for number in range(start, start + 10_000):
            grant.take(f"host {number}", [1])
        grant.commit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counted) <= cardinality.MAX_HOSTS + 1
    assert peak < 32 * 2**20
    grant = counted.start()
    assert list(grant.take("one more", [1, 2])) == []
    assert list(grant.take("host 7", [1, 2, 3, 4, 5])) == [1, 2, 3, 4]


def test_the_quality_answer_counts_them(tmp_path: Path, database: Database) -> None:
    """By host, for the range; /metrics counts them for the server."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("new_stacks_per_hour: 10\nnew_strings_per_hour: 20\n")
    with serving(tmp_path, "--config", config, *database.options) as server:
        for host, many in (("a", 40), ("b", 5)):
            sent = [
                {"process": f"{host} {n}", "pid": 1, "stack": f"{host};f{n}", "elapsed": 7}
                for n in range(many)
            ]
            server.post({"hostname": host, "offcputime": sent})
        query = f"SELECT count(*) FROM offcputime WHERE process = '{OVER_STRINGS}'"
        beyond = scalar(database, query)
        assert 20 <= beyond < 40
        lacks = server.get("/api/v1/quality/offcputime").json()["lacks"]
        found = {each["column"]: (each["host"], each["count"], each["share"]) for each in lacks}
        assert found == {"stack": ("a", 30, 0.75), "process": ("a", beyond, beyond / 40)}
        assert any("new_stacks_per_hour" in each["reason"] for each in lacks)
        only = server.get("/api/v1/quality/offcputime", hostname="b").json()["lacks"]
        assert only == []
        past = server.get("/api/v1/quality/offcputime", **{"from": "now-9d", "to": "now-8d"})
        assert past.json()["lacks"] == []
        metrics = server.get("/metrics").text
        assert "kscope_rows_over_stack_limit_total 30" in metrics
        assert f"kscope_rows_over_string_limit_total {beyond}" in metrics
        graph = server.get("/api/v1/flamegraph/offcputime", hostname="a").json()
        assert graph["value"][0] == 40 * 7
        assert OVER_STACKS in graph["names"]
