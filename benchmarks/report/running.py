"""One part, measured in a separate process, so that no part sees the memory of another."""

from __future__ import annotations

import importlib
import multiprocessing
import time
from typing import TYPE_CHECKING

from benchmarks.report import machine
from benchmarks.report.results import Found, Part, save
from benchmarks.report.turns import Options, reason, say

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.report.sections import Section

_spawn = multiprocessing.get_context("spawn")


def run(section: Section, variant: str, options: Options, folder: Path) -> None:
    """Keep the results of a part in the folder; of one that fails its reason."""
    say(f"{section.name} {variant}".rstrip())
    results = _spawn.SimpleQueue()
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    before, started = machine.load(), time.monotonic()
    work = (section.name, section.of(options, variant), results)
    process = _spawn.Process(target=_measure, args=work)
    process.start()
    # The results may be larger than the queue holds: they are read while the part runs.
    while results.empty() and process.is_alive():
        time.sleep(0.1)
    found = None if results.empty() else results.get()
    process.join()
    if found is None:
        found = Found(failures=(f"the process ended with exit code {process.exitcode}",))
    part = Part(
        name=section.name,
        variant=variant,
        date=date,
        commit=machine.commit(),
        repeat=options.repeat,
        is_quick=options.is_quick,
        seconds=round(time.monotonic() - started),
        load=(before, machine.load()),
        machine=machine.machine(),
        found=found,
    )
    for failure in found.failures:
        say(f"failed: {failure}")
    say(f"{save(part, folder)} after {part.seconds:.0f} s")


def _measure(name: str, options: Options, results: multiprocessing.SimpleQueue[Found]) -> None:
    try:
        found = importlib.import_module(f"benchmarks.report.parts.{name}").measure(options)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a skip of the tests, too: the report shows it
        found = Found(failures=(reason(error),))
    results.put(found)
