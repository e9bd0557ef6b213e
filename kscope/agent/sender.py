"""Empties the spool towards the server: one thread, oldest first, patient."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.client import Answer, Endpoint, backoff, explain

if TYPE_CHECKING:
    from kscope.agent.batch import Batch
    from kscope.agent.spool import Spool, Spooled

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sent:
    """What was delivered since the last look."""

    batches: int = 0
    rows: int = 0
    refused: int = 0
    failures: int = 0


class Sender:
    """Sends what the spool holds. `longest` bounds the pause between attempts, in seconds."""

    def __init__(self, spool: Spool, endpoint: Endpoint, longest: float = 60.0) -> None:
        self._spool = spool
        self._endpoint = endpoint
        self._longest = longest
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sent = Sent()
        self._lock = threading.Lock()
        self._using = threading.Lock()
        self._complained = ""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something is in the spool. It does not cut a back-off short."""
        self._wake.set()

    def post_directly(self, batch: Batch) -> bool:
        """Send a batch that the disk would not take."""
        with self._using:
            answer = self._endpoint.post(batch.body, batch.encoding, batch.key)
        self._count(answer, batch.rows)
        return answer.accepted

    def stop(self, flush_for: float) -> None:
        """Try for up to `flush_for` seconds to empty the spool; what is left stays on disk."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(flush_for)
        end = time.monotonic() + flush_for
        while not self._thread.is_alive() and time.monotonic() < end:
            entry = self._spool.oldest()
            if entry is None or not self._send(entry):
                break
        self._endpoint.close()

    def take_sent(self) -> Sent:
        with self._lock:
            sent, self._sent = self._sent, Sent()
        return sent

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            entry = self._spool.oldest()
            if entry is None:
                self._wake.wait()
                self._wake.clear()
            elif self._send(entry):
                attempt = 0
            else:
                attempt += 1
                self._stopping.wait(max(self._pause, backoff(attempt, self._longest)))

    def _send(self, entry: Spooled) -> bool:
        """Whether the batch is off our hands."""
        self._pause = 0.0
        try:
            body = entry.body()
        except OSError as error:
            log.warning("%s cannot be read and is left out: %s", entry.path, error.strerror)
            self._spool.done(entry)
            return True
        with self._using:
            answer = self._endpoint.post(body, entry.encoding, entry.key)
        self._count(answer, entry.rows)
        if answer.accepted:
            self._spool.done(entry)
        elif answer.retry:
            self._pause = min(answer.retry_after or 0.0, 10 * self._longest)
            self._complain(f"not delivered, will try again: {explain(answer)}")
            return False
        else:
            self._spool.refuse(entry, answer.status, explain(answer))
            kept = self._spool.refused / entry.path.name
            self._complain(f"the server refused {entry.rows} rows, kept in {kept}: "
                           f"{explain(answer)}")  # fmt: skip
        return True

    def _count(self, answer: Answer, rows: int) -> None:
        with self._lock:
            if answer.accepted:
                self._sent.batches += 1
                self._sent.rows += rows
                if self._complained:
                    log.info("delivery works again")
                    self._complained = ""
            elif answer.retry:
                self._sent.failures += 1
            else:
                self._sent.refused += 1

    def _complain(self, message: str) -> None:
        """Say each trouble once, not once a second."""
        if message != self._complained:
            log.warning(message)
            self._complained = message
