"""How long each question takes, beside the bare SQL that finds the same rows.

    python -m benchmarks.query [--rows 1000000] [--stacks 10000] [--repeat 3] [--mariadb]
        [--only one|all] [--hours 5] [--folder F]

A database is filled with off-CPU rows of an hour, whose stacks make a flame graph of about 100,000
nodes: a SQLite file, or with --mariadb a server started for it. Each question goes through the
whole read side, from the request's text to the encoded answer. `bare SQL` is the same grouping by
ids over one connection of the engine's own driver, fetched and thrown away; for a flame graph with
the texts of its stacks. `ratio` is of the two by the clock. `CPU` is the processor time of the
whole process, MariaDB's own not in it; `beyond` is how much more of it an answer takes than the
bare SQL: on a busy machine it says more than the clock.

`changes` and `overview` ask about all data types, in another database: five hours of ten hosts,
with ten million off-CPU rows a day, see `benchmarks.everything`. `first` is the time until the
first line of a stream. Behind `new` are the times of the first run: that of the first question is
of a store that was just opened. With --folder that SQLite file is kept there, and asked again
without being filled.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncmy

from benchmarks import everything
from benchmarks.fleet import Fleet
from kscope.config import MySQL, Settings, SQLite
from kscope.declare.files.catalog import load_catalog
from kscope.declare.types.base import Role, Storage
from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.query.responses import respond, respond_of_all
from kscope.server.garbage_collection import collect_young_only
from kscope.store.housekeeping.loop import roll_up
from kscope.store.open import backend_of
from kscope.store.schema.interning import text_hash
from kscope.store.store import Store
from kscope.store.write.batch import Batch, TableRows
from kscope.store.write.cardinality import NewTextLimits, NewTexts
from tests.mariadb import PASSWORD, USER, install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from kscope.declare.model import Category, Column

BEGIN = 1_795_392_000_000_000  # 2026-11-23T00:00:00Z
HOUR = 3600 * 1_000_000
PROCESSES = [f"process-{i}" for i in range(40)]
HOSTS = [f"host-{i}" for i in range(10)]
BATCH = 100_000
WITHIN = f"WHERE time >= {BEGIN} AND time < {BEGIN + HOUR}"
ROWS = f"FROM kscope_rows_offcputime {WITHIN}"
GROUPED = f"SELECT process, stack, SUM(elapsed) AS v, COUNT(*) AS n {ROWS} GROUP BY process, stack"
STEP = 30 * 1_000_000
BARE = {
    "flamegraph": f"SELECT s.text, k.frames, g.v, g.n FROM ({GROUPED}) AS g"
    " JOIN kscope_string AS s ON s.id = g.process JOIN kscope_stack AS k ON k.id = g.stack",
    "rows": f"SELECT * {ROWS} ORDER BY time DESC, seq DESC LIMIT 100",
    "timeseries": f"SELECT time / {STEP}, process, SUM(elapsed) {ROWS} GROUP BY 1, 2",
    "heatmap": f"SELECT time / {STEP}, CAST(log2(elapsed / count) AS INTEGER), SUM(count) {ROWS}"
    " AND elapsed >= count GROUP BY 1, 2",
    "histogram": f"SELECT CAST(log2(elapsed / count) AS INTEGER), SUM(count) {ROWS}"
    " AND elapsed >= count GROUP BY 1",
    "top": f"SELECT process, SUM(elapsed), COUNT(*) {ROWS} GROUP BY process ORDER BY 2 DESC",
    "hosts": f"SELECT hostname, stack, SUM(elapsed), SUM(count), COUNT(*) {ROWS} GROUP BY 1, 2",
    "values": f"SELECT process, COUNT(*) {ROWS} GROUP BY process",
    "compare": f"{GROUPED} UNION ALL {GROUPED}".replace(
        f"time < {BEGIN + HOUR}", f"time < {BEGIN + HOUR // 2}", 1
    ).replace(f"time >= {BEGIN} AND time < {BEGIN + HOUR}", f"time >= {BEGIN + HOUR // 2}"),
    "quality": f"SELECT hostname, SUM(count) {ROWS} GROUP BY hostname",
    "search": f"SELECT k.frames, g.v, g.n FROM (SELECT stack, SUM(elapsed) AS v, COUNT(*) AS n"
    f" {ROWS} GROUP BY stack) AS g JOIN kscope_stack AS k ON k.id = g.stack",
}
# Expressions that another engine spells differently.
MARIADB = {f"/ {STEP}": f"DIV {STEP}", "AS INTEGER": "AS SIGNED"}
ASKED = {
    "compare": [("from", str(BEGIN + HOUR // 2))],
    "heatmap": [("value", "elapsed")],
    "histogram": [("value", "elapsed")],
    "search": [("text", "leaf_1")],
    "values": [("column", "process")],
}


def folded_stacks(number: int, chance: random.Random) -> list[str]:
    """Paths of a random tree: narrow at the root, wide where work is done."""
    found = set()
    while len(found) < number:
        depth = chance.randint(12, 40)
        frames = [f"fn_{level}_{chance.randint(0, 2 + level // 4)}" for level in range(depth - 8)]
        shared = [f"shared_{chance.randint(0, 60)}" for _ in range(2)]
        leaf = [f"leaf_{chance.randint(0, 3000)}_[k]" for _ in range(3)]
        found.add(";".join([*frames[: depth // 3], *shared, *leaf]))
    return sorted(found)


def batches(category: Category, rows: int, stacks: list[str]) -> Iterator[Batch]:
    chance = random.Random(1)
    ids = {text_hash(text): text for text in stacks}
    keys = list(ids)
    for start in range(0, rows, BATCH):
        size = min(BATCH, rows - start)
        drawn = [chance.randrange(len(keys)) for _ in range(size)]
        columns = [
            values(column, drawn, (start, rows), keys, chance) for column in category.all_columns
        ]
        # One host a row is what the wire cannot say; the store minds only if it has limits.
        yield Batch(b"", [TableRows(category, columns)], ids)


def values(
    column: Column, drawn: list[int], at: tuple[int, int], keys: list[int], chance: random.Random
) -> list[Any]:
    """A column's values for rows of the `drawn` stacks; a stack is always of one process."""
    start, rows = at
    size = len(drawn)
    if column.name == "time":
        return [BEGIN + (start + i) * HOUR // rows for i in range(size)]
    if column.name == "process":
        return [PROCESSES[each % len(PROCESSES)] for each in drawn]
    if column.type.role is Role.STACK:
        return [keys[each] for each in drawn]
    by_name: dict[str, Callable[[], Any]] = {
        "hostname": lambda: chance.choice(HOSTS),
        "pid": lambda: chance.randint(1, 5000),
        "elapsed": lambda: int(chance.lognormvariate(8, 2)) + 1,
        "count": lambda: chance.randint(1, 5),
    }
    if column.name in by_name:
        return [by_name[column.name]() for _ in range(size)]
    empty = "" if column.type.storage in (Storage.STRING_ID, Storage.HISTOGRAM, Storage.TEXT) else 0
    return [empty] * size


async def ask(store: Store, name: str) -> bytes:
    """One question, from its text to its encoded answer."""
    category = store.catalog.get("offcputime")
    assert category is not None
    span = {"from": str(BEGIN), "to": str(BEGIN + HOUR)}
    request = [*(span | dict(ASKED.get(name, ()))).items()]
    question = QUESTIONS[name]
    body = await respond(store.reader, question, question.read(category, request))
    assert isinstance(body.content, bytes)
    return body.content


@dataclass(frozen=True, order=True)
class Taken:
    """Seconds, by the clock and by the processor."""

    wall: float
    cpu: float


class Stopwatch:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Taken:
        return Taken(time.perf_counter() - self._wall, time.process_time() - self._cpu)


class SQLiteFile:
    name = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "kernelscope.db"
        self.kept = self._path.exists()
        self.settings = Settings(SQLite(self._path), query_deadline=300)

    def bare(self, statement: str) -> Taken:
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as connection:
            connection.execute("PRAGMA mmap_size=1073741824")
            watch = Stopwatch()
            connection.execute(statement).fetchall()
            return watch.stop()

    def stop(self) -> None: ...


class MariaDBServer:
    name = "MariaDB"
    kept = False

    def __init__(self, folder: Path) -> None:
        self._server = install(folder)
        self._database = self._server.new_database()
        chosen = MySQL("127.0.0.1", self._server.port, USER, PASSWORD, self._database)
        self.settings = Settings(chosen, query_deadline=300)

    def bare(self, statement: str) -> Taken:
        for ours, theirs in MARIADB.items():
            statement = statement.replace(ours, theirs)
        return asyncio.run(self._bare(statement))

    async def _bare(self, statement: str) -> Taken:
        named = {"host": "127.0.0.1", "port": self._server.port, "db": self._database}
        async with (
            asyncmy.connect(user=USER, password=PASSWORD, **named) as connection,
            connection.cursor() as cursor,
        ):
            watch = Stopwatch()
            await cursor.execute(statement)
            await cursor.fetchall()
            return watch.stop()

    def stop(self) -> None:
        self._server.stop()


Engine = SQLiteFile | MariaDBServer
COLUMNS = ("answer", "bare SQL", "ratio", "CPU", "beyond", "size")
COLUMNS_OF_ALL = ("first", "answer", "CPU", "new: first", "answer", "CPU", "size")


async def run(engine: Engine, rows: int, stacks: int, repeat: int) -> None:
    async with opened(engine) as store:
        category, agent = store.catalog.get("offcputime"), store.catalog.get("agent")
        assert category is not None
        assert agent is not None
        for batch in batches(category, rows, folded_stacks(stacks, random.Random(2))):
            await store.writer.write(batch)
        await store.writer.write(reports(agent))
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},")
        print(f"{engine.name}: {rows:,} rows, {stacks:,} stacks, best of {repeat}")
        print(f"{'question':12} " + " ".join(f"{name:>9}" for name in COLUMNS))
        for name in QUESTIONS:
            await measure(store, engine, name, repeat)


@asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[Store]:
    catalog = load_catalog()
    unlimited = NewTextLimits(NewTexts(0), NewTexts(0))
    store = Store(backend_of(engine.settings), catalog, engine.settings.query_deadline, unlimited)
    await store.connect()
    await store.adopt(catalog)
    try:
        yield store
    finally:
        await store.close()


@dataclass(frozen=True)
class TakenOfAll:
    """A question about so many last minutes: until its first line, and until its last byte."""

    name: str
    minutes: int
    firsts: list[Taken]
    taken: list[Taken]
    size: int


async def run_of_all(engine: Engine, hours: float, repeat: int) -> None:
    """Print the times of questions of all data types, about ten minutes and about an hour."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},")
    print(f"{engine.name}: {hours:g} h, best of {repeat}")
    print(f"{'question':12} {'range':>7} " + " ".join(f"{name:>9}" for name in COLUMNS_OF_ALL))
    for each in await asked_of_all(engine, hours, repeat):
        firsts, taken = each.firsts, each.taken
        best = (min(firsts).wall, min(taken).wall, min(one.cpu for one in taken))
        new = (firsts[0].wall, taken[0].wall, taken[0].cpu)
        texts = [f"{1000 * one:6.0f} ms" for one in (*best, *new)]
        print(f"{each.name:12} {each.minutes:3} min {' '.join(texts)} {each.size / 1e6:6.2f} MB")


async def asked_of_all(engine: Engine, hours: float, repeat: int) -> list[TakenOfAll]:
    minutes = round(hours * 60)
    end = BEGIN + minutes * 60_000_000
    async with opened(engine) as store:
        if not engine.kept:
            await fill(store, minutes)
        watch = Stopwatch()
        if await roll_up(store, end + HOUR):
            print(f"sums in {watch.stop().wall:.0f} s", file=sys.stderr)
        gc.freeze()
        return [
            await ask_all(store, name, (end - length * 60_000_000 - 7_000_000, end), repeat)
            for name, length in (("changes", 10), ("changes", 6), ("overview", 60))
        ]


async def fill(store: Store, minutes: int) -> None:
    rows = 0
    for batch in everything.batches(store.catalog, Fleet(), BEGIN, minutes):
        await store.writer.write(batch)
        rows += len(batch)
    print(f"{rows:,} rows", file=sys.stderr)


async def ask_all(store: Store, name: str, span: tuple[int, int], repeat: int) -> TakenOfAll:
    """Ask one question of all data types."""
    taken, firsts, size = [], [], 0
    for _ in range(repeat):
        watch = Stopwatch()
        asked = OF_ALL[name].read(store.catalog, [("from", str(span[0])), ("to", str(span[1]))])
        body = await respond_of_all(store.reader, OF_ALL[name], asked, stream=True)
        assert not isinstance(body.content, bytes)
        lines = []
        async for line in body.content:
            firsts += [watch.stop()] if not lines else []
            lines.append(line)
        taken.append(watch.stop())
        size = len(lines[-1])
    return TakenOfAll(name, (span[1] - span[0]) // 60_000_000, firsts, taken, size)


def reports(agent: Category) -> Batch:
    """Return the rows that the hosts' agents send about themselves each minute; nothing is lost."""
    known: dict[str, Any] = {"probe": "offcputime", "elapsed": 60_000_000, "row_count": 100}
    moments = [(host, BEGIN + minute * 60_000_000) for host in HOSTS for minute in range(60)]
    columns: list[list[Any]] = []
    for column in agent.all_columns:
        if column.name in ("hostname", "time"):
            columns.append([moment[column.name == "time"] for moment in moments])
        else:
            text = column.type.storage in (Storage.STRING_ID, Storage.HISTOGRAM, Storage.TEXT)
            columns.append([known.get(column.name, "" if text else 0)] * len(moments))
    return Batch(b"", [TableRows(agent, columns)])


async def measure(store: Store, engine: Engine, name: str, repeat: int) -> None:
    whole, alone, size = [], [], 0
    for _ in range(repeat):
        watch = Stopwatch()
        size = len(await ask(store, name))
        whole.append(watch.stop())
        alone.append(await asyncio.to_thread(engine.bare, BARE[name]))
    answer, sql = min(whole), min(alone)
    beyond = min(each.cpu for each in whole) - min(each.cpu for each in alone)
    figures = (
        f"{1000 * answer.wall:6.0f} ms",
        f"{1000 * sql.wall:6.0f} ms",
        f"{answer.wall / sql.wall:9.2f}",
        f"{1000 * answer.cpu:6.0f} ms",
        f"{1000 * beyond:6.0f} ms",
        f"{size / 1e6:6.2f} MB",
    )
    print(f"{name:12} " + " ".join(figures), flush=True)
    if name == "flamegraph":
        nodes = len(json.loads(await ask(store, name))["name"])
        print(f"{'':12} ({nodes:,} nodes)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stacks", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--mariadb", action="store_true")
    parser.add_argument("--hours", type=float, default=5, help="of all data types")
    parser.add_argument("--only", choices=("one", "all"), help="data types that are asked about")
    parser.add_argument("--folder", type=Path, help="where the file of all data types is kept")
    given = parser.parse_args()
    # As the server does.
    collect_young_only()
    runs = {
        "one": lambda engine: run(engine, given.rows, given.stacks, given.repeat),
        "all": lambda engine: run_of_all(engine, given.hours, given.repeat),
    }
    for name in [given.only] if given.only else runs:
        with tempfile.TemporaryDirectory() as new:
            folder = given.folder if given.folder and name == "all" else Path(new)
            folder.mkdir(parents=True, exist_ok=True)
            engine = (MariaDBServer if given.mariadb else SQLiteFile)(folder)
            try:
                asyncio.run(runs[name](engine))
            finally:
                engine.stop()


if __name__ == "__main__":
    main()
