"""ClickHouse: servers that die at any step, and the engine: each row is there once, and summed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.store.backends import clickhouse
from kscope.store.backends.clickhouse import ClickHouseSession
from kscope.store.backends.errors import BatchInDoubt, StoreError
from kscope.store.housekeeping import close_in_engine
from kscope.store.housekeeping.loop import roll_up
from kscope.store.schema.interning import text_hash
from kscope.store.sums.functions import total, weight
from kscope.store.write import group_commit, steps
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import (
    OVER_STACKS,
    OVER_STRINGS,
    NewTextLimits,
    NewTexts,
)
from kscope.store.write.form import Form, in_form
from tests.databases import ClickHouseDatabase
from tests.store.opened import WAITS, batch, category, opened, opened_store

if TYPE_CHECKING:
    from kscope.declare.model import Category
    from kscope.store.store import Store
    from tests.clickhouse import Node

pytestmark = [pytest.mark.clickhouse, pytest.mark.timeout(400)]
SUMMED = category(f"{WAITS}retention: 90d\nrollup: {{5m: 90d, 1h: 90d}}\n")
HOUR = 3600 * 1_000_000
START = 1_795_392_000_000_000
HOURS = 6
# As long as a statement of a test may take on a busy machine.
WRITE, SETTLED = 4, 12


class DiedError(Exception):
    """The server is gone."""


@dataclass(eq=False)
class World:
    """Two servers over one engine, which die by chance."""

    database: ClickHouseDatabase
    chance: random.Random
    servers: list[Store | None] = field(default_factory=lambda: [None, None])
    deaths: Counter[str] = field(default_factory=Counter)
    is_deadly: bool = True

    async def server(self) -> Store:
        place = self.chance.randrange(2)
        found = self.servers[place]
        if found is None:
            found = self.servers[place] = await opened_store(
                self.database.settings, Catalog((SUMMED,))
            )
        return found

    async def bury(self, dead: Store) -> None:
        self.servers = [None if each is dead else each for each in self.servers]
        await dead.close()

    def step(self, name: str) -> None:
        if self.is_deadly and self.chance.random() < 0.1:
            self.deaths[name] += 1
            raise DiedError(name)

    async def kill_the_engine(self) -> None:
        self.deaths["engine"] += 1
        await asyncio.sleep(self.chance.random() * 0.05)
        await asyncio.to_thread(self.database.server.kill)
        await asyncio.to_thread(self.database.server.start)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "WRITE_SECONDS", WRITE)
    for module in (steps, close_in_engine, clickhouse):
        monkeypatch.setattr(module, "SETTLED_SECONDS", SETTLED)


def some_batches(chance: random.Random, count: int) -> list[Batch]:
    """Return batches of five hosts, of several hours; rows of one may be alike in everything.

    Some have rows without a time, which is that of their arrival.
    """
    found = []
    for number in range(count):
        host = f"h{number % 5}"
        rows: list[list[Any]] = []
        arrived = some_time(chance) + 1 if number % 3 == 0 else 0
        for _ in range(chance.randint(1, 5)):
            time = some_time(chance)
            if arrived and chance.random() < 0.8:
                time = arrived
            process, stack = chance.choice("pq"), chance.choice(["main;a", "main;b"])
            row = [time, host, process, 1, stack, number, chance.choice(["", "1:2"])]
            rows += [row] * chance.choice([1, 1, 2])
        made = batch(SUMMED, rows, number.to_bytes(16, "big"))
        found.append(replace(made, arrived=arrived))
    return found


def some_time(chance: random.Random) -> int:
    return START + chance.randrange(HOURS * 12) * HOUR // 12


async def rows_of(store: Store) -> Counter[tuple[Any, ...]]:
    tables = store.schema.categories["waits"]
    names = [column.name for column in SUMMED.all_columns]
    found = await store.reader.fetch(sa.select(*(tables.rows.c[name] for name in names)))
    return Counter(map(tuple, found))


async def as_sent(store: Store, batches: list[Batch]) -> list[Batch]:
    """Return the batches with the one arrival that their rows without a time have."""
    arrivals: dict[int, set[int]] = {}
    for time, *_, number, _ in await rows_of(store):
        if time % 60_000_000:
            arrivals.setdefault(number, set()).add(time)
    assert all(len(times) == 1 for times in arrivals.values()), arrivals
    found = {number: Form(min(times)) for number, times in arrivals.items()}
    return [in_form(each, found.get(number, Form())) for number, each in enumerate(batches)]


def as_stored(batches: list[Batch], ids: dict[str, int]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for each in batches:
        for rows in each.tables:
            for row in zip(*rows.columns, strict=True):
                time, host, process, *rest = row
                found[time, ids[host], ids[process], *rest] += 1
    return found


async def sums_of(store: Store, level: int) -> dict[Any, tuple[int, int]]:
    tables = store.schema.categories["waits"]
    table = tables.rollups[level].table if level >= 0 else tables.rows
    bucket = sa.literal_column(f"intDiv(time, {HOUR})")
    keys = (bucket, table.c.hostname, table.c.process, table.c.stack)
    select = sa.select(*keys, weight(table), total(table.c.elapsed)).group_by(*keys)
    return {tuple(row[:4]): tuple(row[4:]) for row in await store.reader.fetch(select)}


async def texts_of(store: Store) -> dict[str, int]:
    strings = store.schema.dictionaries.string
    return {
        str(text): int(number)
        for text, number in await store.reader.fetch(sa.select(strings.c.text, strings.c.id))
    }


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch, clickhouse_database: ClickHouseDatabase) -> World:
    """Let a server die before and after each statement that stores something."""
    world = World(clickhouse_database, random.Random(7))
    # Several small commits, two of them side by side.
    monkeypatch.setattr(group_commit, "MAX_GROUP_ROWS", 10)
    monkeypatch.setattr(group_commit, "BESIDE_ROWS", 1)
    append = ClickHouseSession.append
    insert_from = ClickHouseSession.insert_from

    async def appending(self: Any, table: sa.Table, *rest: Any) -> None:
        world.step(f"before {table.name}")
        await append(self, table, *rest)
        world.step(f"after {table.name}")

    async def inserting(self: Any, table: sa.Table, *rest: Any) -> None:
        world.step(f"before sums of {table.name}")
        await insert_from(self, table, *rest)
        world.step(f"after sums of {table.name}")

    monkeypatch.setattr(ClickHouseSession, "append", appending)
    monkeypatch.setattr(ClickHouseSession, "insert_from", inserting)
    return world


@pytest.fixture
def clickhouse_database(clickhouse: Node) -> ClickHouseDatabase:
    return ClickHouseDatabase(clickhouse, clickhouse.new_database())


async def write(world: World, group: list[Batch]) -> list[Batch]:
    """Send some batches to one server; return those that it has acknowledged."""
    died = sum(world.deaths.values())
    try:
        server = await world.server()
    except (DiedError, StoreError):
        return []
    arriving = [in_form(each, Form(some_time(world.chance) + 1)) for each in group]
    writes = [asyncio.ensure_future(server.writer.write(each)) for each in arriving]
    if world.is_deadly and world.chance.random() < 0.05:
        await world.kill_the_engine()
    answers = await asyncio.gather(*writes, return_exceptions=True)
    if sum(world.deaths.values()) > died:
        await world.bury(server)
    pairs = zip(group, answers, strict=True)
    return [each for each, answer in pairs if isinstance(answer, Stored)]


async def close_some(world: World, now: int) -> None:
    died = sum(world.deaths.values())
    try:
        server = await world.server()
        await roll_up(server, now)
    except (DiedError, StoreError):
        pass
    if sum(world.deaths.values()) > died:
        world.servers = [None, None]


async def simulate(world: World) -> None:
    batches = some_batches(world.chance, 40)
    waiting = list(batches)
    for turn in range(600):
        if not waiting:
            break
        # Later on all of them live, so that it ends.
        world.is_deadly = turn < 80
        group = world.chance.sample(waiting, min(len(waiting), world.chance.randint(1, 6)))
        stored = {each.key for each in await write(world, group)}
        waiting = [each for each in waiting if each.key not in stored]
        if stored and world.chance.random() < 0.2:
            # A sender that did not hear the answer.
            again = next(each for each in group if each.key in stored)
            await write(world, [again])
        if turn % 8 == 0:
            await close_some(world, START + (turn // 8 % (HOURS + 2)) * HOUR)
        if not stored:
            await asyncio.sleep(0.1)
    assert not waiting
    world.is_deadly = False
    await check(world, batches)


async def check(world: World, batches: list[Batch]) -> None:
    async with opened(world.database, SUMMED) as store:
        for _ in range(SETTLED * 20):
            await roll_up(store, START + 2 * HOURS * HOUR)
            progress = await store.reader.progress("waits")
            if all(progress[bucket].closed > START + HOURS * HOUR for bucket in (300, 3600)):
                break
            await asyncio.sleep(0.5)
        sent = await as_sent(store, batches)
        assert await rows_of(store) == as_stored(sent, await texts_of(store))
        plain = await sums_of(store, -1)
        assert await sums_of(store, 0) == plain
        assert await sums_of(store, 1) == plain
        stacks = store.schema.dictionaries.stack
        listed = await store.reader.fetch(sa.select(stacks.c.id).distinct())
        assert {key[3] for key in plain} <= {number for (number,) in listed}


def declared(rollup: str) -> Category:
    return category(f"{WAITS}retention: 90d\nrollup: {{{rollup}}}\n")


def test_levels_that_come_later_have_late_rows_too(
    clickhouse_database: ClickHouseDatabase,
) -> None:
    """Rows that were late for another level, and for one that was removed and made again."""
    end = START + 72 * HOUR

    async def check() -> None:
        store = await opened_store(clickhouse_database.settings, Catalog((declared("1h: 90d"),)))
        chance = random.Random(3)
        number = 0

        async def more(count: int) -> None:
            nonlocal number
            (of,) = store.catalog.categories
            for _ in range(count):
                number += 1
                time = START + chance.randrange(HOURS * 12) * HOUR // 12
                row = [time, "h", "p", 1, "main;a", number, "1:2"]
                await store.writer.write(batch(of, [row], number.to_bytes(16, "big")))

        try:
            await more(6)
            await roll_up(store, START + HOURS // 2 * HOUR)
            await more(12)
            for rollup in ("5m: 90d, 1h: 90d", "1h: 90d", "5m: 90d, 1h: 90d, 1d: 90d"):
                await store.adopt(Catalog((declared(rollup),)))
                await more(6)
                await roll_up(store, START + HOURS * HOUR)
                await more(6)
            await roll_up(store, end)
            await more(6)
            plain = await sums_of(store, -1)
            levels = store.schema.categories["waits"].rollups
            assert [await sums_of(store, place) for place in (0, 1)] == [plain, plain]
            assert len(levels) == 3
            days = await sums_of(store, 2)
            assert [sum(column) for column in zip(*days.values(), strict=True)] == [
                sum(column) for column in zip(*plain.values(), strict=True)
            ]
        finally:
            await store.close()

    asyncio.run(check())


def test_no_death_loses_or_doubles_a_row(deadly: World, short_waits: None) -> None:  # noqa: ARG001
    """Two servers and the engine die at any step; senders send again what is not acknowledged."""
    asyncio.run(simulate(deadly))
    assert sum(deadly.deaths.values()) > 20
    assert {"engine", "before kscope_batch", "after kscope_rows_waits"} <= deadly.deaths.keys()


def dying(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """Let a server die before it stores rows of a table."""
    append = ClickHouseSession.append

    async def appending(self: Any, into: sa.Table, *rest: Any) -> None:
        if into.name == table:
            raise DiedError(table)
        await append(self, into, *rest)

    monkeypatch.setattr(ClickHouseSession, "append", appending)


async def sent_until_stored(store: Store, sent: Batch) -> Stored:
    while True:
        try:
            return await store.writer.write(sent)
        except BatchInDoubt:
            await asyncio.sleep(0.5)


def of_texts(texts: list[tuple[str, str, int]], key: bytes) -> Batch:
    """Rows of one host and time."""
    rows = [[START, "h", process, pid, f"main;{stack}", 5, ""] for process, stack, pid in texts]
    return batch(SUMMED, rows, bytes(15) + key)


@pytest.mark.parametrize("died", ["before its rows", "after its rows"])
def test_a_retry_may_bring_texts_that_were_beyond_the_limit(
    clickhouse_database: ClickHouseDatabase,
    monkeypatch: pytest.MonkeyPatch,
    short_waits: None,  # noqa: ARG001
    died: str,
) -> None:
    """An attempt has stored the limit's texts in place of them, and they stay, if it has.

    Rows of another batch may be alike then.
    """
    other = of_texts([("p", "known", 1), ("p", "x", 1), ("p", "y", 1)], b"0")
    sent = of_texts(
        [("p", "a", 1), ("q", "b", 1), ("q", "c", 2), ("q", "d", 3), ("q", "b", 1)], b"1"
    )

    async def check() -> None:
        with monkeypatch.context() as patched:
            async with opened(clickhouse_database, SUMMED) as store:
                # "h", "p" and "main;known" are within them.
                store.writer.limits = NewTextLimits(NewTexts(1), NewTexts(1))
                await store.writer.write(other)
                if died == "before its rows":
                    dying(patched, "kscope_rows_waits")
                else:
                    patched.setattr(steps.Steps, "_note_done", dead)
                with pytest.raises(StoreError):
                    await store.writer.write(sent)
        async with opened(clickhouse_database, SUMMED) as store:
            assert not (await sent_until_stored(store, sent)).duplicate
            found = await rows_of(store)
            assert sum(found.values()) == len(other) + len(sent)
            stacks, processes = text_hash(OVER_STACKS), text_hash(OVER_STRINGS)
            over = Counter(
                {
                    which: sum(found[row] for row in found if row[place] == text)
                    for which, place, text in (("stack", 4, stacks), ("process", 2, processes))
                }
            )
            assert over == {"stack": 2 + 5, "process": 4}

    asyncio.run(check())


async def dead(*_: Any) -> None:
    raise DiedError


def test_rows_that_are_alike_in_another_batch_are_not_taken_for_those_of_this_one(
    clickhouse_database: ClickHouseDatabase,
    monkeypatch: pytest.MonkeyPatch,
    short_waits: None,  # noqa: ARG001
) -> None:
    """Rows of a day are stored whole or not at all, and one of them is not there."""
    first = of_texts([("p", "a", 1), ("p", "a", 1), ("p", "b", 1)], b"0")
    second = of_texts([("p", "a", 1), ("p", "c", 1)], b"1")

    async def check() -> None:
        with monkeypatch.context() as patched:
            async with opened(clickhouse_database, SUMMED) as store:
                await store.writer.write(first)
                dying(patched, "kscope_rows_waits")
                with pytest.raises(StoreError):
                    await store.writer.write(second)
        async with opened(clickhouse_database, SUMMED) as store:
            assert not (await sent_until_stored(store, second)).duplicate
            assert sorted((await rows_of(store)).values()) == [1, 1, 3]

    asyncio.run(check())


def test_a_batch_that_two_servers_leave_to_each_other_is_stored_when_it_comes_again(
    clickhouse: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: neither attempt has stored a row, so none is waited for."""
    database = ClickHouseDatabase(clickhouse, clickhouse.new_database())
    (sent,) = some_batches(random.Random(1), 1)
    note = steps.Steps._note_state

    async def check() -> None:
        together = asyncio.Barrier(2)

        async def note_together(self: steps.Steps, keyed: list[Batch], *rest: Any) -> None:
            await note(self, keyed, *rest)
            await together.wait()

        async with opened(database, SUMMED) as first, opened(database, SUMMED) as second:
            with monkeypatch.context() as patched:
                patched.setattr(steps.Steps, "_note_state", note_together)
                writing = (store.writer.write(sent) for store in (first, second))
                answers = await asyncio.gather(*writing, return_exceptions=True)
            assert all(isinstance(each, BatchInDoubt) for each in answers), answers
            assert not (await second.writer.write(sent)).duplicate
            assert (await first.writer.write(sent)).duplicate
            assert sum((await rows_of(first)).values()) == len(sent)

    asyncio.run(check())
