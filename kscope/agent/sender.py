"""Empties the spool towards the server: one thread, oldest first, patient."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from kscope.client import Answer, Endpoint, backoff, explain, patience

if TYPE_CHECKING:
    from kscope.agent.batch import Batch
    from kscope.agent.spool import Spool, Spooled

log = logging.getLogger(__name__)


class Sender:
    """Sends what the spool holds. `longest` bounds the pause between attempts, in seconds."""

    def __init__(self, spool: Spool, endpoint: Endpoint, longest: float = 60.0) -> None:
        self._spool = spool
        self._endpoint = endpoint
        self._longest = longest
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._using = threading.Lock()
        self._failures = 0
        self._attempt = 0
        self._not_before = 0.0
        self._complained = ""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something is in the spool. It does not cut a back-off short."""
        self._wake.set()

    def post_directly(self, batch: Batch) -> bool:
        """Send a batch that the disk would not take; False at once while the server is left in
        peace, for a probe must not wait for it. An answer that is lost is False too.
        """
        if time.monotonic() < self._not_before:
            return False
        return self._post(batch.body, batch.encoding, batch.key).accepted

    def stop(self, end: float) -> None:
        """Try until `end`, by the monotonic clock, to empty the spool; the rest stays on disk."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(max(0.0, end - time.monotonic()))
        while not self._thread.is_alive() and time.monotonic() < end:
            entry = self._spool.oldest()
            if entry is None or not self._send(entry):
                break
        self._endpoint.close()

    def take_failures(self) -> int:
        """How many attempts failed since the last look."""
        with self._lock:
            failures, self._failures = self._failures, 0
        return failures

    def _run(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            try:
                entry = self._spool.oldest()
                if entry is None:
                    self._wake.wait()
                    self._wake.clear()
                elif not self._send(entry):
                    self._stopping.wait(self._not_before - time.monotonic())
                failed = 0
            except Exception as error:  # noqa: BLE001 - without this thread nothing is ever sent
                failed += 1
                self._complain(f"not delivered, will try again: {type(error).__name__}: {error}")
                self._stopping.wait(backoff(failed, self._longest))

    def _send(self, entry: Spooled) -> bool:
        """Whether the batch is off our hands."""
        try:
            body = entry.body()
        except OSError as error:
            log.warning("%s cannot be read and is left out: %s", entry.path, error.strerror)
            self._spool.drop(entry)
            return True
        answer = self._post(body, entry.encoding, entry.key)
        if answer.accepted:
            self._spool.done(entry)
        elif answer.retry:
            return False
        else:
            self._spool.refuse(entry, answer.status, explain(answer))
            kept = self._spool.refused / entry.path.name
            self._complain(f"the server refused {entry.rows} rows, kept in {kept}: "
                           f"{explain(answer)}")  # fmt: skip
        return True

    def _post(self, body: bytes, encoding: str, key: str) -> Answer:
        with self._using:
            answer = self._endpoint.post(body, encoding, key)
            if answer.retry:
                self._attempt += 1
                pause = patience(answer, self._attempt, self._longest)
                self._not_before = time.monotonic() + pause
                with self._lock:
                    self._failures += 1
                self._complain(f"not delivered, will try again: {explain(answer)}")
            else:
                self._attempt, self._not_before = 0, 0.0
            if answer.accepted and self._complained:
                log.info("delivery works again")
                self._complained = ""
        return answer

    def _complain(self, message: str) -> None:
        """Say each trouble once, not once a second."""
        if message != self._complained and not self._stopping.is_set():
            log.warning(message)
            self._complained = message
