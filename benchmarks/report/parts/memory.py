"""Resident memory of a server, at rest and after work."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ingest
from benchmarks.report.forms import COLUMNS, ENCODERS, ROWS
from benchmarks.report.parts.ingest import data_of
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, take_turns
from benchmarks.throwaway import database
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMS = (COLUMNS, ROWS)
_FILES = 1024
_SENDERS, _BATCH = 4, 10_000
_REST = 3.0
_GRAPHS = 3


@dataclass(frozen=True)
class Result:
    """MB."""

    rest: float
    stored: float
    asked: float
    peak: float


def measure(options: Options) -> Found:
    rows = options.size(500_000, 50_000)
    data = data_of(rows, _BATCH, lengths=True)
    span = (data.minutes[0].time - 60_000_000, data.minutes[-1].time + 60_000_000)
    bodies = {form: [ENCODERS[form][0](batch) for batch in data.batches] for form in _FORMS}
    ways = {
        f"{engine}: {form}": partial(_on, engine, bodies[form], ENCODERS[form][1], span)
        for engine in options.engines
        for form in (_FORMS if engine == "sqlite" else [COLUMNS])
    }
    taken: Taken[Result] = take_turns(ways, options.repeat)
    rows = sum(len(minute.pairs) for minute in data.minutes)
    heads = (
        "database, bodies",
        "at rest, MB",
        "after the rows",
        f"after {_GRAPHS} flame graphs",
        "most",
    )
    names = ("rest", "stored", "asked", "peak")
    lines = tuple(
        (form, *(Measured(tuple(getattr(each, name) for each in results)) for name in names))
        for form, results in taken.results.items()
    )
    title = f"`kscope serve` that gets {rows:,} rows, {_SENDERS} senders, batches of {_BATCH:,}"
    return Found(tables=(Table(title, heads, lines),), failures=tuple(taken.failures))


def _on(
    engine: str,
    bodies: Sequence[tuple[bytes, int]],
    kind: str,
    span: tuple[int, int],
    folder: Path,
) -> Result:
    chosen = nullcontext(()) if engine == "sqlite" else database(engine, folder / "engine")
    with chosen as flags:
        return _used(flags, bodies, kind, span, folder)


def _used(
    flags: Sequence[str],
    bodies: Sequence[tuple[bytes, int]],
    kind: str,
    span: tuple[int, int],
    folder: Path,
) -> Result:
    with serving(folder, *flags, files=_FILES) as server:
        pid = server.process.pid
        time.sleep(_REST)
        rest = _of(pid, "VmRSS")
        ingest.sent(pid, f"{server.ingest}/api/v1/ingest", bodies, _SENDERS, kind)
        stored = _of(pid, "VmRSS")
        for _ in range(_GRAPHS):
            asked = {"from": span[0], "to": span[1]}
            server.get("/api/v1/flamegraph/offcputime", **asked).raise_for_status()
        return Result(rest, stored, _of(pid, "VmRSS"), _of(pid, "VmHWM"))


def _of(pid: int, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0
