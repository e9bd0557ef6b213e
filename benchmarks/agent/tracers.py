"""Our offcputime and its peers, each on the same running process, one after the other."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.agent import account
from benchmarks.agent.workloads import MissingError, found

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
WINDOWS, WINDOW = 3, 0.5  # repetitions, and seconds of each
_START, _SETTLE = 30, 1
_MOST_BYTES = 1 << 30  # of perf's file


@dataclass(frozen=True)
class Figures:
    """`ns` are those of each repetition, for one switch; None if no BPF program runs."""

    rate: float
    ns: list[float] | None
    cpu_share: float
    resident: int
    maps: int
    bytes_per_switch: float = 0


@dataclass(frozen=True)
class Tracer:
    """`command` has PID and FOLDER in place of the values. `packages` names where it comes from."""

    name: str
    command: tuple[str, ...]
    package: str = ""
    has_bpf: bool = True


_OURS = (
    *(sys.executable, "-m", "kscope", "agent", "offcputime", "-p", "PID", "--interval", "1"),
    *("--server", "http://127.0.0.1:9", "--spool", "FOLDER/spool"),
)
_PERF = ("perf", "record", "-q", "-e", "sched:sched_switch", "--call-graph", "dwarf", "-p", "PID")
TRACERS = (
    Tracer("kscope", _OURS),
    Tracer("get_stackid alone", (sys.executable, "-m", "benchmarks.agent.get_stackid", "PID")),
    Tracer("kscope --unwind-memory 0", (*_OURS, "--unwind-memory", "0")),
    Tracer("libbpf-tools offcputime", ("offcputime", "-p", "PID"), "libbpf-tools"),
    Tracer("bcc offcputime", ("offcputime-bpfcc", "-p", "PID"), "bpfcc-tools"),
    Tracer("perf, dwarf", (*_PERF, "-o", "FOLDER/perf.data"), "linux-perf", has_bpf=False),
)


def rate(pid: int, seconds: float) -> float:
    """Return the switches of a process in a second."""
    before, began = account.switches(pid), time.monotonic()
    time.sleep(seconds)
    return (account.switches(pid) - before) / (time.monotonic() - began)


def traced(tracer: Tracer, pid: int, folder: Path) -> Figures:
    """Raises MissingError, RuntimeError if the tracer does not run here."""
    command = [part.replace("PID", str(pid)) for part in tracer.command]
    command = [part.replace("FOLDER", str(folder)) for part in command]
    if tracer.package:
        command[0] = found(command[0], tracer.package)
    file = folder / "perf.data"
    try:
        with _running(tracer, command) as process:
            return _measured(tracer, process.pid, pid, file)
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _running(tracer: Tracer, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    try:
        end = time.monotonic() + _START
        while tracer.has_bpf and process.poll() is None and not account.bpf_ns(process.pid)[1]:
            if time.monotonic() > end:
                raise RuntimeError("it did not start in time")
            time.sleep(0.05)
        time.sleep(_SETTLE)
        if process.poll() is not None:
            raise RuntimeError(_reason(process))
        yield process
    finally:
        _end(process)


def _reason(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    said = process.stderr.read().decode(errors="replace").strip().splitlines()
    errors = [line for line in said if "error:" in line.lower()] or said[-1:]
    return errors[0].strip() if errors else f"exit code {process.returncode}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr:
        process.stderr.close()


def _measured(tracer: Tracer, own: int, pid: int, file: Path) -> Figures:
    ns, rates, cpu, size = [], [], account.cpu_seconds(own), _size(file)
    began, first = time.monotonic(), account.switches(pid)
    for _ in range(WINDOWS):
        spent, before, start = account.bpf_ns(own)[0], account.switches(pid), time.monotonic()
        time.sleep(WINDOW)
        switches = max(1, account.switches(pid) - before)
        ns.append((account.bpf_ns(own)[0] - spent) / switches)
        rates.append(switches / (time.monotonic() - start))
        if _size(file) > _MOST_BYTES:
            break
    seconds, switches = time.monotonic() - began, max(1, account.switches(pid) - first)
    return Figures(
        sorted(rates)[len(rates) // 2],
        ns if tracer.has_bpf else None,
        (account.cpu_seconds(own) - cpu) / seconds,
        account.resident(own),
        account.maps(own).total,
        (_size(file) - size) / switches,
    )


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0


__all__ = ["TRACERS", "Figures", "MissingError", "Tracer", "rate", "traced"]
