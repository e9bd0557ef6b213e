"""Each question through Kernelscope, beside the hand-written SQL of the same."""

from __future__ import annotations

import asyncio
import sqlite3
import time
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
GOAL_OF_FLAME_GRAPH = 0.280
HEADING = f"{'question':26} {'answer':>9} {'SQL':>9} {'ratio':>6}   goal    size     read from"


async def measure(store: Store, engine: Engine, asked: Asked, repeat: int) -> bool:
    """Print the best times of both, and return whether the goal is reached."""
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
    ours, sql = min(whole), min(bare)
    print(
        f"{asked.name:26} {1000 * ours:6.0f} ms {1000 * sql:6.0f} ms {ours / sql:6.2f}"
        f" {VERDICTS[ours <= GOAL * sql]:>6} {size / 1e6:6.2f} MB  {source}",
        flush=True,
    )
    return ours <= GOAL * sql


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
    """Print the times of all rows' flame graph on both engines, interleaved."""
    alone = asked.statements("kscope_rows_offcputime", 1)[0]
    best: dict[str, list[float]] = {}
    client = engine.client()
    ways = {
        "ClickHouse through Kernelscope": lambda: answer(stores[0], asked),
        "ClickHouse, groups alone": lambda: _timed(lambda: client.query(alone)),
        "SQLite through Kernelscope": lambda: answer(stores[1], asked),
        "SQLite, groups alone": lambda: _timed(lambda: _on_sqlite(lite, alone)),
    }
    for _ in range(3):
        for name, way in ways.items():
            started = time.perf_counter()
            await way()
            best.setdefault(name, []).append(time.perf_counter() - started)
    client.close()
    print(f"flame graph of all rows: {rows[0]:,}, of SQLite {rows[1]:,}")
    for name, taken in best.items():
        print(f"  {name:32} {1000 * min(taken):7,.0f} ms")
    ours = min(best["ClickHouse through Kernelscope"])
    print(f"  goal {1000 * GOAL_OF_FLAME_GRAPH:.0f} ms  {VERDICTS[ours <= GOAL_OF_FLAME_GRAPH]}")
    return ours <= GOAL_OF_FLAME_GRAPH


async def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - started


def _on_sqlite(path: Path, statement: str) -> None:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.execute("PRAGMA mmap_size=4294967296")
        connection.execute(statement).fetchall()
