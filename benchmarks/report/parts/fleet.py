"""A fleet whose servers are killed, as `benchmarks.fleet_simulation` prints it."""

from __future__ import annotations

from benchmarks.report.commands import printed
from benchmarks.report.results import Found
from benchmarks.report.turns import Options


def measure(options: Options) -> Found:
    command = "benchmarks.fleet_simulation"
    if options.is_quick:
        return printed(f"{command} --agents 20 --interval 2 --away 2")
    return printed(command, f"{command} --dead 2 --no-balancer")
