"""The agent: probes in threads, one spool, one sender."""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kscope.agent.host.bpfstats import BpfStatistics
from kscope.agent.rows.interval import Row
from kscope.agent.rows.packing import payloads
from kscope.agent.run import health
from kscope.agent.run.health import Interval
from kscope.agent.run.runner import ProbeRun, ProbeRunner
from kscope.agent.run.unreported import OpenInterval, Unreported
from kscope.client import spool_lock
from kscope.client.answers import Answer, Outcome
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload, Spooled
from kscope.client.sender import Sender
from kscope.client.spool import Fate, Spool, waiting
from kscope.client.trust import Trust
from kscope.declare.model import Category
from kscope.errors import UsageError

log = logging.getLogger(__name__)
# Seconds: for the last drains; for these and the last delivery. systemd waits longer.
DRAIN_WITHIN = 15.0
STOP_WITHIN = 25.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where rows are sent. Sizes are in bytes, times in seconds; `timeout` is for one response."""

    server: str
    hostname: str
    token: str = field(default="", repr=False)
    spool: Path | None = None
    spool_bytes: int = 256 * 1024 * 1024
    spool_age: float = 7 * 86400.0
    timeout: float = 30.0
    longest_pause: float = 60.0
    trust: Trust = field(default_factory=Trust)


class Agent:
    """Runs probes until `stop`. `health_category` is the category of the agent's own rows.

    Raises KscopeError if something is wrong with `delivery`, such as its address or its spool.
    """

    def __init__(
        self, runs: Sequence[ProbeRun], delivery: Delivery, health_category: Category | None
    ) -> None:
        if not runs:
            raise UsageError(
                "there is no probe to run: name one, or list some in the configuration"
            )
        endpoint = Endpoint(delivery.server, delivery.token, delivery.timeout, trust=delivery.trust)
        folder, self._claim = spool_lock.claim(delivery.spool or spool_folder(), endpoint.url)
        self.delivery = delivery
        self._health_category = health_category
        self.unreported = Unreported(folder, health_category)
        self._spool = Spool(
            folder,
            max_bytes=delivery.spool_bytes,
            max_age=delivery.spool_age,
            lost=self._lost,
            kept_longest=health.TABLE,
        )
        self._sender = Sender(self._spool, endpoint, delivery.longest_pause, self._is_optional)
        self._says_faults = True
        self._not_stored = 0
        self._probes = {run.table: ProbeRunner(run, self) for run in runs}

    @property
    def probes(self) -> list[ProbeRunner]:
        return list(self._probes.values())

    def start(self) -> None:
        self._statistics = BpfStatistics()
        self._take_over()
        self._sender.start()
        for probe in self.probes:
            self._start(probe)

    def change(self, runs: Iterable[ProbeRun]) -> None:
        """Run these probes instead; one whose `ProbeRun` is equal continues undisturbed."""
        wanted = {run.table: run for run in runs}
        kept = {p.spec.table: p for p in self.probes if p.is_running(wanted.get(p.spec.table))}
        ending = [probe for name, probe in self._probes.items() if name not in kept]
        _end(ending, time.monotonic() + DRAIN_WITHIN)
        started = {name: ProbeRunner(run, self) for name, run in wanted.items() if name not in kept}
        self._probes = kept | started
        for probe in started.values():
            self._start(probe)

    def wait_until_started(self) -> None:
        """Wait until each probe runs or has failed."""
        for probe in self.probes:
            probe.started.wait()

    def stop(self) -> None:
        """Drain every probe, then try to empty the spool; the next agent sends the rest."""
        began = time.monotonic()
        _end(self.probes, began + DRAIN_WITHIN)
        self._sender.stop(began + STOP_WITHIN)
        self.unreported.save()
        self._statistics.close()
        os.close(self._claim)
        if rows := self._spool.rows:
            log.warning("%d rows are kept in %s", rows, self._spool.folder)

    def undelivered(self) -> str:
        """Return a message about the rows that the server does not have, or ''."""
        kept, folder = self._spool.rows, self._spool.folder
        parts = [f"{kept} rows were not delivered and are kept in {folder}"] if kept else []
        if self._not_stored:
            parts.append(f"{self._not_stored} rows were refused or dropped, see {folder}")
        why = f": {self._sender.trouble}" if parts and self._sender.trouble else ""
        advice = "; `kscope spool send` tries again" if parts else ""
        return " and ".join(parts) + why + advice

    # ---- what the probes call

    def deliver(self, category: Category, rows: list[Row], ended: float) -> None:
        for payload in payloads(category, rows, self.delivery.hostname, ended):
            if not self._keep(payload):
                counts = {"dropped_batches": 1, "dropped_rows": payload.rows}
                self.unreported.add(category.table, counts)
        self._sender.wake()

    def report(self, interval: Interval, ended: float) -> None:
        row = health.health_row(interval, self._spool, self._sender)
        self._say([row], ended)
        self._say_faults(health.fault_rows(interval, row), ended)
        stopped = self.unreported.without_row(self._probes)
        self._say([{"probe": probe, "state": "ended"} for probe in stopped], ended)

    # ----

    def _start(self, probe: ProbeRunner) -> None:
        if probe.spec.max_overhead and not self._statistics.on:
            log.warning(
                "%s: the kernel's BPF statistics are off, so that only the agent's own time counts "
                "towards the bound: run as root, or sysctl kernel.bpf_stats_enabled=1",
                probe.spec.table,
            )
        probe.start()

    def _keep(self, payload: Payload) -> bool:
        """Keep the payload in the spool, or send it immediately if the disk is full."""
        return self._spool.put(payload) or self._sender.post_directly(payload)

    def _say(self, rows: Iterable[Row], ended: float) -> None:
        """Send rows about probes with their unreported counts; keep the counts if that fails."""
        if self._health_category is None:
            return
        for row in map(self.unreported.take_into, rows):
            for payload in payloads(self._health_category, [row], self.delivery.hostname, ended):
                if not self._keep(payload):
                    self.unreported.add(row["probe"], row)
        self._sender.wake()

    def _say_faults(self, rows: list[Row], ended: float) -> None:
        """Send rows about binaries in a separate batch, which an older server may refuse."""
        if self._health_category is None or not self._says_faults:
            return
        for payload in payloads(self._health_category, rows, self.delivery.hostname, ended):
            self._keep(payload)
        self._sender.wake()

    def _is_optional(self, payload: Payload, answer: Answer) -> bool:
        """Return whether a refused payload may be left out: it is only about binaries.

        A server that is older than this agent does not know their columns, and would refuse all
        others of that kind too.
        """
        if answer.outcome is not Outcome.UNKNOWN:
            return False
        try:
            optional = payload.table == health.TABLE and _is_about_binaries(_rows_of(payload))
        except Exception:  # noqa: BLE001 - a broken file may break in any way
            return False
        if optional and self._says_faults:
            self._says_faults = False
            log.warning(
                "the server does not take the rows about single binaries; an older one does not "
                "know them. They are left out until the agent starts again: %s",
                answer.text,
            )
        return optional

    def _lost(self, entry: Spooled, fate: Fate, rows: int) -> None:
        """Count the rows of a batch that will not arrive as lost.

        Counts in dropped rows about probes are reported again. The server would refuse the refused
        ones again; they stay in the folder for the user.
        """
        if entry.table != health.TABLE:
            self._not_stored += rows
            counts = {f"{fate}_batches": 1, f"{fate}_rows": rows}
            self.unreported.add(entry.table, counts)
        elif fate == "dropped":
            try:
                said = _rows_of(entry.payload())
            except Exception as error:  # noqa: BLE001 - a broken file may break in any way
                log.warning("%s cannot be read: %s", entry.path, error)
                return
            for row in [] if _is_about_binaries(said) else said:
                self.unreported.add(row["probe"], row)

    def _take_over(self) -> None:
        """Take over from earlier agents: batches, unreported counts, unfinished intervals."""
        folder = self._spool.folder
        self._report_killed(self.unreported.take_over(folder))
        try:
            for other in spool_lock.abandoned(folder.parent):
                self._spool.adopt(other)
                self._report_killed(self.unreported.take_over(other))
            for other in spool_lock.of_other_servers(folder):
                self._look_at_former(other)
        except OSError as error:
            log.warning("%s: %s", error.filename, error.strerror)

    def _report_killed(self, began: Mapping[str, OpenInterval]) -> None:
        if not began:
            return
        log.warning("the last agent was killed: an interval of %s is lost", ", ".join(began))
        now = time.time()
        for probe, each in began.items():
            row = {
                "probe": probe,
                "state": "killed",
                "detail": "the agent ended without a drain: the data of this interval is lost",
                # The time without an agent does not belong to the lost interval.
                "elapsed": round(min(each.length, max(0.0, now - each.at)) * 1e6),
                "lost_intervals": 1,
            }
            self._say([row], now)

    def _look_at_former(self, folder: Path) -> None:
        """Keep batches for other servers until an agent sends them or they are too old."""
        left = list(waiting(folder))
        for entry in [each for each in left if each.age > self.delivery.spool_age]:
            self._lost(entry, "dropped", entry.rows)
            with suppress(OSError):
                entry.path.unlink()
            left.remove(entry)
        if left:
            log.warning(
                "%d batches for another server wait in %s: an agent with that --server sends them",
                len(left),
                folder,
            )


def _rows_of(payload: Payload) -> list[Row]:
    """Return the rows of a payload that agents made; a damaged one raises any exception."""
    rows: list[Row] = payload.content()[payload.table]
    return rows


def _is_about_binaries(rows: Iterable[Row]) -> bool:
    return all(row["state"] == health.STACKS for row in rows)


def _end(probes: Iterable[ProbeRunner], deadline: float) -> None:
    """Stop all of them at the same time, so that one that is stuck does not delay the others."""
    for probe in probes:
        probe.stop()
    for probe in probes:
        probe.join(max(0.0, deadline - time.monotonic()))
        if probe.is_alive():
            log.warning("%s: does not stop, its last interval is lost", probe.spec.table)


def spool_folder() -> Path:
    """Return systemd's STATE_DIRECTORY, or root's /var/lib, or the user's state folder."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0]) / "spool"
    if os.geteuid() == 0:
        return Path("/var/lib/kernelscope/spool")
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / "kernelscope" / "spool"
