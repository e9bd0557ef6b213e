"""Programs whose truth is known: each measures itself, so that a tracer can be checked."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parent
_FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer", "-pthread")


class Workload:
    """A program that says `ready`, begins at `go`, and says one JSON object when it is done."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        self._stolen_before = 0
        self.stolen_us = 0
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self._process.stdin
        self._stolen_before = _stolen_us()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def truth(self) -> Any:
        """Wait for its end, and give what it says of itself; the process still lives."""
        assert self._process.stdout
        said = json.loads(self._process.stdout.readline())
        self.stolen_us = _stolen_us() - self._stolen_before
        return said

    def agrees(self, measured: float, truth_us: float) -> bool:
        return agrees(measured, truth_us, self.stolen_us)

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def agrees(measured: float, truth_us: float, stolen_us: int) -> bool:
    """Within 10 %. What the hypervisor stole while the program ran is in its wall clock, in
    neither its CPU time nor its waits: by that much the truth may be too high.
    """
    return 0.9 * (truth_us - stolen_us) <= measured <= 1.1 * truth_us


def _stolen_us() -> int:
    with Path("/proc/stat").open() as file:
        return int(file.readline().split()[8]) * 1_000_000 // os.sysconf("SC_CLK_TCK")


def compiled(name: str, folder: Path) -> Path:
    binary = folder / Path(name).stem
    subprocess.run(
        [needs.gcc(), *_FLAGS, FOLDER / name, "-o", binary],
        check=True,
    )
    return binary


@contextmanager
def workload(name: str, folder: Path, *arguments: object) -> Iterator[Workload]:
    """Compile and start a C program of this folder; it runs in `folder`, which it gets first."""
    command = [str(part) for part in (compiled(name, folder), folder, *arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    )
    running = Workload(process)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def until_killed(*command: str | Path) -> Iterator[int]:
    """Yield the pid of a program that has said `ready` and has no end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            process.kill()
