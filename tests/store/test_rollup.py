"""Sums and rows give the same answers, whatever came when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kscope.declare.types.histogram import histogram_counts
from kscope.store.backends import mysql
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.schema.changed_levels import begin_progress
from kscope.store.sums.planner import SECOND
from tests.databases import MariaDBDatabase
from tests.numbers import EXACT, LARGEST
from tests.store.opened import WAITS, batch, category, opened, totals

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.databases import Database
    from tests.mariadb import MariaDB

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
CATEGORY = category(f"{WAITS}retention: 4d\nrollup: {{1h: 20d, 1d: 40d}}\n")


def steps(values: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Draw at most 48 rows of these values, as (hours after T0, process, elapsed)."""
    row = st.tuples(st.integers(0, 150), st.sampled_from("abc"), values)
    return st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.lists(row, min_size=1, max_size=6)),
            st.tuples(st.just("roll up"), st.integers(0, 160)),
            st.tuples(st.just("retain"), st.integers(0, 160)),
        ),
        min_size=1,
        max_size=8,
    )


ranges = st.tuples(st.integers(0, 150 * 60), st.integers(1, 150 * 60))

Row = tuple[int, str, int]


def expected(rows: list[Row], start: int, stop: int) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for time, process, elapsed in rows:
        if start <= time < stop:
            count, total = found.get(process, (0, 0))
            found[process] = (count + 1, total + elapsed)
    return found


async def play(store: Store, played: list[tuple[str, Any]]) -> list[Row]:
    """Do the steps; give all rows that were ever acknowledged."""
    rows: list[Row] = []
    for step, argument in played:
        if step == "write":
            new = [(T0 + hours * HOUR + 7, name, elapsed) for hours, name, elapsed in argument]
            wire = [(t, "host", name, 1, "a;b", elapsed, "3:1") for t, name, elapsed in new]
            await store.writer.write(batch(CATEGORY, wire))
            rows += new
        elif step == "roll up":
            await roll_up(store, T0 + argument * HOUR)
        else:
            await retain(store, T0 + argument * HOUR)
    return rows


async def empty(store: Store) -> None:
    async with store.backend.transaction() as session:
        tables = store.schema.categories["waits"]
        for table in (tables.rows, *(rollup.table for rollup in tables.rollups)):
            await session.execute(sa.delete(table))
        dictionaries = store.schema.dictionaries
        await session.execute(sa.delete(dictionaries.progress))
        await begin_progress(session, store.schema)


async def number(store: Store, level: int) -> int:
    """Return how many sums a level has."""
    table = store.schema.categories["waits"].rollups[level].table
    select = sa.select(sa.func.count()).select_from(table)
    return int((await store.reader.fetch(select))[0][0])


def examples(database: Database, most: int) -> hypothesis_settings:
    """Return settings; ClickHouse takes seconds for what the others do in a tenth of one."""
    return hypothesis_settings(
        max_examples=most // 8 if database.name == "clickhouse" else most,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.mark.timeout(300)
def test_any_range_has_the_same_totals(database: Database) -> None:
    """Sums below 2**53 equal the sums of all acknowledged rows, late ones included."""

    @examples(database, 60)
    @given(played=steps(st.integers(0, 9) | st.integers(0, EXACT // 48)), asked=ranges)
    def holds(played: list[tuple[str, Any]], asked: tuple[int, int]) -> None:
        asyncio.run(run(played, asked))

    async def run(played: list[tuple[str, Any]], asked: tuple[int, int]) -> None:
        async with opened(database, CATEGORY) as store:
            await empty(store)
            rows = await play(store, played)
            start = T0 + asked[0] * 60 * SECOND
            stop = start + asked[1] * 60 * SECOND
            plan = await store.reader.plan("waits", start, stop, {"process", "elapsed"})
            if any("removed by retention" in notice for notice in plan.notices):
                return
            found = await totals(store, start, stop)
            assert found == expected(rows, plan.start, plan.stop)

    holds()


@pytest.mark.timeout(300)
def test_no_sum_fails_near_64_bits(database: Database) -> None:
    """A stored sum stops at the largest number; until then it is off by a rounding at most."""

    @examples(database, 25)
    @given(played=steps(st.integers(2**60, LARGEST)))
    def holds(played: list[tuple[str, Any]]) -> None:
        asyncio.run(run(played))

    async def run(played: list[tuple[str, Any]]) -> None:
        async with opened(database, CATEGORY) as store:
            await empty(store)
            rows = await play(store, [*played, ("roll up", 160)])
            for level in store.schema.categories["waits"].rollups:
                stored = sa.select(level.table.c.elapsed)
                assert all(0 < value <= LARGEST for (value,) in await store.reader.fetch(stored))
            plan = await store.reader.plan("waits", T0, T0 + 200 * HOUR, {"process", "elapsed"})
            if any("removed by retention" in notice for notice in plan.notices):
                return
            found = await totals(store, T0, T0 + 200 * HOUR)
            for process, (count, exact) in expected(rows, plan.start, plan.stop).items():
                assert found[process][0] == count
                least = min(exact, LARGEST)
                assert least * (1 - 1e-12) <= found[process][1] <= exact * (1 + 1e-12)

    holds()


def test_late_rows_are_counted(database: Database) -> None:
    """A host that was cut off for a day delivers rows of closed hours and days."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            on_time = [(T0 + h * HOUR, "a", "p", 1, "x;y", 10, "1:2,3:4") for h in range(48)]
            await store.writer.write(batch(CATEGORY, on_time))
            await roll_up(store, T0 + 3 * DAY)
            assert [await number(store, level) for level in (0, 1)] == [48, 2]
            late = [(T0 + h * HOUR, "b", "p", 2, "x;y", 1, "3:1,9:5") for h in range(24)]
            await store.writer.write(batch(CATEGORY, late * 2))
            for start, stop in ((T0, T0 + 2 * DAY), (T0 + HOUR, T0 + 30 * HOUR)):
                plan = await store.reader.plan("waits", start, stop, {"process", "elapsed"})
                assert plan.source.startswith("rollup")
                hours = (stop - start) // HOUR
                lates = 2 * (24 - (start - T0) // HOUR)
                expected = {"p": (hours + lates, 10 * hours + lates)}
                assert await totals(store, start, stop) == expected
            daily = store.schema.categories["waits"].rollups[1].table
            texts = await store.reader.fetch(sa.select(daily.c.sizes).where(daily.c.time == T0))
            counts = histogram_counts(",".join(text for (text,) in texts))
            assert counts == {1: 48, 3: 96 + 48, 9: 240}

    asyncio.run(run())


def test_a_bucket_that_rows_go_on_coming_to_is_summed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row arrives at each recount: then the rows wait, and the sums are stored."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            row = (T0 + 7, "a", "p", 1, "x;y", 1, "")
            await store.writer.write(batch(CATEGORY, [row]))
            coming: list[asyncio.Task[Any]] = []
            fetch = store.backend.fetch_in_background

            async def overtaken(statement: sa.Select[Any]) -> Any:
                found = await fetch(statement)
                if "GROUP BY" in str(statement):
                    coming.append(asyncio.create_task(store.writer.write(batch(CATEGORY, [row]))))
                    await asyncio.wait(coming, timeout=1)
                return found

            monkeypatch.setattr(store.backend, "fetch_in_background", overtaken)
            assert await roll_up(store, T0 + 2 * HOUR) == 1
            monkeypatch.undo()
            await asyncio.gather(*coming)
            plan = await store.reader.plan("waits", T0, T0 + HOUR, {"process", "elapsed"})
            assert plan.source.startswith("rollup")
            rows = 1 + len(coming)
            assert await totals(store, T0, T0 + HOUR) == {"p": (rows, rows)}

    asyncio.run(run())


def test_hours_shrink_to_their_groups(database: Database) -> None:
    """Rows that repeat each minute become one sum per hour and one per day; no sum has a pid."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            rows = [
                (T0 + minute * 60 * SECOND, "a", f"p{n}", minute, f"s{n}", 1, "")
                for minute in range(24 * 60)
                for n in range(3)
            ]
            await store.writer.write(batch(CATEGORY, rows))
            await roll_up(store, T0 + 2 * DAY)
            hourly, daily = (r.table for r in store.schema.categories["waits"].rollups)
            for table, many in ((hourly, 72), (daily, 3)):
                count = sa.select(sa.func.count()).select_from(table)
                assert (await store.reader.fetch(count))[0][0] == many
                assert "pid" not in table.c

    asyncio.run(run())


def test_a_sum_beyond_64_bits_does_not_stop_the_others(database: Database) -> None:
    """A sender of absurd values gets an absurd sum; later hours are summed all the same."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            huge = [(T0 + n, "a", "p", 1, "x", LARGEST, "") for n in range(3)]
            later = [(T0 + HOUR, "a", "p", 1, "x", 1, "")]
            await store.writer.write(batch(CATEGORY, huge + later))
            await roll_up(store, T0 + 3 * HOUR)
            hourly = store.schema.categories["waits"].rollups[0].table
            rows = await store.reader.fetch(sa.select(hourly.c.elapsed).order_by(hourly.c.time))
            assert [row[0] for row in rows] == [LARGEST, 1]

    asyncio.run(run())


@pytest.mark.parametrize("hours", [1, 3])
def test_an_open_bucket_is_left_alone(database: Database, hours: int) -> None:
    """A bucket is summed two minutes after its end, not before."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, [(T0, "a", "p", 1, "x", 1, "")]))
            end = T0 + HOUR + (hours - 1) * HOUR
            assert await roll_up(store, end + 119 * SECOND) == (hours > 1)

    asyncio.run(run())


@pytest.mark.mysql
def test_a_text_that_mysql_cuts_is_added_up_slot_by_slot(
    mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves out the end of a joined text that is too long; no event is lost."""
    monkeypatch.setattr(mysql, "_READER", mysql._READER.replace("16777216", "64"))
    database = MariaDBDatabase(mariadb, mariadb.new_database())

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            rows = [(T0 + n, f"h{n % 2}", "p", 1, "x", 1, f"{n % 7}:2,9:1") for n in range(400)]
            await store.writer.write(batch(CATEGORY, rows))
            await roll_up(store, T0 + 3 * HOUR)
            hourly = store.schema.categories["waits"].rollups[0].table
            found = await store.reader.fetch(sa.select(hourly.c.sizes))
            exact = {**{slot: 2 * len(range(slot, 400, 7)) for slot in range(7)}, 9: 400}
            assert histogram_counts(",".join(text for (text,) in found)) == exact
            assert len(found) == 2

    asyncio.run(run())
