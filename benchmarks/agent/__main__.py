"""The cost of tracing: our offcputime beside its peers, on several kinds of programs in one run.

    sudo python -m benchmarks.agent [PART ...]

Three tables:

- The walk: one BPF program walks the user stack at each switch by ks_stack or by get_stackid, and
  takes the time. `times` is ours divided by get_stackid's in the same second. get_stackid often
  stops early: see its frames. `whole` are the walks that reach the thread's start.
- The tracers follow the same process, one after the other. `ns/switch` is the kernel's own account
  (BPF statistics) divided by the switches of that process: a tracer's look at the switches of all
  other processes is in it. `slowdown` is the process's switches per second without a tracer, before
  and after, divided by those with it. `CPU` is what the tracer's process took, `written` the bytes
  that perf wrote for each switch. perf's work in the kernel shows in the slowdown alone.
- The memory of an agent that traces 50 processes by their cgroup, and where it goes.

Figures are medians, with the smallest and the largest. What cannot run here is named. Ends with
exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.agent import many
from benchmarks.agent.tracers import TRACERS, Figures, rate, traced
from benchmarks.agent.walks import Walks, walks
from benchmarks.agent.workloads import WORKLOADS, MissingError, Workload, running
from kscope.agent.host.bpfstats import BpfStatistics
from kscope.agent.host.kernel import mount_tracefs

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES_GET_STACKID = 3
NS_OF_30_FRAMES = 12_000
MOST_MEMORY = 100 << 20  # of an agent that traces 50 processes
MEMORY = "memory"
BUDGET = 230  # seconds for all workloads: late tracers are left out, by name
_ALONE = 0.4  # seconds
_WALKS = (
    f"{'walk of the user stack':32} {'ns':>20} {'frames':>7} {'get_stackid':>20} {'frames':>7} "
)
_WALKS += f"{'times':>6} {'whole':>7} {'MB':>5} {'maps':>5}"
_TRACERS = f"{'tracer':32} {'switches/s':>11} {'ns/switch':>20} {'slowdown':>9} {'CPU':>7} "
_TRACERS += f"{'MB':>5} {'maps':>5} {'written':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="part of a workload's name, or memory"
    )
    options = parser.parse_args()
    mount_tracefs()
    statistics_on = BpfStatistics()
    if not statistics_on.on:
        sys.exit("BPF statistics cannot be switched on: run as root")
    print(
        f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} CPUs, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    chosen = [each for each in WORKLOADS if _is_chosen(each.name, options.parts)]
    with tempfile.TemporaryDirectory() as folder:
        missed = _compare(chosen, Path(folder))
        if _is_chosen(MEMORY, options.parts):
            missed += _show_memory(Path(folder))
    statistics_on.close()
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def _is_chosen(name: str, parts: Sequence[str]) -> bool:
    return not parts or any(part.lower() in name.lower() for part in parts)


def _compare(chosen: Sequence[Workload], folder: Path) -> list[str]:
    missed = []
    began = time.monotonic()
    for i, workload in enumerate(chosen, 1):
        end = began + BUDGET * i / len(chosen)
        print(f"\n{workload.name}")
        try:
            with running(workload, folder) as program:
                missed += _show_walks(workload, program.pid, folder)
                _show_tracers(program.pid, folder, end)
        except MissingError as error:
            print(f"  left out: {error}")
    return missed


def _show_walks(workload: Workload, pid: int, folder: Path) -> list[str]:
    try:
        found = walks(pid, folder)
    except RuntimeError as error:
        print(f"  no walks: {error}")
        return [f"{workload.name}: no walks"]
    print(_WALKS)
    print(
        f"{'ks_stack':32} {_spread(found.ns):>20} {statistics.median(found.frames):7.1f} "
        f"{_spread(found.kernel_ns):>20} {statistics.median(found.kernel_frames):7.1f} "
        f"{found.times:6.2f} {statistics.median(found.whole):7.1%} {_mb(found.agent_memory)} "
        f"{_mb(found.maps)}"
    )
    return _missed_by(workload, found)


def _missed_by(workload: Workload, found: Walks) -> list[str]:
    """Return the missed targets. get_stackid is one only where it walks as many frames."""
    ns, frames = statistics.median(found.ns), statistics.median(found.frames)
    missed = []
    if found.times > TIMES_GET_STACKID and statistics.median(found.kernel_frames) > 0.8 * frames:
        missed.append(f"{workload.name}: {found.times:.1f} times get_stackid")
    if ns > NS_OF_30_FRAMES * max(1, frames / 30):
        missed.append(f"{workload.name}: {ns:,.0f} ns for {frames:.0f} frames")
    return missed


def _show_tracers(pid: int, folder: Path, end: float) -> None:
    print(_TRACERS)
    before = rate(pid, _ALONE)
    for tracer in TRACERS:
        if time.monotonic() > end:
            print(f"{tracer.name:32} left out: the time is up")
            continue
        try:
            figures = traced(tracer, pid, folder)
        except (MissingError, RuntimeError, OSError) as error:
            print(f"{tracer.name:32} cannot run here: {error}")
            continue
        after = rate(pid, _ALONE)
        print(_line(tracer.name, figures, (before + after) / 2))
        before = after


def _line(name: str, figures: Figures, alone: float) -> str:
    written = f"{figures.bytes_per_switch:,.0f}" if figures.bytes_per_switch else ""
    return (
        f"{name:32} {figures.rate:11,.0f} {_spread(figures.ns or []):>20} "
        f"{alone / max(1, figures.rate):9.2f} {figures.cpu_share:7.1%} "
        f"{_mb(figures.resident + figures.maps)} {_mb(figures.maps)} {written:>8}"
    ).rstrip()


def _show_memory(folder: Path) -> list[str]:
    print(f"\n{'memory of an agent, in MB':32} {'one process':>12} {'many':>12}")
    one, fifty = many.memory(folder, 1), many.memory(folder, many.PROCESSES)
    lines = {
        "processes": (one.processes, fifty.processes),
        "its own figure": (_mb(one.said), _mb(fifty.said)),
        "resident": (_mb(one.resident), _mb(fifty.resident)),
        "maps: unwind tables": (_mb(one.maps.unwind_tables), _mb(fifty.maps.unwind_tables)),
        "maps: stacks": (_mb(one.maps.stacks), _mb(fifty.maps.stacks)),
        "maps: others": (_mb(one.maps.others), _mb(fifty.maps.others)),
    }
    for name, _ in fifty.mapped.most_common(6):
        lines[f"resident: {name}"] = (_mb(one.mapped[name]), _mb(fifty.mapped[name]))
    for label, (first, second) in lines.items():
        print(f"{label:32} {first:>12} {second:>12}")
    if fifty.said > MOST_MEMORY:
        return [f"{fifty.said / 2**20:.0f} MB with {fifty.processes} processes"]
    return []


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def _mb(size: int) -> str:
    return f"{size / 2**20:5.0f}"


if __name__ == "__main__":
    main()
