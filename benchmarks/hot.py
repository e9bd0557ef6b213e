"""The work that a server adds to the SQL of hosts and of a large flame graph.

    python -m benchmarks.hot [--rows 1000000] [--stacks 10000] [--pairs 5] [--sums]

The rows are those of `benchmarks.query`: their flame graph has about 100,000 nodes. A real server
answers over HTTP, encoded and compressed. Each answer is paired with the bare statement, over one
connection of Python's driver, at once after it. `ratio` is the median of the pairs' ratios by the
clock, with the least and the largest. `beyond` is how much more processor time the server takes for
an answer than the bare statement does, the median of the pairs. `first` is the first answer of a
server that has just started, by the clock. With --sums the questions are answered from sums of the
hour, and so is the bare statement; without, the category has none.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.query import BARE, BEGIN, HOUR, Taken, batches, folded_stacks
from kscope.config import Settings, SQLite
from kscope.declare.files.catalog import load_catalog
from kscope.store.housekeeping.loop import roll_up
from kscope.store.open import backend_of
from kscope.store.store import Store
from kscope.store.write.cardinality import NewTextLimits, NewTexts
from tests import serving as running
from tests.serving import Serving, few, serving

QUESTIONS = ("hosts", "flamegraph")
# A client on another machine, whose answer is compressed.
AFAR = {"Accept-Encoding": "gzip", "X-Forwarded-For": "192.0.2.1"}


def configured(folder: Path, *, sums: bool) -> list[str | Path]:
    """Return the options of a server with the off-CPU category alone, which keeps its rows."""
    options = few(folder)
    file = folder / "few/categories/offcputime.yaml"
    dropped = ("retention:",) if sums else ("retention:", "rollup:")
    kept = [line for line in file.read_text().splitlines() if not line.startswith(dropped)]
    file.write_text("\n".join(kept) + "\n")
    return options


async def fill(folder: Path, path: Path, rows: int, stacks: int) -> None:
    catalog = load_catalog([folder / "few/categories"])
    unlimited = NewTextLimits(NewTexts(0), NewTexts(0))
    store = Store(backend_of(Settings(SQLite(path))), catalog, 300, unlimited)
    await store.connect()
    await store.adopt(catalog)
    try:
        category = catalog.categories[0]
        for batch in batches(category, rows, folded_stacks(stacks, random.Random(2))):
            await store.writer.write(batch)
        await roll_up(store)
    finally:
        await store.close()


def processor_time(pid: int) -> float:
    """Return the seconds that all threads of a process have run."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def answered(server: Serving, name: str) -> Taken:
    pid = server.process.pid
    wall, cpu = time.perf_counter(), processor_time(pid)
    span = {"from": BEGIN, "to": BEGIN + HOUR}
    answer = server.client.get(f"{server.read}/api/v1/{name}/offcputime", params=span, headers=AFAR)
    answer.raise_for_status()
    return Taken(time.perf_counter() - wall, processor_time(pid) - cpu)


def bare(path: Path, statement: str) -> Taken:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.execute("PRAGMA mmap_size=1073741824")
        wall, cpu = time.perf_counter(), time.process_time()
        connection.execute(statement).fetchall()
        return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def report(name: str, first: Taken, pairs: list[tuple[Taken, Taken]]) -> None:
    ratios = sorted(answer.wall / sql.wall for answer, sql in pairs)
    beyond = statistics.median(answer.cpu - sql.cpu for answer, sql in pairs)
    medians = (statistics.median(each.wall for each in side) for side in zip(*pairs, strict=True))
    figures = (f"{1000 * each:6.0f} ms" for each in (first.wall, *medians))
    spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(
        f"{name:12}",
        *figures,
        f"{statistics.median(ratios):6.2f}",
        spread,
        f"{1000 * beyond:6.0f} ms",
    )


def run(folder: Path, given: argparse.Namespace) -> None:
    path, options = folder / "kernelscope.db", configured(folder, sums=given.sums)
    asyncio.run(fill(folder, path, given.rows, given.stacks))
    # A fork of this process would have loaded more than a server has.
    running.PROGRAM = (sys.executable, "-m", "kscope")
    print(f"SQLite {sqlite3.sqlite_version}, {given.rows:,} rows, {given.stacks:,} stacks,")
    print(f"{given.pairs} pairs, load {os.getloadavg()[0]:.1f}")
    print(
        f"{'question':12} {'first':>9} {'answer':>9} {'bare SQL':>9}  ratio {'beyond':>24}",
        flush=True,
    )
    for name in QUESTIONS:
        table = "kscope_rollup_1h_offcputime" if given.sums else "kscope_rows_offcputime"
        statement = BARE[name].replace("kscope_rows_offcputime", table)
        with serving(folder, *options, "--sqlite", path) as server:
            first = answered(server, name)
            pairs = [(answered(server, name), bare(path, statement)) for _ in range(given.pairs)]
        report(name, first, pairs)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stacks", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--sums", action="store_true", help="ask where the hour is summed")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), parser.parse_args())


if __name__ == "__main__":
    main()
