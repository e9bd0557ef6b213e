"""The cost of tracing, as `benchmarks.agent` prints it."""

from __future__ import annotations

from benchmarks.report.commands import printed
from benchmarks.report.results import Found
from benchmarks.report.turns import Options


def measure(options: Options) -> Found:
    return printed("benchmarks.agent few" if options.is_quick else "benchmarks.agent")
