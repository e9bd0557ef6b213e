"""Questions of all data types: what changed, and the overview."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.query import SQLiteFile, asked_of_all
from benchmarks.report.results import Cell, Found, Measured, Table
from benchmarks.report.turns import Options
from kscope.server.garbage_collection import collect_young_only

if TYPE_CHECKING:
    from benchmarks.query import TakenOfAll


def measure(options: Options) -> Found:
    # As the server does.
    collect_young_only()
    hours = 0.5 if options.is_quick else 4.5
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(asked_of_all(SQLiteFile(Path(folder)), hours, options.repeat + 1))
    heads = ("question", "minutes", "first lines, ms", "answer, ms", "CPU, ms", "MB")
    heads += ("the first time: lines, ms", "answer, ms", "CPU, ms")
    title = f"{hours:g} hours of ten hosts and all data types, SQLite"
    return Found(tables=(Table(title, heads, tuple(map(_row, found))),))


def _row(each: TakenOfAll) -> tuple[Cell, ...]:
    """Return the figures of later times, and those of the first one."""
    columns = (
        [1000 * taken.wall for taken in each.firsts],
        [1000 * taken.wall for taken in each.taken],
        [1000 * taken.cpu for taken in each.taken],
    )
    later = (Measured(tuple(column[1:])) for column in columns)
    first = (Measured((column[0],)) for column in columns)
    return (each.name, str(each.minutes), *later, Measured((each.size / 1e6,)), *first)
