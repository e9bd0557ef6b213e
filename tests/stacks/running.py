"""Trace all kinds of programs with the agent's command line, and judge what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tests.agent.tracing import Rows, tracing
from tests.stacks import building, kinds, oracle
from tests.stacks.building import twin
from tests.stacks.judge import Judge, Sums, Truth
from tests.stacks.kinds import Kind
from tests.stacks.stage import Program, Stage

_SECONDS = 3
_UNKNOWN = [Truth()]
VDSO = re.compile(r"\[?(linux-)?vdso.*")


@dataclass
class Running:
    """A kind that runs."""

    kind: Kind
    program: Program
    folder: Path
    pids: set[int] = field(default_factory=set)
    files: dict[str, Path] = field(default_factory=dict)
    jitted: frozenset[str] = frozenset()

    def look(self) -> None:
        """Read what can be read only while it runs."""
        self.pids = self.program.pids()
        # The files of the first process count: the others may have ended when they are read.
        for pid in sorted(self.pids, reverse=True):
            self.files |= oracle.files(pid)
            self.jitted |= _perf_map(pid)

    @cached_property
    def _twin(self) -> Path | None:
        return twin(self.folder, self.kind.twin) if self.kind.twin else None

    @cached_property
    def _twin_starts(self) -> dict[int, str]:
        return oracle.starts(self._twin) if self._twin else {}

    def judged(self, row: dict[str, Any], *, whole: bool) -> Sums:
        thread = "tid" if row["tid"] in self.program.tids else row["process"]
        truths = self.kind.truths.get(thread, _UNKNOWN)
        binary = self._twin or Path(f"/proc/{row['pid']}/exe")
        waits = row.get("count") or row["samples"]
        judge = Judge(partial(self._known, binary), self._starts)
        return judge.judged(row["stack"], truths, waits, whole=whole)

    def _known(self, binary: Path, file: str, name: str) -> bool:
        if VDSO.fullmatch(file):
            return name.lstrip("_").startswith(("vdso_", "clock_gettime"))
        if name in self.jitted:
            return True
        path = self.files.get(file) if file else binary
        return path is not None and oracle.has_function(path, name)

    def _starts(self, file: str, address: int) -> str | None:
        if self._twin and file in (self._twin.name, "app"):
            return self._twin_starts.get(address)
        path = self.files.get(file)
        if path is None:
            return ""
        if not self._twin and address == oracle.entry(path):
            return "start"
        return "" if oracle.may_start(path, address) else None


def _perf_map(pid: int) -> frozenset[str]:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        inner = next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1]
        text = Path(f"/proc/{pid}/root/tmp/perf-{inner}.map").read_text(errors="replace")
    except (OSError, StopIteration):
        return frozenset()
    return frozenset(line.split(" ", 2)[2] for line in text.splitlines() if line.count(" ") > 1)


@dataclass
class Line:
    """A line of the table; `by_thread` has the same by the names of the threads."""

    kind: Kind
    sums: Sums = field(default_factory=Sums)
    by_thread: dict[str, Sums] = field(default_factory=dict)

    def add(self, thread: str, sums: Sums) -> None:
        self.sums += sums
        self.by_thread.setdefault(thread, Sums()).__iadd__(sums)


def judged(running: Sequence[Running], rows: Rows) -> list[Line]:
    """Judge the rows of all kinds that run."""
    lines = [Line(one.kind) for one in running]
    for one in running:
        one.look()
    for row in rows:
        i = _owner(running, row)
        if i >= 0:
            whole = row.get("reason", "preempted") != "preempted"
            lines[i].add(row["process"], running[i].judged(row, whole=whole))
    return lines


def _owner(running: Sequence[Running], row: dict[str, Any]) -> int:
    """Return which kind a row is of: by its process and thread, a child that has ended by its
    thread alone; -1 for none.
    """
    pids = [i for i, one in enumerate(running) if row["pid"] in one.pids]
    threads = [i for i, one in enumerate(running) if row["process"] in one.kind.truths]
    both = [i for i in pids if i in threads]
    return (both or pids or threads or [-1])[0]


def _started(stage: Stage, some: Sequence[Kind]) -> list[Running]:
    return [Running(kind, kind.start(stage), stage.folder) for kind in some]


def steady(folder: Path) -> list[Line]:
    """Trace by a cgroup all programs that do not change, for one interval."""
    with Stage(folder, "steady") as stage:
        running = _started(stage, kinds.STEADY)
        with tracing("offcputime", "--cgroup", stage.cgroup, "--per-thread") as rows:
            time.sleep(_SECONDS)
        return judged(running, rows)


def busy(folder: Path) -> list[Line]:
    with Stage(folder, "busy") as stage:
        running = _started(stage, kinds.BUSY)
        with tracing("profile", "--cgroup", stage.cgroup) as rows:
            time.sleep(_SECONDS)
        return judged(running, rows)


def changing(folder: Path) -> list[Line]:
    """Trace programs that change while they are traced.

    One loads a library after the first look, then another in its place. Others start children that
    end before the interval does.
    """
    with Stage(folder, "changing") as stage:
        program = kinds.reloading(stage)
        reloaded = [Running(kind, program, folder) for kind in kinds.RELOADED]
        parents = _started(stage, kinds.CHILDREN)
        with ExitStack() as agents:
            some_rows = [
                agents.enter_context(tracing("offcputime", "--pid", pid, *flags))
                for pid, *flags in (
                    (program.pid, "--interval", 0.5),
                    *((parent.program.pid, "--children") for parent in parents),
                )
            ]
            _reload(program)
        lines = judged(reloaded, some_rows[0])
        for parent, rows in zip(parents, some_rows[1:], strict=True):
            lines += judged([parent], rows)
        return lines


def _reload(program: Program) -> None:
    time.sleep(1)
    first = program.next()
    time.sleep(1.2)
    assert program.next() == first, "the second library is not where the first was"
    time.sleep(1.2)


def traced(folder: Path) -> list[Line]:
    """Build, run, trace and judge all kinds of programs."""
    building.build(folder)
    return [*steady(folder), *busy(folder), *changing(folder)]
