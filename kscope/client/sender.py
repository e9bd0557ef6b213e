"""Sends what a store of payloads has: one thread, oldest first, until the server has all."""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from kscope.client.answers import Answer, Outcome
from kscope.client.encoding import UnreadableBodyError
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.payload_store import PayloadStore
from kscope.client.retry import UNKNOWN_FOR, Holds, backoff, pause_after

log = logging.getLogger(__name__)
_GRACE = 0.1  # seconds for a thread to end that has nothing to do


def _parts(payload: Payload, answer: Answer) -> tuple[tuple[Payload, ...], Payload | None]:
    """Return the payloads that replace a refused one, and the one to set aside."""
    bad = {row for row in answer.bad_rows(payload.table) if row < payload.rows}
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and payload.rows > 1:
        later = range(payload.rows // 2, payload.rows)
        return (payload.rest(later), payload.only(later)), None
    if 0 < len(bad) < payload.rows:
        return (payload.rest(bad),), payload.only(bad)
    return (), payload


class Sender:
    """Sends what the store has. `longest` bounds the pause between attempts, in seconds.

    `is_optional` is asked about each payload that the server refuses or does not know: whether to
    leave it out.
    `trouble` is the last reason for which rows were not stored; empty after a success. `stored`
    counts the rows that were.
    """

    def __init__(
        self,
        store: PayloadStore[Any],
        endpoint: Endpoint,
        longest: float = 60.0,
        is_optional: Callable[[Payload, Answer], bool] = lambda _payload, _answer: False,
    ) -> None:
        self.store = store
        self._endpoint = endpoint
        self._longest = longest
        self._is_optional = is_optional
        self._wake = threading.Event()
        self._pause = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._using = threading.Lock()
        self._holds = Holds()
        self._last_chance = self._given_up = False
        self._failures = 0
        self._attempt = 0
        self._not_before = 0.0
        self._complained = ""
        self._told: set[str] = set()
        self.trouble = ""
        self.stored = 0
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Announce a new payload. This does not shorten a pause."""
        self._wake.set()

    def hurry(self, longest: float) -> None:
        """Try again immediately, and pause for no longer than `longest` seconds from now on."""
        self._longest = longest
        self._not_before = 0.0
        self._pause.set()
        self._wake.set()

    def conclude(self) -> None:
        """From now on refuse rows with an unknown name immediately, because the process ends."""
        self._last_chance = True

    def post_directly(self, payload: Payload) -> bool:
        """Send a payload that the disk did not take, and return whether it is stored. Return False
        immediately during a pause, because a probe must not wait for it.
        """
        if time.monotonic() < self._not_before:
            return False
        return self._post(payload).stored

    def stop(self, end: float) -> None:
        """Try until `end`, by the monotonic clock, to empty the store; the rest stays there."""
        self._stopping.set()
        self._pause.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(max(_GRACE, end - time.monotonic()))
        if self._thread.is_alive():
            self._given_up = True
            self.trouble = self.trouble or f"{self._endpoint.url} did not answer in time"
            self._endpoint.abort()
            return
        while time.monotonic() < end:
            entry = self.store.oldest(self._held())
            if entry is None or not self._send(entry):
                break
        self._endpoint.close()

    def take_failures(self) -> int:
        """Return the number of attempts that failed since the last call."""
        with self._lock:
            failures, self._failures = self._failures, 0
        return failures

    def _run(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            try:
                entry = self.store.oldest(self._held())
                if entry is None:
                    self._wake.wait(self._holds.next())
                    self._wake.clear()
                elif not self._send(entry):
                    self._rest(self._not_before - time.monotonic())
                failed = 0
            except Exception as error:  # noqa: BLE001 - without this thread nothing is ever sent
                failed += 1
                self._complain(f"not delivered, will try again: {type(error).__name__}: {error}")
                self._rest(backoff(failed, self._longest))

    def _held(self) -> frozenset[str]:
        return frozenset() if self._last_chance else self._holds.held()

    def _rest(self, seconds: float) -> None:
        if not self._stopping.is_set():
            self._pause.wait(seconds)
            self._pause.clear()

    def _send(self, entry: Any) -> bool:
        """Return whether to continue immediately, with this entry or another one."""
        try:
            payload = entry.payload()
        except OSError as error:
            log.warning("%s cannot be read and is left out: %s", error.filename, error.strerror)
            self.store.drop(entry)
            return True
        answer = self._post(payload)
        if answer.outcome is Outcome.LATER:
            return False
        waits = answer.outcome is Outcome.UNKNOWN and not self._last_chance
        if answer.stored:
            self._holds.known(payload.table)
            self.stored += payload.rows
            self._tell(answer)
            self.store.done(entry)
        elif self._is_optional(payload, answer):
            self.store.done(entry)
        elif waits and self._holds.later(payload.table) < UNKNOWN_FOR:
            self._complain(
                f"{payload.table}: not delivered, will try again for {UNKNOWN_FOR / 60:g} minutes: "
                f"{answer.text}"
            )
        else:
            self._refuse(entry, payload, answer)
        return True

    def _post(self, payload: Payload) -> Answer:
        with self._using:
            answer = self._endpoint.post(payload)
            if not self._given_up:
                self.trouble = answer.text
            if answer.outcome is Outcome.LATER:
                self._attempt += 1
                pause = pause_after(answer, self._attempt, self._longest)
                self._not_before = time.monotonic() + pause
                with self._lock:
                    self._failures += 1
                self._complain(f"not delivered, will try again: {answer.text}")
            else:
                self._attempt, self._not_before = 0, 0.0
            if answer.stored and self._complained:
                log.info("delivery works again")
                self._complained = ""
        return answer

    def _refuse(self, entry: Any, payload: Payload, answer: Answer) -> None:
        """Set aside the rows that the server names, and send the others."""
        try:
            good, wrong = _parts(payload, answer)
        except UnreadableBodyError as error:
            # The server may know which rows are bad, but this machine cannot take them out.
            self._complain(f"{payload.table}: set aside whole: {error}; {answer.text}")
            self.store.refuse(entry, answer)
            return
        if not good:
            self.store.refuse(entry, answer)
        elif not self.store.part(entry, good, wrong, answer):
            self._holds.later(payload.table)
            self._complain(
                f"{payload.table}: not delivered, will try again: the disk does not take the parts"
                f" of a payload that the server refused: {answer.text}"
            )
            return
        if wrong:
            self._complain(f"the server refused {wrong.rows} rows: {answer.text}")

    def _tell(self, answer: Answer) -> None:
        """Log that rows are older than the server keeps them, once for each table."""
        if answer.old.keys() - self._told:
            self._told.update(answer.old)
            log.warning("the server stored rows that will not stay: %s", answer.told)

    def _complain(self, message: str) -> None:
        """Log a message, unless it is the same as the last one."""
        if message != self._complained and not self._stopping.is_set():
            log.warning(message)
            self._complained = message
