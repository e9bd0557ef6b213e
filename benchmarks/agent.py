"""The cost of tracing: our offcputime beside libbpf-tools' and bcc's, on one workload in one run.

    sudo python benchmarks/agent.py

Two threads hand a byte to and fro; each tracer follows that process alone, one after the other.
`ns/switch` is the kernel's own account (BPF statistics) divided by the workload's switches; `CPU`
is what the tracer's process took; `slowdown` the workload's turns per second without a tracer over
those with it, the mean of a run before and one after. `MB` is resident memory and BPF maps.

Ends with exit code 1 where a tracer could not run, so that half a comparison is not taken for one:
bcc's tool needs kprobes and the kernel's headers.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kscope.agent.host.bpfstats import BpfStatistics
from kscope.agent.host.kernel import mount_tracefs
from tests.workloads import Workload, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLISECONDS = 3000
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Figures:
    turns_per_second: float
    ns_per_switch: float
    cpu_share: float
    memory: int


@contextmanager
def tracer(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    end = time.monotonic() + 30
    while process.poll() is None and not bpf_time(process.pid)[2] and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.5)
    if process.poll() is not None:
        assert process.stderr
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        errors = [line for line in said if "error:" in line] or said[-1:]
        raise RuntimeError(errors[0] if errors else f"exit code {process.returncode}")
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def bpf_time(pid: int) -> tuple[int, int, int]:
    """Nanoseconds and runs of the programs that a process holds, and how many those are."""
    ns = runs = programs = 0
    seen = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(re.findall(r"^(\w+):\s+(\d+)$", info.read_text(), re.MULTILINE))
        except OSError:
            continue
        if "prog_id" in fields and fields["prog_id"] not in seen:
            seen.add(fields["prog_id"])
            ns += int(fields.get("run_time_ns", 0))
            runs += int(fields.get("run_cnt", 0))
            programs += 1
    return ns, runs, programs


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    total = resident * os.sysconf("SC_PAGE_SIZE")
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = info.read_text()
        except OSError:
            continue
        if "\nmap_type:" in text and (found := re.search(r"^memlock:\s+(\d+)", text, re.MULTILINE)):
            total += int(found[1])
    return total


def turns_per_second(pair: Workload) -> float:
    pair.go()
    said = pair.truth()
    return said["turns"] / said["seconds"]


def alone(folder: Path) -> float:
    with workload("pingpong.c", folder, MILLISECONDS) as pair:
        return turns_per_second(pair)


def traced(command: list[str], folder: Path) -> Figures:
    with workload("pingpong.c", folder, MILLISECONDS) as pair:
        filled = [part.replace("PID", str(pair.pid)) for part in command]
        with tracer(filled) as process:
            ns, _, _ = bpf_time(process.pid)
            cpu = cpu_seconds(process.pid)
            turns = turns_per_second(pair)
            switches = turns * MILLISECONDS / 1000 * 2  # each turn takes both threads off the CPU
            ns = bpf_time(process.pid)[0] - ns
            cpu = cpu_seconds(process.pid) - cpu
            return Figures(turns, ns / switches, cpu / (MILLISECONDS / 1000), memory(process.pid))


def tracers(spool: Path) -> dict[str, list[str]]:
    kscope = [sys.executable, "-m", "kscope", "agent", "offcputime", "-p", "PID"]
    sending = ["--server", "http://127.0.0.1:9", "--spool", str(spool), "--interval", "1"]
    return {
        "kscope": [*kscope, *sending],
        "kscope --threshold 5000": [*kscope, *sending, "--threshold", "5000"],
        "libbpf-tools offcputime": [_found("offcputime"), "-p", "PID"],
        "libbpf-tools offcputime -m 5000": [_found("offcputime"), "-p", "PID", "-m", "5000"],
        "bcc offcputime": [_found("offcputime-bpfcc"), "-p", "PID"],
    }


def _found(name: str) -> str:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin") or name


def main() -> None:
    mount_tracefs()
    statistics = BpfStatistics()
    if not statistics.on:
        sys.exit("BPF statistics cannot be switched on: run as root")
    print(f"{platform.release()}, {os.cpu_count()} CPUs, {MILLISECONDS / 1000:g} s each")
    print(
        f"{'tracer':34} {'switches/s':>11} {'ns/switch':>10} {'slowdown':>9} {'CPU':>7} {'MB':>5}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        before = alone(folder)
        lacking = []
        for name, command in tracers(folder / "spool").items():
            try:
                figures = traced(command, folder)
            except (OSError, RuntimeError) as error:
                print(f"{name:34} cannot run here: {error}")
                lacking.append(name)
                continue
            after = alone(folder)
            slowdown = (before + after) / 2 / figures.turns_per_second
            before = after
            print(
                f"{name:34} {figures.turns_per_second * 2:11,.0f} {figures.ns_per_switch:10,.0f} "
                f"{slowdown:9.2f} {figures.cpu_share:7.2%} {figures.memory / 2**20:5.0f}"
            )
    statistics.close()
    if lacking:
        sys.exit(f"incomplete: {', '.join(lacking)} could not run here")


if __name__ == "__main__":
    main()
