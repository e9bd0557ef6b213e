"""First paint, zoom and search of flame graphs, beside other libraries in one Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.page.run import STEPS, Runs, chromium, measured
from benchmarks.report.results import Cell, Found, Measured, Table
from benchmarks.report.turns import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

_NODES = [2_000, 20_000, 100_000]
_OURS = "kernelscope"


def measure(options: Options) -> Found:
    with chromium() as browser:
        version = browser.version
        found = list(measured(browser, _NODES[: 1 if options.is_quick else None], options.repeat))
    heads = ("library", "nodes", *(f"{step}, ms" for step in STEPS), "paint, times ours")
    rows = tuple(_row(each, found) for each in found)
    failures = tuple(
        f"{each.subject}, {each.nodes:,} nodes: a step failed" for each in found if not _whole(each)
    )
    title = f"Flame graphs, {options.repeat} times each"
    table = Table(title, heads, rows)
    return Found(tables=(table,), failures=failures, engines={"Chromium": version})


def _whole(each: Runs) -> bool:
    return all(each.runs)


def _row(each: Runs, every: Sequence[Runs]) -> tuple[Cell, ...]:
    ours = next(other for other in every if other.subject == _OURS and other.nodes == each.nodes)
    paint, of = _step(each, "paint"), _step(ours, "paint")
    both = isinstance(paint, Measured) and isinstance(of, Measured) and each is not ours
    times = paint.over(of) if both and len(paint.values) == len(of.values) else ""
    steps = (_step(each, step) for step in STEPS)
    return (each.subject, f"{each.nodes:,}", *steps, times)


def _step(each: Runs, name: str) -> Cell:
    values = tuple(value for run in each.runs if (value := run.get(name)) is not None)
    return Measured(values) if values else ""
