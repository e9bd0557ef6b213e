"""How large rows are, and how fast questions over long ranges are answered.

    python -m benchmarks.storage [--hours 24] [--hosts 10] [--mysql HOST ...]

Loads a fleet's rows through the store's writer, sums them by its own housekeeping, and asks a real
server over HTTP. Beside each answer stands the engine's own time for the bare statement, in this
run, on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from benchmarks.fleet import MINUTE, Fleet, Pair
from kscope.config import MySQL, Settings, SQLite
from kscope.declare.catalog import load_catalog
from kscope.declare.columns import Role
from kscope.declare.model import Catalog
from kscope.store import upkeep
from kscope.store.base import Batch, TableRows
from kscope.store.interning import text_hash
from kscope.store.open import engine_of
from kscope.store.planner import SECOND
from kscope.store.statements import bulk_insert
from kscope.store.store import Store
from kscope.store.writer import today
from tests.mariadb import PASSWORD, USER, MariaDB, install
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import httpx

    from benchmarks.fleet import Minute

TABLE = "offcputime"
HOUR = 3600 * SECOND
DAY = 24 * HOUR
RUNS = 7


@dataclass(frozen=True)
class Span:
    start: int
    stop: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where the data goes; kept when given")
    parser.add_argument(
        "--mysql-hours", type=int, default=2, help="of the same for MariaDB; 0: none"
    )
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {_cpu()}, load {os.getloadavg()[0]:.1f},"
        f" Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        on_sqlite(folder, options.hosts, options.hours)
        if options.mysql_hours:
            on_mariadb(folder, options.hosts, options.mysql_hours)


def on_sqlite(folder: Path, hosts: int, hours: int) -> None:
    path = folder / "fleet.db"
    settings = Settings(database=SQLite(path))
    # Whole days that ended long enough ago for every bucket to be closed.
    end = (time.time_ns() // 1000 // DAY) * DAY
    day = Span(end - hours * HOUR, end)
    print(f"\nSQLite, {hosts} hosts, {hours} h")
    if not path.exists():
        asyncio.run(load(settings, hosts, day))
    size(path)
    with (
        sqlite3.connect(f"file:{path}?mode=ro", uri=True) as bare,
        server(settings, folder) as http,
    ):
        bare.execute("PRAGMA mmap_size=1073741824")
        bare.execute("PRAGMA cache_size=-65536")
        questions(http, day, lambda text: bare.execute(text).fetchall())


def on_mariadb(folder: Path, hosts: int, hours: int) -> None:
    engine = install(folder / "mariadb") if not (folder / "mariadb").exists() else None
    if engine is None:
        print("\nMariaDB: its folder is there already; name a fresh one")
        return
    try:
        _on_mariadb(engine, folder, hosts, hours)
    finally:
        engine.stop()


def _on_mariadb(engine: MariaDB, folder: Path, hosts: int, hours: int) -> None:
    engine.sql("SET GLOBAL innodb_buffer_pool_size=1073741824")
    name = engine.new_database()
    settings = Settings(database=MySQL("127.0.0.1", engine.port, USER, PASSWORD, name))
    end = (time.time_ns() // 1000 // DAY) * DAY
    span = Span(end - hours * HOUR, end)
    print(f"\nMariaDB {engine.sql('SELECT @@version').strip()}, {hosts} hosts, {hours} h")
    asyncio.run(load(settings, hosts, span))
    sizes = engine.sql(
        "ANALYZE TABLE kscope_rows_offcputime; SELECT table_rows, data_length + index_length FROM"
        " information_schema.tables WHERE table_name = 'kscope_rows_offcputime'"
        f" AND table_schema = '{name}'",
        name,
    )
    rows, length = (int(value) for value in sizes.split()[-2:])
    print(f"  {length / rows:.0f} B/row (InnoDB's estimate)")
    with server(settings, folder) as http:
        questions(http, span, lambda text: engine.sql(text, name).splitlines())


async def load(settings: Settings, hosts: int, day: Span) -> None:
    """Rows as agents send them, then their sums, then thirty earlier days as sums alone."""
    catalog = Catalog(tuple(c for c in load_catalog() if c.table == TABLE))
    store = Store(engine_of(settings), catalog)
    await store.open()
    try:
        await _rows(store, hosts, day)
        started = time.perf_counter()
        await upkeep.roll_up(store)
        print(f"  sums: {time.perf_counter() - started:.1f} s")
        await _earlier_days(store, hosts, day)
    finally:
        await store.close()


async def _rows(store: Store, hosts: int, day: Span) -> None:
    started = time.perf_counter()
    minutes = (day.stop - day.start) // MINUTE
    rows = 0
    # Within a minute all hosts send at once, as a fleet does: the writer merges them.
    together: list[Batch] = []
    for number, minute in enumerate(Fleet(hosts).minutes(day.start, minutes), 1):
        together.append(_batch(store, minute))
        if len(together) == hosts:
            await asyncio.gather(*(store.writer.write(batch) for batch in together))
            rows += sum(map(len, together))
            together.clear()
        if number % (60 * hosts) == 0:
            print(f"  {number // (60 * hosts)} h loaded", file=sys.stderr)
    seconds = time.perf_counter() - started
    print(f"  {rows:,} rows loaded in {seconds:.0f} s, {store.writer.counters.commits} commits")


def _batch(store: Store, minute: Minute) -> Batch:
    category = store.catalog.categories[0]
    pairs = minute.pairs
    rows = len(pairs)
    ids = {pair.stack: text_hash(pair.stack) for pair in set(pairs)}
    columns: dict[str, Sequence[Any]] = {
        "time": [minute.time] * rows,
        "hostname": [minute.host] * rows,
        "process": [pair.process for pair in pairs],
        "pid": [pair.pid for pair in pairs],
        "tid": [0] * rows,
        "reason": [pair.reason for pair in pairs],
        "cgroup": [f"/system.slice/{pair.process}.service" for pair in pairs],
        "stack": [ids[pair.stack] for pair in pairs],
        "elapsed": minute.elapsed,
        "count": minute.count,
    }
    empty = [""] * rows  # the histogram of an agent that keeps none
    ordered = [columns.get(column.name, empty) for column in category.all_columns]
    return Batch(b"", [TableRows(category, ordered)], {key: text for text, key in ids.items()})


async def _earlier_days(store: Store, hosts: int, day: Span) -> None:
    """Thirty days of daily sums, as the housekeeping would have left them."""
    daily = next(r for r in store.schema.categories[TABLE].rollups if r.rollup.bucket == 86400)
    strings, stacks = store.schema.dictionaries.string, store.schema.dictionaries.stack
    known = dict(await store.reader.fetch(sa.select(strings.c.text, strings.c.id)))
    names = [c.name for c in daily.table.columns]
    histograms = {c.name: "" for c in store.catalog.categories[0].with_role(Role.HISTOGRAM)}
    every = {text_hash(text): text for text in Fleet(hosts).stacks}
    async with store.engine.transaction() as session:
        insert = bulk_insert(stacks, ("id", "day", "frames"), session.dialect, update="day")
        await session.insert(insert, (list(every), [today()] * len(every), list(every.values())))
        insert = bulk_insert(daily.table, names, session.dialect)
        for back in range(1, 31):
            start = day.start - day.start % DAY - back * DAY
            rows = [
                histograms | _daily_row(pair, start, seq, known, f"web-{host:03}")
                for host in range(hosts)
                for seq, pair in enumerate(Fleet(hosts).pairs(host), 1_000_000 * (host + 1))
                if pair.process in known
            ]
            columns = [[row[name] for row in rows] for name in names]
            await session.insert(insert, columns)


def _daily_row(
    pair: Pair, start: int, seq: int, known: dict[str, int], host: str
) -> dict[str, Any]:
    waits = 1 + seq % 700
    return {
        "time": start,
        "seq": seq,
        "hostname": known[host],
        "process": known[pair.process],
        "reason": known[pair.reason],
        "cgroup": known[f"/system.slice/{pair.process}.service"],
        "stack": text_hash(pair.stack),
        "elapsed": waits * 20_000,
        "count": waits * 3,
        "kscope_rows": waits,
    }


def size(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (rows,) = connection.execute(f"SELECT count(*) FROM kscope_rows_{TABLE}").fetchone()
        parts = dict(
            connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall()
        )
    bytes_per_row = parts[f"kscope_rows_{TABLE}"] / rows
    shared = sum(parts[name] for name in parts if name in ("kscope_stack", "kscope_string"))
    sums = sum(length for name, length in parts.items() if "rollup" in name)
    print(
        f"  rows {bytes_per_row:.1f} B/row; with strings and stacks"
        f" {(parts[f'kscope_rows_{TABLE}'] + shared) / rows:.1f} B/row  (target 56)"
    )
    print(f"  sums {sums / 2**20:.1f} MiB, file {path.stat().st_size / 2**20:.0f} MiB")


@dataclass(frozen=True)
class Question:
    """A flame graph, the table that should answer it, and in how many ms."""

    name: str
    span: Span
    table: str
    target: int
    host: str = ""

    @property
    def bare(self) -> str:
        """What the engine has to do at the least."""
        one = f" AND hostname = (SELECT id FROM kscope_string WHERE text = '{self.host}')"
        return (
            f"SELECT process, stack, sum(elapsed) FROM {self.table} WHERE time >= {self.span.start}"
            f" AND time < {self.span.stop}{one if self.host else ''} GROUP BY process, stack"
        )

    @property
    def parameters(self) -> dict[str, str | int]:
        host = {"hostname": self.host} if self.host else {}
        return {"from": self.span.start, "to": self.span.stop, **host}


def questions(http: Serving, day: Span, bare: Callable[[str], Any]) -> None:
    noon = day.start + (day.stop - day.start) // HOUR // 2 * HOUR
    midnight = day.start - day.start % DAY
    # Off by an hour on both sides, so that the daily sums do not fit.
    hours = Span(day.start + HOUR, day.stop - HOUR) if day.stop - day.start > 3 * HOUR else day
    month = Span(midnight - 30 * DAY, midnight)
    hour = Span(noon + 1, noon + HOUR - 1)
    name = f"{(hours.stop - hours.start) // HOUR} h of all hosts"
    print("  flame graph              answer  on the wire  bare SQL   target")
    for question in (
        Question(name, hours, f"kscope_rollup_1h_{TABLE}", 300),
        Question("30 days of all hosts", month, f"kscope_rollup_1d_{TABLE}", 500),
        Question("one hour of one host", hour, f"kscope_rows_{TABLE}", 100, "web-003"),
    ):
        _ask(http, question, bare)


def _ask(http: Serving, question: Question, bare: Callable[[str], Any]) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(http.get(f"/api/v1/flamegraph/{TABLE}", **question.parameters))
        answers[-1].raise_for_status()

    own = _median(lambda: bare(question.bare))
    wire = _median(ask)
    meta = answers[-1].json()["meta"]
    elapsed = statistics.median(answer.json()["meta"]["elapsed_ms"] for answer in answers)
    print(
        f"  {question.name:22} {elapsed:6.0f} ms {wire:9.0f} ms {own:6.0f} ms"
        f" {question.target:5} ms   {meta['source']}, {meta['rows']:,} rows"
    )


def server(settings: Settings, folder: Path) -> Any:
    database = settings.database
    if isinstance(database, SQLite):
        return serving(folder, "--sqlite", database.path)
    return serving(
        folder,
        "--mysql",
        database.host,
        "--dbport",
        str(database.port),
        "--dbuser",
        database.user,
        "--dbpassword",
        database.password,
        "--dbname",
        database.database,
    )


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _cpu() -> str:
    lines: Iterator[str] = iter(Path("/proc/cpuinfo").read_text().splitlines())
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    random.seed(1)
    main()
