"""Each question through Kernelscope, beside the hand-written SQL of the same."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from benchmarks.on_clickhouse.size import VERDICTS
from kscope.query.questions import QUESTIONS
from kscope.query.responses import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from clickhouse_connect.driver.client import Client

    from benchmarks.on_clickhouse.engine import Engine
    from benchmarks.on_clickhouse.questions import Asked
    from kscope.store.store import Store

GOAL = 1.5
OURS, ON_SQLITE = "ClickHouse through Kernelscope", "SQLite through Kernelscope"
GOAL_OF_FLAME_GRAPH = 0.280
HEADING = f"{'question':26} {'answer':>9} {'SQL':>9} {'ratio':>6}   goal    size     read from"


@dataclass(frozen=True)
class Taken:
    """The seconds of each repetition: the answer's, and those of the SQL beside it."""

    name: str
    source: str
    whole: list[float]
    bare: list[float]
    size: int


async def measure(store: Store, engine: Engine, asked: Asked, repeat: int) -> bool:
    """Print the best times of both, and return whether the goal is reached."""
    taken = await times(store, engine, asked, repeat)
    ours, sql = min(taken.whole), min(taken.bare)
    print(
        f"{taken.name:26} {1000 * ours:6.0f} ms {1000 * sql:6.0f} ms {ours / sql:6.2f}"
        f" {VERDICTS[ours <= GOAL * sql]:>6} {taken.size / 1e6:6.2f} MB  {taken.source}",
        flush=True,
    )
    return ours <= GOAL * sql


async def times(store: Store, engine: Engine, asked: Asked, repeat: int) -> Taken:
    """Ask the question and run the SQL, in turns."""
    found = msgspec.json.decode(await answer(store, asked))
    source = found["meta"]["source"]
    statements = asked.statements(_table(source), int(found.get("step", 1)))
    whole, bare, size = [], [], 0
    client = engine.client()
    try:
        for _ in range(repeat):
            started = time.perf_counter()
            size = len(await answer(store, asked))
            whole.append(time.perf_counter() - started)
            bare.append(await _timed(lambda: by_hand(client, statements, asked)))
    finally:
        client.close()
    return Taken(asked.name, source, whole, bare, size)


async def answer(store: Store, asked: Asked) -> bytes:
    """Ask one question, from its text to its encoded answer."""
    category = store.catalog.get("offcputime")
    assert category is not None
    question = QUESTIONS[asked.question]
    body = await respond(store.reader, question, question.read(category, asked.pairs()))
    assert isinstance(body.content, bytes)
    return body.content


def by_hand(client: Client, statements: Sequence[str], asked: Asked) -> None:
    """Read the groups by their ids, then the texts of the ids, each table's once."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for statement in statements:
        rows = client.query(statement).result_rows
        for place, table in asked.texts.items():
            wanted.setdefault(table, set()).update(_column(rows, place))
    for (table, text), ids in wanted.items():
        listed = ",".join(map(str, ids)) or "0"
        client.query(f"SELECT id, {text} FROM {table} WHERE id IN ({listed})")


def _column(rows: Sequence[Sequence[Any]], place: int) -> set[int]:
    return {row[place] for row in rows if isinstance(row[place], int)}


def _table(source: str) -> str:
    """Return the table that an answer is read from, such as `rollup 1h`."""
    level = source.rpartition("rollup ")[2]
    return "kscope_rows_offcputime" if source == "raw" else f"kscope_rollup_{level}_offcputime"


async def measure_flame_graph(
    stores: tuple[Store, Store], engine: Engine, lite: Path, asked: Asked, rows: tuple[int, int]
) -> bool:
    """Print the times of all rows' flame graph on both engines."""
    taken = await times_of_flame_graph(stores, engine, lite, asked, 3)
    print(f"flame graph of all rows: {rows[0]:,}, of SQLite {rows[1]:,}")
    for name, seconds in taken.items():
        print(f"  {name:32} {1000 * min(seconds):7,.0f} ms")
    ours = min(taken[OURS])
    print(f"  goal {1000 * GOAL_OF_FLAME_GRAPH:.0f} ms  {VERDICTS[ours <= GOAL_OF_FLAME_GRAPH]}")
    return ours <= GOAL_OF_FLAME_GRAPH


async def times_of_flame_graph(
    stores: tuple[Store, Store], engine: Engine, lite: Path, asked: Asked, repeat: int
) -> dict[str, list[float]]:
    """Return the seconds of each way, which take turns."""
    alone = asked.statements("kscope_rows_offcputime", 1)[0]
    taken: dict[str, list[float]] = {}
    client = engine.client()
    ways = {
        OURS: lambda: answer(stores[0], asked),
        "ClickHouse, groups alone": lambda: _timed(lambda: client.query(alone)),
        ON_SQLITE: lambda: answer(stores[1], asked),
        "SQLite, groups alone": lambda: _timed(lambda: _on_sqlite(lite, alone)),
    }
    for _ in range(repeat):
        for name, way in ways.items():
            started = time.perf_counter()
            await way()
            taken.setdefault(name, []).append(time.perf_counter() - started)
    client.close()
    return taken


async def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - started


def _on_sqlite(path: Path, statement: str) -> None:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.execute("PRAGMA mmap_size=4294967296")
        connection.execute(statement).fetchall()
