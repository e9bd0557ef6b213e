"""How long presets and unions take, beside the same questions without them.

    python -m benchmarks.states [--rows 1000000] [--stacks 10000] [--repeat 3]

A SQLite file gets off-CPU rows of an hour, and half as many on-CPU rows, whose stacks are like
those of a fleet. `preset` is the question with "without idle waits"; `union` is that of the
wall clock, beside the sum of those of its two members.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from pathlib import Path

from benchmarks.query import BEGIN, HOUR, SQLiteFile, Stopwatch, batches
from kscope.declare.files.catalog import load_catalog
from kscope.query.questions import QUESTIONS
from kscope.query.responses import respond
from kscope.store.open import backend_of
from kscope.store.store import Store
from kscope.store.write.cardinality import NewTextLimits, NewTexts
from tests.incident.stacks import RUNS, WAITS

IDLE = ("preset", "without idle waits")
ASKED = {
    "flamegraph": [("by", "process")],
    "timeseries": [("by", "process"), ("n", "10")],
    "top": [("by", "process")],
}


def stacks(kinds: list[str], number: int) -> list[str]:
    """Return variations of stacks, each with another frame in the middle."""
    chance = random.Random(3)
    found = set()
    while len(found) < number:
        frames = chance.choice(kinds).split(";")
        frames.insert(len(frames) // 3, f"Class{chance.randint(0, number)}::method(int, char*)")
        found.add(";".join(frames))
    return sorted(found)


async def ask(store: Store, table: str, name: str, *more: tuple[str, str]) -> float:
    """Return the seconds of one question."""
    category = store.catalog.get(table)
    assert category is not None
    request = [("from", str(BEGIN)), ("to", str(BEGIN + HOUR)), *more]
    watch = Stopwatch()
    question = QUESTIONS[name]
    await respond(store.reader, question, question.read(category, request))
    return watch.stop().wall


async def best(store: Store, repeat: int, table: str, name: str, *more: tuple[str, str]) -> float:
    return min([await ask(store, table, name, *more) for _ in range(repeat)])


async def run(folder: Path, rows: int, number: int, repeat: int) -> None:
    engine, catalog = SQLiteFile(folder), load_catalog()
    unlimited = NewTextLimits(NewTexts(0), NewTexts(0))
    store = Store(backend_of(engine.settings), catalog, 300, unlimited)
    await store.connect()
    await store.adopt(catalog)
    try:
        for table, kinds, part in (("offcputime", WAITS, 1), ("profile", RUNS, 2)):
            category = catalog.get(table)
            assert category is not None
            texts = stacks([*kinds.values()], number // part)
            for batch in batches(category, rows // part, texts):
                await store.writer.write(batch)
        print(f"{engine.name}: {rows:,} rows, {number:,} stacks, best of {repeat}")
        print("question        plain   preset  members    union, preset / plain, union / members")
        for name, more in ASKED.items():
            plain = await best(store, repeat, "offcputime", name, *more)
            preset = await best(store, repeat, "offcputime", name, *more, IDLE)
            members = plain + await best(store, repeat, "profile", name, *more)
            by_state = [("by", "state"), *more[1:]]
            union = await best(store, repeat, "wallclock", name, *by_state)
            took = (f"{1000 * each:5.0f} ms" for each in (plain, preset, members, union))
            print(f"{name:12}", *took, f"{preset / plain:6.2f} {union / members:6.2f}")
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stacks", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), given.rows, given.stacks, given.repeat))


if __name__ == "__main__":
    main()
