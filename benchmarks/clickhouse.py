"""ClickHouse under Kernelscope: bytes a row, questions beside hand-written SQL, and ingest.

    python -m benchmarks.clickhouse [--rows 1000000] [--full] [--repeat 5] [--only size ingest ...]
        [--apart] [--clickhouse HOST:PORT --user U --password P --database D]

A day's off-CPU rows of the fleet (benchmarks/fleet.py), a host for each million, go through the
store's own writer, 100 batches a commit, into a throw-away node: today's engine as a library behind
HTTP, or with --clickhouse into new databases of a server. Then

- bytes a row: all of the store's tables, with ids, stacks, strings, keys of batches and the sums of
  all levels, before and after they are merged;
- each question through Kernelscope's read side, from the request's text to the encoded answer,
  beside the SQL that a person who knows the tables writes, over the engine's own driver, with the
  texts of the ids in a second statement; first of rows, before there are sums, then of sums;
- the flame graph of all rows, beside SQLite with a tenth of the rows, or with --full with all;
- ingest: bodies as agents send them, compressed, to `kscope serve`, beside the engine's own
  JSONEachRow inserts of the same rows in the same batches.

`--apart` gives the node the first processor, and Kernelscope with its senders the others: as if
the engine had a machine for itself.

`--only` chooses parts. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.loading import DAY, opened
from benchmarks.on_clickhouse import asking, engine, ingest, size
from benchmarks.on_clickhouse.questions import everything, flame_graph, of_rows
from benchmarks.on_clickhouse.rows import BEGIN, Loaded, Size, load
from kscope.config import ClickHouse, Settings, SQLite
from kscope.server.garbage_collection import collect_young_only
from kscope.store.housekeeping.loop import roll_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.on_clickhouse.engine import Engine
    from kscope.store.store import Store

PARTS = ("size", "questions", "sqlite", "ingest")
_DEADLINE = 300


def main() -> None:
    given = _arguments()
    # As the server does.
    collect_young_only()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        kind = (
            engine.there(_server(given))
            if given.clickhouse
            else engine.throw_away(Path(folder, "node"))
        )
        with _apart(kind) if given.apart else kind as found:
            print(
                f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
                f" load {os.getloadavg()[0]:.1f}, {found.name}",
                flush=True,
            )
            reached = []
            if {*given.only} & {"size", "questions", "sqlite"}:
                with engine.empty_database(found, "rows") as of:
                    reached += asyncio.run(_read(of, Path(folder), given))
            if "ingest" in given.only:
                reached += ingest.measure(
                    found, Path(folder), given.ingest_rows, given.senders, given.repeat
                )
    print(
        f"load {os.getloadavg()[0]:.1f} at the end; {sum(reached)} of {len(reached)} goals reached"
    )
    sys.exit(not all(reached))


@contextmanager
def _apart(kind: AbstractContextManager[Engine]) -> Iterator[Engine]:
    """Start the engine on one processor, and leave it to the engine."""
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    with kind as found:
        os.sched_setaffinity(0, others)
        yield found


async def _read(of: Engine, folder: Path, given: argparse.Namespace) -> list[bool]:
    wanted, day = Size(given.rows), (BEGIN, BEGIN + DAY)
    lite = Settings(SQLite(folder / "lite.db"), query_deadline=_DEADLINE)
    async with stores(of.settings, lite) as (store, beside):
        other = beside if "sqlite" in given.only else None
        loaded, part = await load(wanted, store, other, full=given.full)
        _print_loaded(loaded, store)
        ((stored,),) = of.rows("SELECT count() FROM kscope_rows_offcputime")
        if stored != loaded.rows:
            raise SystemExit(f"of {loaded.rows:,} rows {stored:,} are stored")
        unmerged = size.by_table(of)
        size.merge(of)
        reached = []
        if "questions" in given.only:
            print(f"of rows, before there are sums, best of {given.repeat}\n{asking.HEADING}")
            asked = of_rows(day)
            reached += [await asking.measure(store, of, each, given.repeat) for each in asked]
        if other:
            graph = flame_graph(day)
            both, rows = (store, other), (loaded.rows, part.rows)
            ours = await asking.measure_flame_graph(both, of, folder / "lite.db", graph, rows)
            reached.append(ours)
        started = time.perf_counter()
        await roll_up(store, BEGIN + 2 * DAY)
        print(f"sums in {time.perf_counter() - started:.0f} s", flush=True)
        unmerged = {**size.by_table(of), **unmerged}
        size.merge(of)
        if "size" in given.only:
            reached.append(size.show(of, loaded.rows, unmerged))
        if "questions" in given.only:
            print(f"of sums, best of {given.repeat}\n{asking.HEADING}")
            asked = everything(day)
            reached += [await asking.measure(store, of, each, given.repeat) for each in asked]
        return reached


def _print_loaded(loaded: Loaded, store: Store) -> None:
    print(
        f"{loaded.rows:,} rows by the store's writer: {loaded.rows / loaded.seconds:,.0f} rows/s,"
        f" {sum(store.writer.counters.commits)} commits",
        flush=True,
    )


@asynccontextmanager
async def stores(*settings: Settings) -> AsyncIterator[list[Store]]:
    stores = [await opened(each) for each in settings]
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


def _server(given: argparse.Namespace) -> ClickHouse:
    host, _, port = given.clickhouse.partition(":")
    return ClickHouse(host, int(port or 0), given.user, given.password, database=given.database)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--ingest-rows", type=int, default=500_000)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--full", action="store_true", help="all rows in SQLite too")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--apart", action="store_true", help="a processor for the node alone")
    parser.add_argument("--folder", type=Path, help="where a throw-away node has its data")
    parser.add_argument("--clickhouse", help="HOST:PORT of a server, in place of a node")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--database", default="kscope", help="what new databases' names begin with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
