"""Trace all kinds of programs with the agent's command line, and judge what it says."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.stacks import building, kinds, oracle
from tests.stacks.building import twin
from tests.stacks.judge import Judge, Sums, Truth
from tests.stacks.kinds import Kind
from tests.stacks.stage import Program, Stage

_SECONDS = 3
_INTERVAL = 2
_MOST_INTERVALS = 20
_MISSING = "table not loaded"
_UNKNOWN = [Truth()]
_VDSO = re.compile(r"\[?(linux-)?vdso.*")
_IN_VDSO = re.compile(r"_*(vdso_)?(clock_get(time|res)|gettimeofday|time|getcpu|getrandom)")


class Row(NamedTuple):
    """The part of a row that is judged: once, however many rows have it."""

    pid: int
    thread: str
    stack: str
    whole: bool


@dataclass
class Running:
    """A kind that runs."""

    kind: Kind
    program: Program
    folder: Path
    pids: set[int] = field(default_factory=set)
    files: dict[str, Path] = field(default_factory=dict)
    jitted: frozenset[str] = frozenset()
    _judges: dict[int, Judge] = field(default_factory=dict)

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

    def row(self, row: dict[str, Any]) -> Row:
        thread = "tid" if row.get("tid") in self.program.tids else row["process"]
        # A thread that is preempted, or sampled, can be in any of its calls.
        whole = row.get("reason", "") not in ("", "preempted")
        return Row(row["pid"], thread, row["stack"], whole)

    def judged(self, row: Row, waits: int) -> Sums:
        truths = self.kind.truths.get(row.thread, _UNKNOWN)
        return self._judge(row.pid).judged(row.stack, truths, waits, whole=row.whole)

    def _judge(self, pid: int) -> Judge:
        if pid not in self._judges:
            binary = self._twin or Path(f"/proc/{pid}/exe")
            self._judges[pid] = Judge(partial(self._known, binary), self._starts)
        return self._judges[pid]

    def _known(self, binary: Path, file: str, name: str) -> bool:
        if _VDSO.fullmatch(file):
            return _IN_VDSO.fullmatch(name) is not None
        if name in self.jitted:
            return True
        path = self.files.get(file) if file else binary
        return path is not None and oracle.has_function(path, name)

    def _starts(self, file: str, address: int) -> str | None:
        path = self._twin if self._twin and file in (self._twin.name, "app") else None
        if path and address in self._twin_starts:
            return self._twin_starts[address]
        path = path or self.files.get(file)
        if path is None:
            return ""
        if address == oracle.entry(path):
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

    def add(self, thread: str, sums: Sums, time: int) -> None:
        sums.time, sums.rooted_time = time, time if sums.rooted else 0
        self.sums += sums
        self.by_thread.setdefault(thread, Sums()).__iadd__(sums)


def judged(running: Sequence[Running], rows: Sequence[dict[str, Any]]) -> list[Line]:
    """Judge the rows of all kinds that run."""
    lines = [Line(one.kind) for one in running]
    for one in running:
        one.look()
    waits: Counter[tuple[int, Row]] = Counter()
    times: Counter[tuple[int, Row]] = Counter()
    for row in rows:
        i = _owner(running, row)
        if i >= 0:
            key = i, running[i].row(row)
            waits[key] += row.get("count") or row.get("samples", 1)
            times[key] += row.get("elapsed", 0)
    for key, number in waits.items():
        i, judged_row = key
        lines[i].add(judged_row.thread, running[i].judged(judged_row, number), times[key])
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


class Tracer:
    """An agent that traces, and sends its rows to a server of ours at each interval."""

    def __init__(self, agents: ExitStack, folder: Path, probe: str, *flags: object) -> None:
        self._server = agents.enter_context(fake_server())
        spool = folder / f"spool-{self._server.url.rpartition(':')[2]}"
        given = ("--server", self._server.url, "--spool", spool, *flags)
        self._agent = agents.enter_context(agent(probe, *given))
        self._probe = probe
        self._from = 0
        self._warm = time.monotonic()

    def warm_up(self) -> None:
        """Wait for an interval in which no rule was missing: the agent reads them when it first
        sees a file.
        """
        for intervals in range(2, _MOST_INTERVALS):
            _until(lambda count=intervals: len(self._server.intervals()) >= count)
            time.sleep(0.3)  # The rows about binaries follow in another batch.
            self._from = len(self._server.received)
            bodies = [received.body for received in self._server.received]
            last = max(body["time"] for body in bodies)
            if not any(_lacks_rules(body) for body in bodies if body["time"] == last):
                self._warm = time.monotonic()
                return

    def rows(self) -> list[dict[str, Any]]:
        """End it, and return the rows since it was warm, without waits that began before.

        After one interval at least: a busy machine may leave it no time for the last one.
        """
        _until(
            lambda: any(self._probe in each.body for each in self._server.received[self._from :])
        )
        longest = (time.monotonic() - self._warm) * 1_000_000
        self._agent.stop()
        received = self._server.received[: self._from]
        del self._server.received[: self._from]
        rows = self._server.rows(self._probe)
        self._server.received[:0] = received
        return [row for row in rows if row.get("elapsed", 0) <= longest * row.get("count", 1)]


def _lacks_rules(body: dict[str, Any]) -> bool:
    return any(row.get("reason") == _MISSING for row in body.get("agent", []))


def steady(folder: Path) -> list[Line]:
    """Trace by a cgroup all programs that do not change."""
    return _traced(folder, kinds.STEADY, "offcputime", "--per-thread", "--depth", kinds.DEPTH)


def busy(folder: Path) -> list[Line]:
    return _traced(folder, kinds.BUSY, "profile", "--per-thread", "--frequency", 199)


def _traced(folder: Path, some: Sequence[Kind], probe: str, *flags: object) -> list[Line]:
    with Stage(folder, probe) as stage, ExitStack() as agents:
        running = _started(stage, some)
        given = ("--cgroup", stage.cgroup, "--interval", _INTERVAL, *flags)
        tracer = Tracer(agents, folder, probe, *given)
        tracer.warm_up()
        time.sleep(_SECONDS)
        rows = tracer.rows()
        stage.freeze()
        return judged(running, rows)


def changing(folder: Path) -> list[Line]:
    """Trace programs that change while they are traced.

    One loads a library after the first look, then another in its place. Others start children that
    end before the interval does.
    """
    with Stage(folder, "changing") as stage, ExitStack() as agents:
        program = kinds.reloading(stage)
        reloaded = [Running(kind, program, folder) for kind in kinds.RELOADED]
        parents = _started(stage, kinds.CHILDREN)
        pids = [parent.program.pid for parent in parents]
        reloads = Tracer(agents, folder, "offcputime", "--pid", program.pid, "--interval", 0.5)
        others = [
            Tracer(
                agents, folder, "offcputime", "--pid", pid, "--children", "--interval", _INTERVAL
            )
            for pid in pids
        ]
        for tracer in (reloads, *others):
            tracer.warm_up()
        _reload(program)
        some_rows = [tracer.rows() for tracer in (reloads, *others)]
        stage.freeze()
        lines = judged(reloaded, some_rows[0])
        for parent, rows in zip(parents, some_rows[1:], strict=True):
            lines += judged([parent], rows)
        return lines


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


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
