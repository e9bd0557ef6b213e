"""Run an agent until a signal ends it, and reload changed files."""

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kscope.agent.agent import Agent, Delivery
from kscope.agent.host import heap
from kscope.agent.run.runner import ProbeRun
from kscope.cli import logs
from kscope.declare.model import Catalog, Category
from kscope.errors import KscopeError, UsageError

Signals = queue.SimpleQueue[int]

log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between looks at the files


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an agent, and the categories that were read for it."""

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
    """Run until a signal, or for `duration` seconds. SIGHUP or a change of `signature` reloads.

    `parts` receives the present categories, which files that became bad keep.
    """
    # Before the files are read, so that a change during the reading is noticed afterwards.
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
            # A configuration that became bad must not stop a running agent.
            log.warning("not reloaded: %s", error)
    running.stop()
    if duration and not number and (undelivered := running.undelivered()):
        raise KscopeError(undelivered)
    if not number and all(probe.failure for probe in running.probes):
        codes = {probe.exit_code for probe in running.probes}
        kind = UsageError if codes == {UsageError.exit_code} else KscopeError
        raise kind("no probe could run")


def _changed(running: Agent, before: Parts, after: Parts) -> Agent:
    """Return the same agent with other probes, or a new one if the delivery changed."""
    same = before.delivery == after.delivery and before.health_category == after.health_category
    if same and after.runs:
        running.change(after.runs)
        return running
    following = after.agent()
    running.stop()
    following.start()
    return following


def prepare(*, verbose: bool = False, until_eof: bool = False, log_format: str = "text") -> Signals:
    """Set up logging, and return the signals that arrive from now on."""
    heap.keep_small()
    # A separate descriptor: the agent captures the other one while a probe compiles.
    stream = os.fdopen(os.dup(2), "w", buffering=1)
    logs.set_up("%(levelname)s %(message)s", verbose=verbose, stream=stream, log_format=log_format)
    caught: Signals = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: caught.put(number))
    if until_eof:
        threading.Thread(target=_wait_for_eof, args=[caught], daemon=True).start()
    return caught


def _wait_for_eof(caught: Signals) -> None:
    """Stop at the end of standard input: a user cannot send a signal to root's child of sudo."""
    # Not sys.stdin: a thread that reads it makes the interpreter abort at its end.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    caught.put(signal.SIGTERM)


def _next_signal(caught: Signals, end: float, signature: Callable[[], object], seen: object) -> int:
    """Return the next signal, or 0 at `end`; a signature other than `seen` counts as SIGHUP."""
    while (left := end - time.monotonic()) > 0:
        try:
            return caught.get(timeout=min(left, _LOOK_EVERY))
        except queue.Empty:
            if signature() != seen:
                return signal.SIGHUP
    return 0
