"""Every attack beside honest senders, some times each."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmarks import attack
from benchmarks.attacks import ATTACKS
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.attacks import Attack

_SENDERS = 4


def measure(options: Options) -> Found:
    with suppress(PermissionError):
        os.nice(attack.PRIORITY)
    seconds = 1.0 if options.is_quick else 5.0
    chosen = ATTACKS[:2] if options.is_quick else ATTACKS

    def way(each: Attack) -> Callable[[Path], attack.Result]:
        return lambda _: attack.measured(each, seconds, _SENDERS)

    taken: Taken[attack.Result] = take_turns(
        {each.name: way(each) for each in chosen}, options.repeat
    )
    heads = (
        "attack",
        "kept, %",
        "silence, ms: page",
        "ingest",
        "idle",
        "most memory, MB",
        "targets",
    )
    rows = tuple((name, *_figures(results)) for name, results in taken.results.items())
    title = f"Attacks of {seconds:.0f} seconds"
    return Found(tables=(Table(title, heads, rows),), failures=tuple(taken.failures))


def _figures(results: Sequence[attack.Result]) -> tuple[Measured | str, ...]:
    kept = Measured(tuple(round(100 * each.kept) for each in results))
    silences = (
        Measured(tuple(round(1000 * each.silence[side]) for each in results)) for side in range(3)
    )
    peak = Measured(tuple(round(each.peak / 1e6) for each in results))
    missed = sum(bool(each.missed) for each in results)
    verdict = f"missed in {missed} of {len(results)}" if missed else "reached"
    return (kept, *silences, peak, verdict)
