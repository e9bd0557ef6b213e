"""Questions of all data types, as `benchmarks.query` prints them."""

from __future__ import annotations

from benchmarks.report.commands import printed
from benchmarks.report.results import Found
from benchmarks.report.turns import Options


def measure(options: Options) -> Found:
    hours = 0.5 if options.is_quick else 4.5
    return printed(f"benchmarks.query --only all --hours {hours} --repeat {options.repeat}")
