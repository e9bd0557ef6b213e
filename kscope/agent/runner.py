"""One probe's life: start, drain every interval, report, start again after a failure."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kscope.agent.engines.base import Cost, Drained
from kscope.agent.governor import Governor
from kscope.agent.health import Interval
from kscope.client import backoff
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kscope.agent.engines.base import Engine, Row
    from kscope.declare.model import Category

log = logging.getLogger(__name__)

# How long a thread may be deaf to a request to stop.
_TICK = 0.2
LONGEST_RETRY = 300.0


class Outlet(Protocol):
    """Where intervals go."""

    def deliver(self, category: Category, rows: list[Row], ended: float) -> None: ...

    def report(self, interval: Interval, ended: float) -> None: ...

    def began(self, probe: str, at: float | None) -> None:
        """An interval has begun, or None: nothing is held in the kernel any more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One probe to run. `interval` is in seconds; `max_overhead` a share of the host's CPU time.

    `at_once`: what there is at the start is already worth a drain.
    """

    category: Category
    engine: Callable[[], Engine]
    interval: float
    max_overhead: float = 0.0
    hostname: str = ""
    at_once: bool = False


class ProbeRunner(threading.Thread):
    """Runs a plan until `stop`; a failure is logged, reported and tried again, ever more rarely."""

    def __init__(self, plan: Plan, outlet: Outlet) -> None:
        super().__init__(name=f"probe-{plan.category.table}", daemon=True)
        self._plan = plan
        self._outlet = outlet
        self._stopping = threading.Event()
        self.started = threading.Event()
        self.failure = ""

    def stop(self) -> None:
        """Drain once more, deliver, end."""
        self._stopping.set()

    def run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._live()
            except Exception as error:  # noqa: BLE001 - no probe may take the others down
                self._report_failure(error)
                attempt = 1 if time.monotonic() - began > LONGEST_RETRY else attempt + 1
                self._stopping.wait(backoff(attempt, LONGEST_RETRY))

    def _live(self) -> None:
        engine = self._plan.engine()
        engine.start()
        life = _Life(self._plan, engine, self._outlet, self._stopping)
        self.failure = ""
        self._outlet.began(self._plan.category.table, time.time())
        self.started.set()
        log.info("%s: probe running", self._plan.category.table)
        try:
            pause = life.run()
        finally:
            engine.close()
            self._outlet.began(self._plan.category.table, None)
        self._stopping.wait(pause)

    def _report_failure(self, error: Exception) -> None:
        known = isinstance(error, KscopeError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        if text != self.failure:
            log.error("%s: %s", self._plan.category.table, text)
            if not known:
                log.debug("%s", traceback.format_exc())
        self.failure = text
        self.started.set()
        interval = Interval(self._plan.category.table, "failed", text.partition("\n")[0])
        self._outlet.report(interval, time.time())


class _Life:
    """From a probe's start to its end."""

    def __init__(
        self, plan: Plan, engine: Engine, outlet: Outlet, stopping: threading.Event
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._outlet = outlet
        self._stopping = stopping
        self._governor = Governor(plan.max_overhead)
        self._cost = Cost()
        self._cpu = time.thread_time()
        self._began = time.monotonic()

    def run(self) -> float:
        """Until asked to stop, or out of the kernel for as many seconds as it returns."""
        due = self._began + first_interval(self._plan)
        while not self._stopping.is_set():
            self._engine.poll(min(_TICK, max(0.0, due - time.monotonic())))
            self._govern()
            if self._governor.paused:
                self._drain(state="paused", detail=self._governor.text)
                return self._plan.interval
            if time.monotonic() >= due:
                self._drain()
                due = max(due + self._plan.interval, time.monotonic())
        self._drain()
        return 0.0

    def _govern(self) -> None:
        if not self._governor.due():
            return
        decision = self._governor.decide(self._engine.cost(), time.thread_time())
        if decision is None:
            return
        log.warning("%s: %s", self._plan.category.table, decision.text)
        if decision.threshold is not None and not self._engine.raise_threshold(decision.threshold):
            self._governor.no_threshold()

    def _drain(self, state: str = "", detail: str = "") -> None:
        drained = self._engine.drain()
        now, ended = time.monotonic(), time.time()
        self._outlet.deliver(self._plan.category, drained.rows, ended)
        self._outlet.report(self._interval(drained, now, state, detail), ended)
        self._outlet.began(self._plan.category.table, ended)
        self._began = now

    def _interval(self, drained: Drained, now: float, state: str, detail: str) -> Interval:
        cost, cpu = self._engine.cost(), time.thread_time()
        interval = Interval(
            probe=self._plan.category.table,
            state=state or ("raised" if self._governor.threshold else "running"),
            detail=detail or self._governor.text,
            elapsed=round((now - self._began) * 1e6),
            rows=len(drained.rows),
            loss=drained.loss,
            bpf_runs=cost.runs - self._cost.runs,
            bpf_time=(cost.run_ns - self._cost.run_ns) // 1000,
            cpu_time=round((cpu - self._cpu) * 1e6),
            threshold=self._governor.threshold,
        )
        self._cost, self._cpu = cost, cpu
        return interval


def first_interval(plan: Plan) -> float:
    """Shorter than the others, by a share that depends on the host: a fleet that is restarted
    in one moment does not send in one moment for ever after.
    """
    if plan.at_once:
        return 0.0
    share = zlib.crc32(f"{plan.hostname}/{plan.category.table}".encode()) / 2**32
    return plan.interval * (0.1 + 0.9 * share)
