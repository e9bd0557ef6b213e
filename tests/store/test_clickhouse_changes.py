"""Changes of tables on ClickHouse, which has no transactions and no locks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import refusing
from kscope.store.backends.errors import StoreBusy
from tests.databases import ClickHouseDatabase, scalar
from tests.store.opened import batch, category, opened

if TYPE_CHECKING:
    from tests.clickhouse import Node

pytestmark = pytest.mark.clickhouse
WAITS = category()
ROW = (1_728_000_000_000_000, "h", "p", 1, "main", 1, "")


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
