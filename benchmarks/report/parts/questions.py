"""Every question of one data type: of rows and of sums, beside bare SQL and DuckDB."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np

from benchmarks import query
from benchmarks.query import BARE, BEGIN, HOUR, STEP, SQLiteFile, Stopwatch, Taken
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, say
from kscope.query.questions import QUESTIONS
from kscope.server.garbage_collection import collect_young_only
from kscope.store.housekeeping.loop import roll_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kscope.store.store import Store

    Beside = Callable[[str], Iterator[tuple[str, Callable[[], Taken]]]]

_TABLE = "kscope_rows_offcputime"
_COPIED = (_TABLE, "kscope_string", "kscope_stack")
_CHUNK = 200_000
_DUCKDB = {f"/ {STEP}": f"// {STEP}", "elapsed / count": "elapsed // count"}
# Of other questions the bare statement over sums would not find the same.
_OF_SUMS = ("flamegraph", "top", "hosts", "values", "compare", "search")
OURS, SQL, DUCK = "ours", "SQL", "DuckDB"


def measure(options: Options) -> Found:
    # As the server does.
    collect_young_only()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), options))


async def _measure(folder: Path, options: Options) -> Found:
    rows, stacks = options.rows[0], 1_000 if options.is_quick else 10_000
    engine = SQLiteFile(folder)
    async with query.opened(engine) as store:
        await _fill(store, rows, stacks)
        say("rows are stored")
        with duckdb.connect(str(folder / "duck.db")) as duck:
            _copy(folder / "kernelscope.db", duck)
            say("DuckDB has the same rows")
            raw = await _asked(store, [*QUESTIONS], options.repeat, _beside(engine, duck))
        nodes = len(msgspec.json.decode(await query.ask(store, "flamegraph"))["name"])
        watch = Stopwatch()
        await roll_up(store, BEGIN + 2 * HOUR)
        say(f"sums are made, in {watch.stop().wall:.0f} s")
        sources = {name: await _source(store, name) for name in QUESTIONS}
        summed = [name for name, source in sources.items() if source != "raw"]
        sums = await _asked(store, summed, options.repeat, _beside_sums(engine, sources))
    note = f"{stacks:,} stacks; the flame graph has {nodes:,} nodes."
    tables = (_of_rows(rows, raw, note), _of_sums(rows, raw, sums, sources))
    return Found(tables, facts=_facts(raw, sums), engines={"DuckDB": duckdb.__version__})


async def _fill(store: Store, rows: int, stacks: int) -> None:
    category, agent = store.catalog.get("offcputime"), store.catalog.get("agent")
    assert category is not None
    assert agent is not None
    texts = query.folded_stacks(stacks, random.Random(2))
    for batch in query.batches(category, rows, texts):
        await store.writer.write(batch)
    await store.writer.write(query.reports(agent))


def _copy(path: Path, duck: duckdb.DuckDBPyConnection) -> None:
    """Copy the tables that the statements read, in the order in which SQLite has their rows."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as lite:
        for table in _COPIED:
            columns = lite.execute(f"SELECT name, type FROM pragma_table_info('{table}')")
            kinds = {name: "BIGINT" if "INT" in kind else "VARCHAR" for name, kind in columns}
            listed = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
            duck.execute(f"CREATE TABLE {table} ({listed})")
            cursor = lite.execute(f"SELECT * FROM {table}")
            while found := cursor.fetchmany(_CHUNK):
                _insert(duck, table, kinds, found)


def _insert(
    duck: duckdb.DuckDBPyConnection,
    table: str,
    kinds: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
) -> None:
    of_kind = {"BIGINT": np.int64, "VARCHAR": object}
    chunk = {
        name: np.array(column, dtype=of_kind[kind])
        for (name, kind), column in zip(kinds.items(), zip(*rows, strict=True), strict=True)
    }
    duck.register("chunk", chunk)
    duck.execute(f"INSERT INTO {table} SELECT * FROM chunk")
    duck.unregister("chunk")


Asked = dict[str, dict[str, list[Taken]]]


async def _asked(store: Store, names: Sequence[str], repeat: int, beside: Beside) -> Asked:
    """Ask these questions, and run the ways beside them, in turns."""
    taken: Asked = {name: defaultdict(list) for name in names}
    for _ in range(repeat):
        for name in taken:
            watch = Stopwatch()
            await query.ask(store, name)
            taken[name][OURS].append(watch.stop())
            for way, run in beside(name):
                taken[name][way].append(await asyncio.to_thread(run))
        say("every question was asked")
    return taken


def _beside(engine: SQLiteFile, duck: duckdb.DuckDBPyConnection) -> Beside:
    def ways(name: str) -> Iterator[tuple[str, Callable[[], Taken]]]:
        yield SQL, lambda: engine.bare(BARE[name])
        yield DUCK, lambda: _on_duckdb(duck, BARE[name])

    return ways


def _on_duckdb(duck: duckdb.DuckDBPyConnection, statement: str) -> Taken:
    for ours, theirs in _DUCKDB.items():
        statement = statement.replace(ours, theirs)
    watch = Stopwatch()
    duck.cursor().execute(statement).fetchall()
    return watch.stop()


def _beside_sums(engine: SQLiteFile, sources: Mapping[str, str]) -> Beside:
    def ways(name: str) -> Iterator[tuple[str, Callable[[], Taken]]]:
        level = sources[name].rpartition("rollup ")[2]
        if name in _OF_SUMS and "rollup" in sources[name] and " + " not in sources[name]:
            statement = BARE[name].replace("COUNT(*)", "SUM(kscope_rows)")
            statement = statement.replace(_TABLE, f"kscope_rollup_{level}_offcputime")
            yield SQL, lambda: engine.bare(statement)

    return ways


async def _source(store: Store, name: str) -> str:
    answer = msgspec.json.decode(await query.ask(store, name))
    return str(answer.get("meta", {}).get("source", ""))


# Tables


def _ms(taken: Sequence[Taken]) -> Measured:
    return Measured(tuple(1000 * each.wall for each in taken))


def _cpu(taken: Sequence[Taken]) -> Measured:
    return Measured(tuple(1000 * each.cpu for each in taken))


def _of_rows(rows: int, raw: Asked, note: str) -> Table:
    columns = ("question", "answer, ms", "bare SQL, ms", "times SQL", "CPU beyond SQL, ms")
    lines = []
    for name, ways in raw.items():
        ours, sql, duck = _ms(ways[OURS]), _ms(ways[SQL]), _ms(ways[DUCK])
        beyond = _cpu(ways[OURS]).minus(_cpu(ways[SQL]))
        lines.append((name, ours, sql, ours.over(sql), beyond, duck, ours.over(duck)))
    heads = (*columns, "DuckDB, ms", "times DuckDB")
    return Table(f"Of {rows:,} rows, without sums", heads, tuple(lines), (note,))


def _of_sums(rows: int, raw: Asked, sums: Asked, sources: Mapping[str, str]) -> Table:
    heads = ("question", "answer, ms", "bare SQL of the sums, ms", "times SQL")
    lines = []
    for name, ways in sums.items():
        ours = _ms(ways[OURS])
        has_sql = SQL in ways
        sql = _ms(ways[SQL]) if has_sql else ""
        ratio = ours.over(_ms(ways[SQL])) if has_sql else ""
        faster = _ms(raw[name][OURS]).over(ours)
        lines.append((name, ours, sql, ratio, faster, sources[name]))
    heads = (*heads, "times as fast as without sums", "read from")
    note = "The other questions have steps or sizes that only rows tell: they take the same time."
    return Table(f"Of {rows:,} rows, with sums", heads, tuple(lines), (note,))


def _facts(raw: Asked, sums: Asked) -> dict[str, Measured]:
    facts = {}
    for name, ways in raw.items():
        facts[f"{name} of rows"] = _ms(ways[OURS])
        facts[f"{name} by DuckDB"] = _ms(ways[DUCK])
        facts[f"{name} / SQL"] = _ms(ways[OURS]).over(_ms(ways[SQL]))
        facts[f"{name} beyond SQL"] = _cpu(ways[OURS]).minus(_cpu(ways[SQL]))
    return facts | {f"{name} of sums": _ms(ways[OURS]) for name, ways in sums.items()}
