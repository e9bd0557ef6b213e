"""A category that changes when its rows, its sums and its strings are there already."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.declare.types.histogram import histogram_counts
from kscope.errors import DeclarationError, Problem
from kscope.query.scan.labels import labels
from kscope.store.backends.errors import StaleDeclaration, StoreBusy
from kscope.store.housekeeping import close_in_engine
from kscope.store.housekeeping.loop import close_next, retain, roll_up
from kscope.store.open import backend_of
from kscope.store.schema import migrate
from kscope.store.schema.interning import text_hash
from kscope.store.store import Store
from kscope.store.sums.planner import SECOND
from kscope.store.usable_categories import adopt_good
from kscope.store.write.batch import Batch, TableRows
from tests.databases import ClickHouseDatabase, MariaDBDatabase, insertion, scalar
from tests.store.opened import WAITS, batch, category, opened, totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kscope.declare.model import Column
    from kscope.store.backends.base import Session
    from tests.databases import Database
    from tests.mariadb import MariaDB

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
ADDED = """\
  - {name: waits, type: count, default: 3}
  - {name: share, type: float, default: 0.5}
  - {name: kind, type: label, default: new}
  - {name: spread, type: histogram, default: []}
"""
AGES = "retention: 4d\nrollup: {1h: 20d, 1d: 40d}\n"
BEFORE = category(f"{WAITS}{AGES}")
AFTER = category(f"{WAITS}{ADDED}{AGES}")


def row(time: int, host: str = "h") -> tuple[Any, ...]:
    return (time, host, "p", 1, "a;b", 10, "2:1")


def new_row(time: int) -> tuple[Any, ...]:
    return (*row(time), 3, 0.5, "new", "")


async def sums(store: Store) -> list[list[Any]]:
    """Return the sums of each table of the category: rows, waits, share, spread."""
    tables = store.schema.categories["waits"]
    found = []
    for table in (tables.rows, *(level.table for level in tables.rollups)):
        rows = table.c.kscope_rows if "kscope_rows" in table.c else sa.literal_column("1")
        columns = (rows, table.c.waits, table.c.share)
        select = sa.select(*map(sa.func.sum, columns))
        texts = await store.reader.fetch(sa.select(table.c.spread))
        (numbers,) = await store.reader.fetch(select)
        spread = histogram_counts(",".join(text for (text,) in texts))
        found.append([*map(float, numbers), spread])
    return found


def test_an_added_column_has_its_default_in_every_row(database: Database) -> None:
    """In rows that were summed already as well: sums and rows go on agreeing, late rows too."""

    async def run() -> None:
        async with opened(database, BEFORE) as store:
            rows = [row(T0 + n * SECOND) for n in range(100)]
            await store.writer.write(batch(BEFORE, rows))
            await roll_up(store, T0 + 3 * DAY)
        async with opened(database, AFTER) as store:
            assert await sums(store) == [[100, 300, 50, {}]] * 3
            await store.writer.write(batch(AFTER, [new_row(T0)] * 2))
            assert await sums(store) == [[102, 306, 51, {}]] * 3

    asyncio.run(run())


@pytest.mark.mysql
def test_an_addition_that_was_killed_goes_on(mariadb: MariaDB) -> None:
    """MySQL commits each statement: wherever it ended, the next start finishes it."""
    table = "kscope_rollup_1h_waits"

    async def run(*half_done: str) -> None:
        database = MariaDBDatabase(mariadb, mariadb.new_database())
        async with opened(database, BEFORE) as store:
            await store.writer.write(batch(BEFORE, [row(T0), row(T0)]))
            await roll_up(store, T0 + 3 * DAY)
        database.run(*half_done)
        async with opened(database, AFTER) as store:
            assert await sums(store) == [[2, 6, 1, {}]] * 3
            assert not await store.plan_migration()

    added = f"ALTER TABLE {table} ADD COLUMN waits BIGINT NULL"
    asyncio.run(run(added))
    asyncio.run(run(added, f"UPDATE {table} SET waits = 6"))


def test_an_index_comes_and_goes(database: Database) -> None:
    """`index: true` on a column that is there makes one, without it the index is dropped."""
    plain = category()
    indexed = category(
        WAITS.replace("{name: pid, type: int}", "{name: pid, type: int, index: true}")
    )
    query = {
        "sqlite": "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
        " AND name LIKE 'kscope_index_%pid'",
        "mysql": "SELECT count(*) FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND index_name LIKE 'kscope_index_%pid'",
        "clickhouse": "SELECT count() FROM system.data_skipping_indices"
        " WHERE database = currentDatabase() AND name LIKE 'kscope_index_%pid'",
    }[database.name]

    async def run() -> None:
        async with opened(database, plain) as store:
            await store.writer.write(batch(plain, [row(T0)]))
        for declared, many in ((indexed, 1), (plain, 0), (indexed, 1)):
            async with opened(database, declared) as store:
                assert not await store.plan_migration()
                assert scalar(database, query) == many

    asyncio.run(run())


def test_a_level_that_is_added_late_begins_where_rows_are(database: Database) -> None:
    """It does not cover rows removed by retention, nor a day that was removed in part."""
    without = category(f"{WAITS}retention: 2d\n")
    daily = category(f"{WAITS}retention: 2d\nrollup: {{1d: 40d}}\n")
    now = T0 + 5 * DAY + 12 * HOUR

    async def run() -> None:
        async with opened(database, without) as store:
            rows = [row(T0 + n * HOUR) for n in range(5 * 24)]
            await store.writer.write(batch(without, rows))
            await retain(store, now)
            left = await totals(store, T0, T0 + 5 * DAY)
            assert left == {"p": (36, 360)}
        async with opened(database, daily) as store:
            await roll_up(store, now)
            plan = await store.reader.plan("waits", T0, T0 + 5 * DAY, {"process"})
            assert plan.source == "rollup 1d + raw"
            assert "removed by retention" in plan.notices[0]
            assert await totals(store, T0, T0 + 5 * DAY) == left
            days = sa.select(sa.func.min(store.schema.categories["waits"].rollups[0].table.c.time))
            assert (await store.reader.fetch(days))[0][0] == T0 + 4 * DAY

    asyncio.run(run())


def test_a_level_that_is_taken_out_and_put_back_is_whole(database: Database) -> None:
    """Its sums are recomputed, and include late rows from the time in between."""
    hourly = category(f"{WAITS}rollup: {{1h: 20d}}\n")
    without = category()

    async def run() -> None:
        for declared in (hourly, without, hourly):
            async with opened(database, declared) as store:
                await store.writer.write(batch(declared, [row(T0), row(T0 + HOUR)]))
                await roll_up(store, T0 + 2 * DAY)
        async with opened(database, hourly) as store:
            plan = await store.reader.plan("waits", T0, T0 + DAY, {"process"})
            assert plan.source == "rollup 1h"
            assert await totals(store, T0, T0 + DAY) == {"p": (6, 60)}

    asyncio.run(run())


def test_sums_that_alone_are_left_are_not_dropped_unasked(database: Database) -> None:
    """A level that goes further back than the rows is refused to go, with file and line."""
    kept = category(f"{WAITS}retention: 2d\nrollup: {{1h: 20d}}\n")
    without = category(f"{WAITS}retention: 2d\n")

    async def run() -> None:
        async with opened(database, kept) as store:
            await store.writer.write(batch(kept, [row(T0), row(T0 + 5 * DAY)]))
            await roll_up(store, T0 + 6 * DAY)
            await retain(store, T0 + 6 * DAY)
        with pytest.raises(DeclarationError, match=r"waits.yaml:1: rollup: '1h' .* --discard-sums"):
            async with opened(database, without):
                pass
        async with opened(database, kept) as store:
            assert await totals(store, T0, T0 + 6 * DAY) == {"p": (2, 20)}
        chosen = Store(backend_of(database.settings), Catalog((without,)))
        await chosen.backend.open()
        await chosen.migrate(discard_sums=True)
        await chosen.backend.close()
        async with opened(database, without) as store:
            assert await totals(store, T0, T0 + 6 * DAY) == {"p": (1, 10)}

    asyncio.run(run())


def test_a_server_that_is_behind_sums_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes rows, and leaves sums to those that know the new column; late rows it gives back."""
    # Neither server writes while the other sums: on ClickHouse none has to wait for it.
    monkeypatch.setattr(close_in_engine, "SETTLED_SECONDS", 0)

    async def run() -> None:
        async with opened(database, BEFORE) as old, opened(database, AFTER) as new:
            await new.writer.write(batch(AFTER, [new_row(T0)]))
            assert await close_next(old, "waits", T0 + 3 * DAY) is None
            await old.writer.write(batch(BEFORE, [row(T0)] * 2))
            await roll_up(new, T0 + 3 * DAY)
            with pytest.raises(StaleDeclaration, match="bring its categories up to date"):
                await old.writer.write(batch(BEFORE, [row(T0)]))
            await old.writer.write(batch(BEFORE, [row(T0 + 4 * DAY)]))
            await roll_up(new, T0 + 6 * DAY)
            assert await sums(new) == [[4, 12, 2, {}]] * 3

    asyncio.run(run())


def test_what_a_row_of_the_future_names_is_kept(database: Database) -> None:
    """A sender's clock is weeks ahead: its rows age by that clock, and their names with them."""
    kept = category(f"{WAITS}retention: 2d\n")
    now = time.time_ns() // 1000
    ahead = now + 40 * DAY

    async def run() -> None:
        async with opened(database, kept) as store:
            await store.writer.write(batch(kept, [row(ahead, "ahead"), row(now, "ahead")]))
            dictionaries = store.schema.dictionaries
            for table in (dictionaries.string, dictionaries.stack):
                (days,) = await store.reader.fetch(sa.select(sa.func.min(table.c.day)))
                assert days[0] == ahead // DAY
            await store.writer.write(batch(kept, [row(now, "ahead")]))
            (days,) = await store.reader.fetch(sa.select(sa.func.min(dictionaries.string.c.day)))
            assert days[0] == ahead // DAY

    asyncio.run(run())


CHANGES = {
    "another type": WAITS.replace("pid, type: int", "pid, type: string"),
    "a column less": WAITS.replace("  - {name: pid, type: int}\n", ""),
    "a column more": f"{WAITS}  - {{name: n, type: count}}\n",
    "another order": WAITS.replace("  - {name: pid, type: int}\n", "").replace(
        "columns:\n", "columns:\n  - {name: pid, type: int}\n"
    ),
    "all other columns": "table: waits\ncolumns:\n  - {name: n, type: count}\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_without_rows_changes_in_any_way(database: Database, change: str) -> None:
    """Its sums and its view change with it, and it takes rows of the new shape."""
    old, new = category(f"{WAITS}{AGES}"), category(f"{CHANGES[change]}rollup: {{1h: 20d}}\n")

    async def run() -> None:
        async with opened(database, old):
            pass
        async with opened(database, new) as store:
            assert not await store.plan_migration()
            tables = store.schema.categories["waits"]
            values = [[T0], ["h"], *([_value(column)] for column in new.columns)]
            stacks = {text_hash("a"): "a"}
            await store.writer.write(Batch(b"", [TableRows(new, values)], stacks))
            await roll_up(store, T0 + 3 * DAY)
            count = sa.select(sa.func.sum(tables.rollups[0].table.c.kscope_rows))
            assert (await store.reader.fetch(count))[0][0] == 1
        assert scalar(database, "SELECT count(*) FROM waits") == 1

    asyncio.run(run())


def _value(column: Column) -> Any:
    if column.type.name == "stack":
        return text_hash("a")
    return {"string": "x", "histogram": "2:1"}.get(column.type.name, 1)


def test_a_table_with_only_sums_is_not_without_rows(database: Database) -> None:
    """Rows go at their age, their sums stay: a change that would lose them is refused."""
    old = category(f"{WAITS}retention: 2d\nrollup: {{1h: 20d}}\n")
    new = category(WAITS.replace("elapsed, type: elapsed", "elapsed, type: string"))

    async def run() -> None:
        async with opened(database, old) as store:
            await store.writer.write(batch(old, [row(T0)]))
            await roll_up(store, T0 + 6 * DAY)
            await retain(store, T0 + 6 * DAY)
            assert await totals(store, T0, T0 + DAY) == {"p": (1, 10)}
        with pytest.raises(DeclarationError, match="cannot become string"):
            async with opened(database, new):
                pass
        async with opened(database, old) as store:
            assert await totals(store, T0, T0 + DAY) == {"p": (1, 10)}

    asyncio.run(run())


def test_a_row_that_comes_while_its_table_changes_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives after the table was found empty: the change is put off, then refused."""
    old = category()
    new = category(WAITS.replace("elapsed, type: elapsed", "elapsed, type: string"))

    are_empty = migrate.are_empty

    async def late(session: Session, tables: Iterable[str]) -> bool:
        found = await are_empty(session, tables)
        monkeypatch.setattr(migrate, "are_empty", are_empty)
        sizes = "map()" if isinstance(database, ClickHouseDatabase) else "''"
        values = {"process": 1, "pid": 1, "stack": 1, "elapsed": 1, "sizes": sizes}
        await session.run(insertion(database, "kscope_rows_waits", **values))
        return found

    async def run() -> None:
        async with opened(database, old):
            pass
        monkeypatch.setattr(migrate, "are_empty", late)
        with pytest.raises(StoreBusy, match="rows came to kscope_rows_waits"):
            async with opened(database, new):
                pass
        async with opened(database, old) as store:
            await store.writer.write(batch(old, [row(T0)]))
        assert scalar(database, "SELECT sum(elapsed) FROM waits") >= 10

    asyncio.run(run())


def test_a_server_with_the_old_types_writes_none_of_them(database: Database) -> None:
    """Another server made the empty table again: a number must not be read as a string's id."""
    old = category()
    new = category(WAITS.replace("elapsed, type: elapsed", "elapsed, type: string"))

    async def run() -> None:
        async with opened(database, old) as behind, opened(database, new):
            with pytest.raises(StaleDeclaration, match="has changed on another server"):
                await behind.writer.write(batch(old, [row(T0)]))
        assert scalar(database, "SELECT count(*) FROM waits") == 0

    asyncio.run(run())


def test_a_name_that_is_lost_is_said_to_be(database: Database) -> None:
    """A damaged dictionary does not end every question."""

    async def run() -> None:
        async with opened(database, BEFORE) as store:
            process = BEFORE.column("process")
            assert process is not None
            assert await labels(store.reader, process, {77}) == {77: "[lost]"}

    asyncio.run(run())


def test_a_refusal_that_no_category_explains_is_told_as_it_is() -> None:
    """Leaving categories out does not help: the problem itself is raised."""
    catalog = Catalog((category(),))
    problem = Problem("elsewhere.yaml", 3, "table", "cannot be: rename it")

    async def refuse(_: Catalog) -> None:
        raise DeclarationError([problem])

    with pytest.raises(DeclarationError, match=r"elsewhere\.yaml:3: .*rename it"):
        asyncio.run(adopt_good(catalog, (), Catalog(()), refuse))
