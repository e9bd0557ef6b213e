"""Changes of tables on ClickHouse, which has no transactions and no locks."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import refusing
from kscope.store.backends.clickhouse import ClickHouseSession
from kscope.store.backends.errors import StoreBusy
from kscope.store.drop import drop, plan_drop
from kscope.store.housekeeping.loop import roll_up
from tests.databases import ClickHouseDatabase, scalar
from tests.store.opened import WAITS as FILE
from tests.store.opened import batch, category, opened, totals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clickhouse import Node

pytestmark = pytest.mark.clickhouse
WAITS = category()
ROW = (1_728_000_000_000_000, "h", "p", 1, "main", 1, "")


class DiedError(Exception):
    """The end of a command between two statements."""


async def dying(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]) -> int:
    """Do a work again until it is done: the first time no statement runs, then one more each time.

    Return how often it died.
    """
    run = ClickHouseSession.run
    for most in count():
        left = iter(range(most))

        async def counted(self: ClickHouseSession, text: str) -> None:
            if next(left, None) is None:  # noqa: B023 - for this round alone
                raise DiedError
            await run(self, text)

        with monkeypatch.context() as patched:
            patched.setattr(ClickHouseSession, "run", counted)
            try:
                await work()
            except DiedError:
                continue
            return most
    raise AssertionError


def test_a_migration_that_dies_at_any_statement_is_finished(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that were there have the defaults of what was added, in sums as well."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())
    before = category(f"{FILE}rollup: {{1h: 800d}}\n")
    more = "  - {name: waits, type: count, default: 3}\n  - {name: kind, type: label, default: x}\n"
    after = category(
        f"{FILE}{more}rollup: {{1h: 800d, 1d: 800d}}\n".replace("int}", "int, index: true}")
    )

    async def migrate() -> None:
        async with opened(database, after):
            pass

    async def run() -> None:
        async with opened(database, before) as store:
            await store.writer.write(batch(before, [ROW] * 3))
            await roll_up(store)
        assert await dying(monkeypatch, migrate) > 3
        async with opened(database, after) as store:
            assert not await store.plan_migration()
            await roll_up(store)
            day = 24 * 3600 * 1_000_000
            assert await totals(store, ROW[0] - day, ROW[0] + day) == {"p": (3, 3)}
        assert database.rows("SELECT sum(waits), any(kind) FROM waits") == [["9", "x"]]
        for level in ("1h", "1d"):
            assert scalar(database, f"SELECT sum(waits) FROM kscope_rollup_{level}_waits") == 9

    asyncio.run(run())


def test_a_drop_that_dies_at_any_statement_is_finished(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is built again: its rows are there once, and new ones come in."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())
    less = category(FILE.replace("  - {name: pid, type: int}\n", ""))
    declared = {"waits": [column.name for column in less.columns]}

    async def run() -> None:
        async with opened(database, WAITS) as store:
            await store.writer.write(batch(WAITS, [(*ROW[:3], n, *ROW[4:]) for n in range(3)]))

            async def dropping() -> None:
                await drop(store, await plan_drop(store, "waits.pid", declared))

            assert await dying(monkeypatch, dropping) > 5
        async with opened(database, less) as store:
            assert not await store.plan_migration()
            tables = store.schema.categories["waits"]
            assert "pid" not in tables.rows.c
        numbers = "SELECT count(), uniqExact(seq), sum(elapsed) FROM kscope_rows_waits"
        assert database.rows(numbers) == [["3", "3", "3"]]
        assert not database.rows("SHOW TABLES LIKE 'kscope_new%'")

    asyncio.run(run())


def test_a_change_that_was_killed_lets_rows_in_again(clickhouse: Node) -> None:
    """While a table changes, senders hear that they should come again; so until the next start."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())

    async def run() -> None:
        async with opened(database, WAITS) as store:
            database.run(refusing("kscope_rows_waits", ClickHouseDDL()))
            with pytest.raises(StoreBusy):
                await store.writer.write(batch(WAITS, [ROW]))
        async with opened(database, WAITS) as store:
            await store.writer.write(batch(WAITS, [ROW]))
            assert not await store.plan_migration()
        assert scalar(database, "SELECT count() FROM waits") == 1

    asyncio.run(run())
