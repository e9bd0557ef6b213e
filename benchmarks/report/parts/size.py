"""Bytes of a row and of a stack in each engine, with the sums that housekeeping makes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from benchmarks import storage
from benchmarks.fleet import Fleet
from benchmarks.loading import HOUR, TABLE, load_rows, opened
from benchmarks.on_clickhouse import engine as clickhouse
from benchmarks.on_clickhouse import size as on_clickhouse
from benchmarks.query import BEGIN
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, say, take_turns
from benchmarks.scaling import BYTES
from kscope.config import MySQL, Settings, SQLite
from kscope.store.housekeeping.loop import roll_up
from tests import mariadb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOSTS = 10
_ROWS, _STACKS = f"kscope_rows_{TABLE}", "kscope_stack"


@dataclass(frozen=True)
class Result:
    """Bytes by table, its indexes in it; `beside` are those that no table has."""

    rows: int
    stacks: int
    tables: Mapping[str, int]

    def of(self, word: str) -> int:
        return sum(size for name, size in self.tables.items() if word in name)

    @property
    def sums(self) -> int:
        return self.of("kscope_rollup_")

    @property
    def beside(self) -> int:
        """Return the bytes of texts, stacks, batches and all else but rows and sums."""
        return sum(self.tables.values()) - self.sums - self.of(_ROWS)


def measure(options: Options) -> Found:
    # A host has 42,000 rows an hour.
    hours = max(1, round(options.size(840_000, 420_000) / (42_000 * _HOSTS)))
    every: dict[str, tuple[str, Callable[[Path], Result]]] = {
        "sqlite": ("SQLite", partial(_on_sqlite, hours)),
        "mariadb": ("MariaDB", partial(_on_mariadb, hours)),
        "clickhouse": ("ClickHouse", partial(_on_clickhouse, hours)),
    }
    ways = {every[name][0]: every[name][1] for name in options.engines}
    taken: Taken[Result] = take_turns(ways, 1)
    heads = ("engine", "rows", "bytes a row: its columns", "its share of texts, stacks, keys")
    heads += ("both", "its share of sums", "stacks", "bytes a stack")
    lines = tuple(_line(name, each) for name, (each,) in taken.results.items())
    length = f"{hours} hours" if hours > 1 else "An hour"
    title = f"{length} of {_HOSTS} hosts, and sums of five minutes, hours and days"
    note = "MariaDB's are InnoDB's estimates; ClickHouse's are of merged parts."
    facts = {
        f"{name} {BYTES}": _measured((each.of(_ROWS) + each.beside) / each.rows)
        for name, (each,) in taken.results.items()
    }
    table = Table(title, heads, lines, (note,))
    return Found(tables=(table,), facts=facts, failures=tuple(taken.failures))


def _line(name: str, each: Result) -> tuple[str | Measured, ...]:
    own, beside = each.of(_ROWS) / each.rows, each.beside / each.rows
    stack = each.of(_STACKS) / each.stacks
    figures = (each.rows, own, beside, own + beside, each.sums / each.rows, each.stacks, stack)
    return (name, *map(_measured, figures))


def _measured(value: float) -> Measured:
    return Measured((float(value),))


async def _load(settings: Settings, hours: int) -> tuple[int, int]:
    """Store the rows and make the sums; return how many rows and stacks there are."""
    store = await opened(settings)
    try:
        rows = await load_rows(store, Fleet(_HOSTS), storage.Span(BEGIN, BEGIN + hours * HOUR))
        await roll_up(store, BEGIN + 30 * HOUR)
        stacks = store.schema.dictionaries.stack
        ((count,),) = await store.reader.fetch(sa.select(sa.func.count()).select_from(stacks))
        return rows, count
    finally:
        await store.close()


def _on_sqlite(hours: int, folder: Path) -> Result:
    path = folder / "fleet.db"
    rows, stacks = asyncio.run(_load(Settings(database=SQLite(path)), hours))
    return Result(rows, stacks, storage.sizes(path)[1])


def _on_mariadb(hours: int, folder: Path) -> Result:
    server = mariadb.install(folder / "engine", "--innodb-buffer-pool-size=1G")
    try:
        name = server.new_database()
        database = MySQL("127.0.0.1", server.port, mariadb.USER, mariadb.PASSWORD, name)
        rows, stacks = asyncio.run(_load(Settings(database=database), hours))
        listed = server.sql("SHOW TABLES", name).split()
        server.sql(f"ANALYZE TABLE {', '.join(listed)}", name)
        found = server.sql(
            "SELECT table_name, coalesce(data_length + index_length, 0)"
            f" FROM information_schema.tables WHERE table_schema = '{name}'"
        )
    finally:
        server.stop()
    sizes = dict(line.split("\t") for line in found.splitlines())
    return Result(rows, stacks, {table: int(size) for table, size in sizes.items()})


def _on_clickhouse(hours: int, folder: Path) -> Result:
    with (
        clickhouse.throw_away(folder / "node") as engine,
        clickhouse.empty_database(engine, "size") as of,
    ):
        rows, stacks = asyncio.run(_load(of.settings, hours))
        say("merging")
        on_clickhouse.merge(of)
        return Result(rows, stacks, on_clickhouse.by_table(of))
