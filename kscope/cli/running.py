"""An agent until a signal ends it; what has changed meanwhile is taken up as it goes."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.agent.agent import Agent
from kscope.cli import logs
from kscope.errors import KscopeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kscope.agent.agent import Delivery
    from kscope.agent.run.runner import ProbeRun
    from kscope.declare.model import Catalog, Category

    Signals = queue.SimpleQueue[int]

log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between looks at the files


@dataclass(frozen=True, slots=True)
class Parts:
    """All that an agent is made of, and the categories that were read for it."""

    catalog: Catalog
    runs: Sequence[ProbeRun]
    delivery: Delivery
    health_category: Category | None

    def agent(self) -> Agent:
        return Agent(self.runs, self.delivery, self.health_category)


def run(
    parts: Callable[[Catalog | None], Parts],
    caught: Signals,
    duration: float | None = None,
    signature: Callable[[], object] = lambda: None,
) -> None:
    """Until a signal says to end, or for `duration` seconds; SIGHUP reads everything again, as does
    a change of `signature`. `parts` gets the categories of before, which bad files keep.
    """
    # Taken before what it stands for is read: what changes while that goes on is seen afterwards.
    seen = signature()
    made = parts(None)
    running = made.agent()
    running.start()
    end = float("inf")
    if duration:
        running.wait_until_started()
        end = time.monotonic() + duration
    while (number := _next_signal(caught, end, signature, seen)) == signal.SIGHUP:
        seen = signature()
        try:
            changed = parts(made.catalog)
            running = _changed(running, made, changed)
            made = changed
            log.info("reloaded")
        except (KscopeError, OSError) as error:
            # A configuration that has become bad must not end an agent that works.
            log.warning("not reloaded: %s", error)
    running.stop()
    if duration and not number and (undelivered := running.undelivered()):
        raise KscopeError(undelivered)
    if not number and all(probe.failure for probe in running.probes):
        codes = {probe.exit_code for probe in running.probes}
        kind = UsageError if codes == {UsageError.exit_code} else KscopeError
        raise kind("no probe could run")


def _changed(running: Agent, before: Parts, after: Parts) -> Agent:
    """The same agent with other probes, or another one where rows go elsewhere."""
    same = before.delivery == after.delivery and before.health_category == after.health_category
    if same and after.runs:
        running.change(after.runs)
        return running
    following = after.agent()
    running.stop()
    following.start()
    return following


def set_up_logging(*, verbose: bool) -> None:
    # A way of its own to standard error: while a probe compiles, the compiler has the other.
    stream = os.fdopen(os.dup(2), "w", buffering=1)
    logs.set_up("%(levelname)s %(message)s", verbose=verbose, stream=stream)


def catch_signals(*, until_eof: bool = False) -> Signals:
    caught: Signals = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: caught.put(number))
    if until_eof:
        threading.Thread(target=_wait_for_eof, args=[caught], daemon=True).start()
    return caught


def _wait_for_eof(caught: Signals) -> None:
    """Whoever started us may not be allowed to signal us: sudo's child is root's."""
    # Not sys.stdin: who is still in it as the interpreter ends makes it abort.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    caught.put(signal.SIGTERM)


def _next_signal(caught: Signals, end: float, signature: Callable[[], object], seen: object) -> int:
    """The next signal, or 0 when the time is up; what differs from `seen` counts as SIGHUP."""
    while (left := end - time.monotonic()) > 0:
        try:
            return caught.get(timeout=min(left, _LOOK_EVERY))
        except queue.Empty:
            if signature() != seen:
                return signal.SIGHUP
    return 0
