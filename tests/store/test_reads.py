"""Reads do not wait for writes, end at their deadline, and cannot write."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.store.backends.deadline import Deadline
from kscope.store.backends.errors import QueryTimeout, StoreError
from tests.enginefixtures import TRANSACTIONAL
from tests.store.opened import batch, category, opened

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.databases import Database

CATEGORY = category()
ROWS = [(n, "a", "p", n, "s", 1, "") for n in range(2000)]


def endless(store: Store) -> sa.Select[tuple[int]]:
    """Count what would take hours: the rows four times with themselves."""
    rows = store.schema.categories["waits"].rows
    joined: sa.FromClause = rows
    for _ in range(3):
        joined = joined.join(rows.alias(), sa.true())
    return sa.select(sa.func.count()).select_from(joined)


def test_a_statement_ends_at_its_deadline(database: Database) -> None:
    """The engine cancels the statement; others continue, and the connection is usable again."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS))
            store.reader.seconds = 0.5
            slow = asyncio.create_task(store.reader.fetch(endless(store)))
            await asyncio.sleep(0.1)
            await store.writer.write(batch(CATEGORY, [(5000, "a", "p", 1, "s", 1, "")]))
            async with asyncio.timeout(60):  # alone it would take hours
                with pytest.raises(QueryTimeout):
                    await slow
            rows = store.schema.categories["waits"].rows
            count = await store.reader.fetch(sa.select(sa.func.count()).select_from(rows))
            assert count[0][0] == 2001

    asyncio.run(run())


def test_statements_of_one_question_share_its_deadline(database: Database) -> None:
    """A statement gets the time that the statements before it left, and threads are checked too."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            deadline = Deadline(0.5)
            bound = store.reader.within(deadline)
            one = sa.select(sa.literal(1))
            await bound.fetch(one)
            await asyncio.sleep(0.6)
            assert (await bound.fetch(one))[0][0] == 1, "time between statements does not count"
            with deadline.running():
                await asyncio.sleep(0.6)
                for late in (bound.fetch(one), asyncio.to_thread(deadline.check)):
                    with pytest.raises(QueryTimeout):
                        await late
            assert (await store.reader.fetch(one))[0][0] == 1, "others have their own"

    asyncio.run(run())


def test_a_question_that_is_given_up_ends(database: Database) -> None:
    """Someone closed the page: many such leave no statement running."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS))
            store.reader.seconds = 600
            for _ in range(10):
                slow = asyncio.create_task(store.reader.fetch(endless(store)))
                await asyncio.sleep(0.05)
                slow.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await slow
            async with asyncio.timeout(60):
                assert (await store.reader.fetch(sa.select(sa.literal(1))))[0][0] == 1

    asyncio.run(run())


def test_a_question_that_is_given_up_before_it_began_ends(database: Database) -> None:
    """On a busy machine: its connections answer others soon, not after hours."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS))
            store.reader.seconds = 60
            one = sa.select(sa.literal(1))
            await asyncio.gather(*(store.reader.fetch(one) for _ in range(4)))
            given_up = [asyncio.create_task(store.reader.fetch(endless(store))) for _ in range(4)]
            await asyncio.sleep(0)
            for each in given_up:
                each.cancel()
            await asyncio.wait(given_up)
            async with asyncio.timeout(30):
                await asyncio.gather(*(store.reader.fetch(one) for _ in range(8)))

    asyncio.run(run())


def test_rows_that_are_given_up_as_they_come_spoil_no_other_question(database: Database) -> None:
    """Someone closed the page just when the first rows were there: the next answers are whole."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS))
            count = sa.select(sa.func.count()).select_from(store.schema.categories["waits"].rows)
            await asyncio.gather(*(store.reader.fetch(count) for _ in range(4)))
            every = sa.select(store.schema.categories["waits"].rows)
            given_up = [asyncio.ensure_future(_first(store, every)) for _ in range(4)]
            await asyncio.sleep(0)
            # The rows arrive between two polls, so that they meet the end of the wait.
            time.sleep(0.1)  # noqa: ASYNC251
            for each in given_up:
                each.cancel()
            await asyncio.wait(given_up)
            answers = await asyncio.gather(*(store.reader.fetch(count) for _ in range(8)))
            assert [answer[0][0] for answer in answers] == [len(ROWS)] * 8

    asyncio.run(run())


async def _first(store: Store, statement: sa.Select[Any]) -> object:
    async for row in store.reader.stream(statement):
        return row
    return None


@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)  # ClickHouse has none
def test_reads_go_on_while_a_transaction_is_open(database: Database) -> None:
    """They see what was committed before it, and nothing of it."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS[:3]))
            rows = store.schema.categories["waits"].rows
            count = sa.select(sa.func.count()).select_from(rows)
            async with store.backend.transaction() as session:
                await session.execute(sa.delete(rows))
                assert (await store.reader.fetch(count))[0][0] == 3
            assert (await store.reader.fetch(count))[0][0] == 0

    asyncio.run(run())


def test_the_read_side_cannot_write(database: Database) -> None:
    """Not by mistake, not by a statement made on purpose."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, ROWS[:1]))
            rows = store.schema.categories["waits"].rows
            for statement in (sa.delete(rows), sa.text("DROP TABLE kscope_rows_waits")):
                with pytest.raises(StoreError):
                    await store.reader.fetch(statement)  # type: ignore[arg-type]
            count = sa.select(sa.func.count()).select_from(rows)
            assert (await store.reader.fetch(count))[0][0] == 1

    asyncio.run(run())
