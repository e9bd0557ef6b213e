"""ClickHouse: a server stores several groups of batches at once, and waits for none too long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.store.backends import clickhouse as backend
from kscope.store.backends import clickhouse_client
from kscope.store.backends.clickhouse import ClickHouseBackend, ClickHouseSession
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.write import group_commit
from tests.databases import ClickHouseDatabase
from tests.store.opened import batch, category, opened

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.clickhouse import Node

pytestmark = pytest.mark.clickhouse
WAITS = category()
ROW = [1_795_392_000_000_000, "h", "p", 1, "main;a", 7, "1:2"]


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each batch be a group, whose rows are stored only beside those of another."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_ROWS", 1)
    monkeypatch.setattr(group_commit, "BESIDE_ROWS", 1)
    pair = asyncio.Barrier(2)
    append = ClickHouseSession.append

    async def appending(self: Any, table: sa.Table, *rest: Any) -> None:
        if table.name == "kscope_rows_waits":
            await pair.wait()
        await append(self, table, *rest)

    monkeypatch.setattr(ClickHouseSession, "append", appending)


@pytest.mark.usefixtures("in_pairs")
def test_each_batch_is_stored_once_beside_others(clickhouse: Node) -> None:
    """Alike rows of two batches have different numbers; a key that is sent twice is one batch."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())

    async def check() -> None:
        async with opened(database, WAITS) as store:
            numbers = [1, 2, 1, 3, 4]
            answers = await asyncio.gather(
                *(store.writer.write(batch(WAITS, [ROW], bytes([n] * 16))) for n in numbers)
            )
            assert [each.duplicate for each in answers] == [False, False, True, False, False]
            rows = store.schema.categories["waits"].rows
            found = await store.reader.fetch(sa.select(rows.c.time, rows.c.seq))
            assert len(found) == 4
            assert len({tuple(row) for row in found}) == 4

    asyncio.run(check())


def test_no_sender_waits_for_a_change_that_hangs(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping may wait an hour for a statement; a batch is refused soon, and taken later."""
    monkeypatch.setattr(backend, "ANSWER_SECONDS", 1)
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())

    async def check() -> None:
        async with opened(database, WAITS) as store:
            async with store.backend.transaction():
                with pytest.raises(StoreBusy, match="takes long"):
                    await store.writer.write(batch(WAITS, [ROW], b"1" * 16))
            stored = await store.writer.write(batch(WAITS, [ROW], b"1" * 16))
            assert not stored.duplicate

    asyncio.run(check())


def test_a_statement_that_is_lost_may_store_rows_later(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this server sums then, nor another one once this one has stopped."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())

    async def check() -> None:
        async with opened(database, WAITS) as other:
            async with opened(database, WAITS) as store:
                await store.writer.write(batch(WAITS, [ROW], b"1" * 16))
                assert not await may_come(store)
                assert await may_come(other)
            assert not await may_come(other)
            async with opened(database, WAITS) as store:
                await store.writer.write(batch(WAITS, [ROW], b"2" * 16))
                await lose_a_statement(store, monkeypatch)
                assert await may_come(store)
            assert await may_come(other)

    asyncio.run(check())


async def lose_a_statement(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit give up a statement, with the error of an engine that is away."""
    with monkeypatch.context() as patched:
        patched.setattr(clickhouse_client, "ANSWER_SECONDS", 0.5)
        with pytest.raises(StoreAway):
            async with store.backend.commit() as session:
                await session.fetch(sa.select(sa.text("sleep(2)")))


async def may_come(store: Store) -> bool:
    assert isinstance(store.backend, ClickHouseBackend)
    return await store.backend.rows_may_come()


def test_no_statement_of_a_commit_waits_for_long(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them ends in an error, not only the one that stores the rows."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())

    async def check() -> None:
        async with opened(database, WAITS) as store:
            await lose_a_statement(store, monkeypatch)

    asyncio.run(check())
