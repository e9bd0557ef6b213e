"""ClickHouse under Kernelscope: questions beside hand-written SQL, a flame graph beside SQLite."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.clickhouse import stores
from benchmarks.loading import DAY
from benchmarks.on_clickhouse import asking, engine
from benchmarks.on_clickhouse.questions import everything, flame_graph, of_rows
from benchmarks.on_clickhouse.rows import BEGIN, Size, load
from benchmarks.on_clickhouse.size import by_table, merge
from benchmarks.report.commands import printed
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, say
from benchmarks.scaling import GRAPH
from kscope.config import Settings, SQLite
from kscope.server.garbage_collection import collect_young_only
from kscope.store.housekeeping.loop import roll_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.on_clickhouse.engine import Engine

_DEADLINE = 300


def measure(options: Options) -> Found:
    # As the server does.
    collect_young_only()
    rows = options.size(10_000_000, 100_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        engine.throw_away(Path(folder, "node")) as node,
        engine.empty_database(node, "rows") as of,
    ):
        found = asyncio.run(_asked(of, Path(folder), rows, options.repeat))
    ingest = 20_000 if options.is_quick else 500_000
    command = f"benchmarks.clickhouse --only ingest --repeat {options.repeat}"
    apart = printed(f"{command} --ingest-rows {ingest} --apart")
    return msgspec.structs.replace(found, outputs=apart.outputs, failures=apart.failures)


async def _asked(of: Engine, folder: Path, rows: int, repeat: int) -> Found:
    day = (BEGIN, BEGIN + DAY)
    lite = Settings(SQLite(folder / "lite.db"), query_deadline=_DEADLINE)
    async with stores(of.settings, lite) as (store, beside):
        whole, _ = await load(Size(rows), store, beside, full=True)
        say(f"{whole.rows:,} rows are stored twice")
        merge(of)
        raw = [await asking.times(store, of, each, repeat) for each in of_rows(day)]
        both, graph = (store, beside), flame_graph(day)
        graphs = await asking.times_of_flame_graph(both, of, folder / "lite.db", graph, repeat)
        say("questions of rows were asked")
        await roll_up(store, BEGIN + 2 * DAY)
        merge(of)
        sums = [await asking.times(store, of, each, repeat) for each in everything(day)]
        sizes = _sizes(of, whole.rows)
    count = f"{whole.rows:,} rows"
    tables = (
        _questions(f"{of.name}: {count}, before there are sums", raw),
        _questions(f"{of.name}: {count}, with sums", sums),
        _graphs(f"Flame graph of all {count}, without sums", graphs),
        sizes,
    )
    return Found(tables, facts=_facts(graphs, whole.rows))


def _ms(seconds: Sequence[float]) -> Measured:
    return Measured(tuple(1000 * each for each in seconds))


def _questions(title: str, taken: Sequence[asking.Taken]) -> Table:
    heads = ("question", "answer, ms", "SQL by hand, ms", "times SQL", "read from")
    rows = tuple(
        (
            each.name,
            _ms(each.whole),
            _ms(each.bare),
            _ms(each.whole).over(_ms(each.bare)),
            each.source,
        )
        for each in taken
    )
    return Table(title, heads, rows, (f"The goal is at most {asking.GOAL} times the SQL.",))


def _graphs(title: str, taken: Mapping[str, Sequence[float]]) -> Table:
    ours = _ms(taken[asking.OURS])
    rows = tuple((name, _ms(each), _ms(each).over(ours)) for name, each in taken.items())
    return Table(title, ("way", "ms", f"times {asking.OURS}"), rows)


def _sizes(of: Engine, rows: int) -> Table:
    each = {name: size / rows for name, size in by_table(of).items() if size / rows >= 0.005}
    lines = tuple((f"`{name}`", Measured((size,))) for name, size in each.items())
    total = ("all", Measured((sum(each.values()),)))
    return Table(
        f"Bytes on disk by table, for each of {rows:,} rows", ("table", "bytes"), (*lines, total)
    )


def _facts(taken: Mapping[str, Sequence[float]], rows: int) -> dict[str, Measured]:
    """Return the seconds of flame graphs, for ten million rows."""
    ways = {"ClickHouse": asking.OURS, "SQLite": asking.ON_SQLITE}
    return {
        f"{name} {GRAPH}": Measured(tuple(taken[way])).times(1e7 / rows)
        for name, way in ways.items()
    }
