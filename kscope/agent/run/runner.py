"""One probe's life: start, drain every interval, report, start again after a failure."""

import logging
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kscope.agent.engines.base import Engine
from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.interval import Drained, Row
from kscope.agent.run.governor import Governor
from kscope.agent.run.health import Interval
from kscope.agent.run.unreported import OpenInterval, Unreported
from kscope.client.retry import backoff
from kscope.declare.model import Category
from kscope.errors import KscopeError

log = logging.getLogger(__name__)

# Seconds until a thread notices a request to stop.
_TICK = 0.2
LONGEST_RETRY = 300.0


class Outlet(Protocol):
    """Where intervals are delivered. `unreported` notes which ones have started."""

    unreported: Unreported

    def deliver(self, category: Category, rows: list[Row], ended: float) -> None: ...

    def report(self, interval: Interval, ended: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """One probe to run. `interval` is in seconds; `max_overhead` a share of the host's CPU time.

    `at_once`: the first drain is at the start. Equal ones run the same
    probe: `source` is all that `engine` is made from.
    """

    category: Category
    engine: Callable[[], Engine] = field(compare=False)
    interval: float
    max_overhead: float = 0.0
    hostname: str = ""
    at_once: bool = False
    source: object = None

    @property
    def table(self) -> str:
        return self.category.table


class ProbeRunner(threading.Thread):
    """Runs a probe until `stop`; logs and reports a failure and tries again, ever more rarely."""

    def __init__(self, spec: ProbeRun, outlet: Outlet) -> None:
        super().__init__(name=f"probe-{spec.table}", daemon=True)
        self.spec = spec
        self._outlet = outlet
        self._governor = Governor(spec.max_overhead)
        self._stopping = threading.Event()
        self._began = 0.0  # the interval whose data is in the kernel; 0: none
        self.started = threading.Event()
        self.failure = ""
        self.exit_code = 0

    def is_running(self, spec: ProbeRun | None) -> bool:
        return self.spec == spec and self.is_alive()

    def stop(self) -> None:
        """Drain again, deliver, and end."""
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
        table = self.spec.table
        engine = self.spec.engine()
        self._cost, self._cpu = Cost(), time.thread_time()
        engine.start()
        self._cpu_at_start = time.thread_time()
        self._governor.begin(self._cpu_at_start - self._cpu)
        self._began = time.monotonic()
        self.failure = ""
        try:
            started = OpenInterval(time.time(), self.spec.interval)
            self._outlet.unreported.started(table, started)
            self.started.set()
            log.info("%s: probe running", table)
            pause = self._until_stopped(engine)
            self._began = 0.0
        finally:
            engine.close()
            self._outlet.unreported.started(table, None)
        self._rest(pause)

    def _rest(self, seconds: float) -> None:
        """Stay out of the kernel; the row of each interval reports it."""
        began, end = time.monotonic(), time.monotonic() + seconds
        while not self._stopping.is_set() and began < end:
            self._stopping.wait(min(self.spec.interval, end - began))
            now = time.monotonic()
            self._governor.rested(now - began)
            interval = Interval(
                self.spec.table,
                "paused",
                self._governor.text,
                elapsed=round((now - began) * 1e6),
                threshold=self._governor.threshold,
            )
            self._outlet.report(interval, time.time())
            began = now

    def _report_failure(self, error: Exception) -> None:
        known = isinstance(error, KscopeError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        if text != self.failure:
            log.error("%s: %s", self.spec.table, text)
            if not known:
                log.debug("%s", traceback.format_exc())
        self.failure = text
        self.exit_code = error.exit_code if isinstance(error, KscopeError) else 1
        self.started.set()
        began, self._began = self._began, 0.0
        interval = Interval(
            self.spec.table,
            "failed",
            text.partition("\n")[0],
            # The data in the kernel is lost with the probe.
            elapsed=round((time.monotonic() - began) * 1e6) if began else 0,
            lost_intervals=1 if began else 0,
        )
        try:
            self._outlet.report(interval, time.time())
        except Exception:
            # The probe is started again in any case.
            log.exception("%s: the failure cannot be reported", self.spec.table)

    def _until_stopped(self, engine: Engine) -> float:
        """Run until asked to stop. Return the seconds to stay out of the kernel, or 0."""
        if self._governor.threshold:
            engine.raise_threshold(self._governor.threshold)
        due = self._began + first_interval(self.spec)
        while not self._stopping.is_set():
            engine.poll(min(_TICK, max(0.0, due - time.monotonic())))
            if self._governor.due() and not self._within_bound(engine):
                self._drain(engine)
                self._governor.account(self._spent(engine))
                return max(self.spec.interval, self._governor.repayment())
            if time.monotonic() >= due:
                self._drain(engine)
                due = max(due + self.spec.interval, time.monotonic())
            elif engine.full():
                self._drain(engine)
        self._drain(engine)
        return 0.0

    def _within_bound(self, engine: Engine) -> bool:
        """Keep the cost within its limit; False if that requires a pause."""
        governor = self._governor
        message = governor.decide(self._spent(engine))
        if message and not governor.paused and not engine.raise_threshold(governor.threshold):
            message = governor.no_threshold()
        if message:
            log.warning("%s: %s", self.spec.table, message)
        return not governor.paused

    def _spent(self, engine: Engine) -> float:
        """Return the CPU seconds in the kernel, in this thread and in a helper."""
        cost = engine.cost()
        return (cost.run_ns + cost.helper_ns) / 1e9 + time.thread_time() - self._cpu_at_start

    def _drain(self, engine: Engine) -> None:
        drained = engine.drain()
        now, ended = time.monotonic(), time.time()
        self._outlet.deliver(self.spec.category, drained.rows, ended)
        self._outlet.report(self._interval(drained, engine.cost(), now), ended)
        following = OpenInterval(ended, self.spec.interval)
        self._outlet.unreported.started(self.spec.table, following)
        self._began = now

    def _interval(self, drained: Drained, cost: Cost, now: float) -> Interval:
        cpu = time.thread_time() + cost.helper_ns / 1e9
        interval = Interval(
            probe=self.spec.table,
            state="raised" if self._governor.threshold else "running",
            detail=self._governor.text,
            elapsed=round((now - self._began) * 1e6),
            row_count=len(drained.rows),
            loss=drained.loss,
            faults=drained.faults,
            bpf_runs=cost.runs - self._cost.runs,
            bpf_time=(cost.run_ns - self._cost.run_ns) // 1000,
            cpu_time=round((cpu - self._cpu) * 1e6),
            threshold=self._governor.threshold,
        )
        self._cost, self._cpu = cost, cpu
        return interval


def first_interval(spec: ProbeRun) -> float:
    """Return the seconds of the first interval, which depend on the host.

    So hosts that start at the same time do not send at the same time.
    """
    if spec.at_once:
        return 0.0
    share = zlib.crc32(f"{spec.hostname}/{spec.table}".encode()) / 2**32
    return spec.interval * (0.1 + 0.9 * share)
