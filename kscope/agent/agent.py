"""The agent: probes in threads, one spool, one sender."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscope.agent import health
from kscope.agent.batch import batches
from kscope.agent.bpfstats import BpfStatistics
from kscope.agent.runner import ProbeRunner
from kscope.agent.sender import Sender
from kscope.agent.spool import Spool, claim
from kscope.client import Endpoint
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.agent.engines.base import Row
    from kscope.agent.health import Interval
    from kscope.agent.runner import Plan
    from kscope.declare.model import Category

log = logging.getLogger(__name__)
_STATE = "state.json"
FLUSH_FOR = 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where rows go. Sizes in bytes, times in seconds."""

    server: str
    hostname: str
    token: str = ""
    spool: Path | None = None
    spool_bytes: int = 256 * 1024 * 1024
    spool_age: float = 7 * 86400.0
    longest_pause: float = 60.0


class Agent:
    """Runs plans until `stop`. `health` is the category that takes the agent's own rows."""

    def __init__(
        self, plans: Sequence[Plan], delivery: Delivery, health_category: Category | None
    ) -> None:
        if not plans:
            raise KscopeError("there is no probe to run: name one, or list some in the config")
        self._delivery = delivery
        self._health_category = health_category
        folder, self._lock = claim(delivery.spool or spool_folder(), delivery.server)
        self._state = folder / _STATE
        self._spool = Spool(folder, max_bytes=delivery.spool_bytes, max_age=delivery.spool_age)
        endpoint = Endpoint(delivery.server, delivery.token)
        self._sender = Sender(self._spool, endpoint, delivery.longest_pause)
        self._health = health.Health(self._spool, self._sender)
        self._intervals: dict[str, float] = {}
        self._guard = threading.Lock()
        self.probes = [ProbeRunner(plan, self) for plan in plans]

    def start(self) -> None:
        self._statistics = BpfStatistics()
        self._report_killed()
        self._sender.start()
        for probe in self.probes:
            probe.start()

    def wait_until_started(self) -> None:
        """Until each probe runs or has failed."""
        for probe in self.probes:
            probe.started.wait()

    def stop(self) -> None:
        """Drain every probe, then try to empty the spool; what is left is sent next time."""
        for probe in self.probes:
            probe.stop()
        for probe in self.probes:
            probe.join(FLUSH_FOR)
        self._sender.stop(FLUSH_FOR)
        self._statistics.close()
        batches_left, size, _ = self._spool.depth()
        if batches_left:
            log.warning("%d batches (%d bytes) stay in %s", batches_left, size, self._spool.folder)
        os.close(self._lock)

    # ---- what the probes call

    def deliver(self, category: Category, rows: list[Row], ended: float) -> None:
        for batch in batches(category, rows, self._delivery.hostname, ended):
            # A disk that takes nothing is no reason to lose what the server would take.
            if not self._spool.put(batch) and self._sender.post_directly(batch):
                self._spool.undrop(batch.rows)
        self._sender.wake()

    def report(self, interval: Interval, ended: float) -> None:
        if self._health_category:
            self.deliver(self._health_category, [self._health.row(interval)], ended)

    def began(self, probe: str, at: float | None) -> None:
        with self._guard:
            if at is None:
                self._intervals.pop(probe, None)
            else:
                self._intervals[probe] = at
            try:
                if self._intervals:
                    building = self._state.with_suffix(".tmp")
                    building.write_text(json.dumps(self._intervals))
                    building.replace(self._state)
                else:
                    self._state.unlink(missing_ok=True)
            except OSError as error:
                log.debug("%s: %s", self._state, error.strerror)

    def _report_killed(self) -> None:
        """The state file says which intervals an agent before us began and never ended."""
        try:
            left: dict[str, Any] = json.loads(self._state.read_text())
            rows = [health.killed_row(str(name), float(at)) for name, at in left.items()]
        except (OSError, ValueError, AttributeError, TypeError):
            return
        log.warning("the last agent was killed: an interval of %s is lost", ", ".join(left))
        if self._health_category:
            self.deliver(self._health_category, rows, time.time())
        self._state.unlink(missing_ok=True)


def spool_folder() -> Path:
    """systemd's STATE_DIRECTORY, else root's /var/lib, else the user's state folder."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0]) / "spool"
    if os.geteuid() == 0:
        return Path("/var/lib/kernelscope/spool")
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / "kernelscope" / "spool"
