"""`Logger`: rows from a script, collected and sent together."""

import atexit
import json
import logging
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kscope.client.answers import one_line
from kscope.client.encoding import timestamp
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload, Spooled
from kscope.client.payload_store import Memory
from kscope.client.rows import row_of, size_of
from kscope.client.sender import Sender
from kscope.client.spool import REFUSED, Fate, Spool
from kscope.client.spool_lock import abandoned, claim
from kscope.client.trust import Trust
from kscope.errors import KscopeError

log = logging.getLogger(__name__)

# A request's rows before compression, well below what a server takes.
_BATCH_BYTES = 4_000_000
_SPOOL_BYTES = 256 * 1024 * 1024
_SPOOL_AGE = 7 * 86400.0
# The share of the spool at which a sender that can wait should do so.
_FULL = 0.9
_LONGEST_PAUSE = 30.0
_HASTY_PAUSE = 0.25
_SHOWN_REFUSALS = 3


@dataclass(slots=True)
class _Open:
    """Rows of one table and host that are not sealed yet."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of rows.

    The server has `stored` rows, which include those that the spool had before; `refused` ones
    were refused by it, or were too old for the spool or too many; `waiting` ones are in memory,
    `kept` ones in the spool.
    """

    stored: int
    refused: int
    waiting: int
    kept: int


class Logger:
    """Collects rows and sends them together, from a separate thread.

    Rows are sent `interval` seconds after their call, or when a table has `batch` of them. While
    the server does not answer, up to `most` rows and `most_bytes` (compressed) are kept in
    memory; then a call raises KscopeError, and its row is not taken. With `spool`, a folder, rows
    are kept there instead, also after the process ends, until an agent, a Logger with the same
    server and spool, or `kscope spool send` sends them.

    Rows that the server refuses are dropped, or with a spool set aside, and the others arrive; a
    warning is logged, and the next `flush` or `close` raises KscopeError. The end of a `with`
    block waits up to `close_within` seconds for the server. `trust` has the files of TLS.

    It belongs to the process that made it: in a child after a fork, which has none of its threads,
    a call raises KscopeError, and `close` does nothing.
    """

    def __init__(  # noqa: PLR0913 - each with a default that fits
        self,
        url: str,
        token: str = "",
        *,
        hostname: str = "",
        interval: float = 1.0,
        batch: int = 1000,
        most: int = 100_000,
        most_bytes: int = 64 * 1024 * 1024,
        spool: str | Path | None = None,
        spool_bytes: int = _SPOOL_BYTES,
        spool_age: float = _SPOOL_AGE,
        close_within: float = 2.0,
        trust: Trust | None = None,
    ) -> None:
        self._hostname = hostname or socket.gethostname()
        self._interval = interval
        self._size = batch
        self._most = most
        self._most_bytes = most_bytes
        self._close_within = close_within
        self._spool_bytes = spool_bytes
        self._spool_age = spool_age
        self._open: dict[tuple[str, str], _Open] = {}
        self._open_rows = self._open_size = 0
        self._refusals: list[str] = []
        self._refused = self._all_refused = 0
        self._noting = threading.Lock()
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = threading.Event()
        trust = trust or Trust()
        endpoint = Endpoint(url, token, trust=trust)
        self._url = endpoint.url
        self._claim: int | None = None
        self._memory = Memory(self._dropped)
        self._senders = [Sender(self._memory, endpoint, _LONGEST_PAUSE)]
        self._spool = None if spool is None else self._opened(spool)
        self._disk_full = False
        if self._spool:
            spooling = Endpoint(url, token, trust=trust)
            self._senders.insert(0, Sender(self._spool, spooling, _LONGEST_PAUSE))
        for sender in self._senders:
            sender.start()
        self._thread = threading.Thread(target=self._run, name="kscope-logger", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def __call__(self, table: str, /, **columns: Any) -> None:
        """Log one row of category `table`. Its time is now, unless a `time` is given: seconds
        since 1970, a datetime (local time without an offset), or ISO 8601 text (UTC without one).
        A `hostname` replaces the Logger's own for this row.
        """
        self._check_process()
        row = row_of(table, columns)
        host = str(row.pop("hostname", None) or self._hostname)
        with self._lock:
            if self._closed.is_set():
                raise KscopeError("this Logger is closed")
            self._check_room()
            opened = self._open.setdefault((table, host), _Open())
            size = size_of(row)
            opened.rows.append(row)
            opened.size += size
            self._open_size += size
            self._open_rows += 1
            if len(opened.rows) >= self._size or opened.size >= _BATCH_BYTES:
                self._seal(table, host)

    @property
    def counts(self) -> Counts:
        """Return how many rows are where."""
        with self._lock:
            waiting = self._open_rows + self._memory.rows
        stored = sum(sender.stored for sender in self._senders)
        return Counts(stored, self._all_refused, waiting, self._spool.rows if self._spool else 0)

    @property
    def is_full(self) -> bool:
        """Return whether the next rows would be refused by the call, or push others out of the
        spool.
        """
        if self._spool and not self._memory.rows:
            return self._spool.size + self._open_size >= _FULL * self._spool_bytes
        return self._overfull()

    def settle(self, quiet: float) -> None:
        """Send all rows so far. Return once they are stored, or after `quiet` seconds without
        progress.
        """
        self._seal_all()
        for sender in self._senders:
            sender.hurry(_HASTY_PAUSE)
        before, end = -1, 0.0
        while (left := self._waiting()) and (left != before or time.monotonic() < end):
            if left != before:
                before, end = left, time.monotonic() + quiet
            time.sleep(0.01)

    def flush(self, timeout: float = 30.0) -> None:
        """Return when all rows so far are stored. KscopeError if that takes more than `timeout`
        seconds, or if the server refused rows.
        """
        self._check_process()
        self._seal_all()
        for sender in self._senders:
            sender.hurry(_LONGEST_PAUSE)
        self._wait(time.monotonic() + timeout)
        self._raise_refused()
        if left := self._waiting():
            raise KscopeError(f"{left} rows were not sent: {self._trouble() or self._url}")

    def close(self, timeout: float | None = None) -> None:
        """Wait up to `timeout` seconds (else `close_within`) for the server to have all rows.

        KscopeError with the number of rows that did not arrive; with a spool they are kept there.
        """
        if os.getpid() != self._process:
            # The other process sends its rows. A thread that held the lock is not here.
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        atexit.unregister(self._at_exit)
        self._seal_all()
        end = time.monotonic() + (self._close_within if timeout is None else timeout)
        for sender in self._senders:
            if sender.store is not self._spool:
                sender.conclude()
            sender.hurry(_HASTY_PAUSE)
        self._wait(end)
        for sender in self._senders:
            sender.stop(end)
        if self._claim is not None:
            os.close(self._claim)
        self._raise_refused(self._left())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, folder: str | Path) -> Spool:
        mine, self._claim = claim(Path(folder), self._url)
        spool = Spool(mine, max_bytes=self._spool_bytes, max_age=self._spool_age, lost=self._lost)
        for other in abandoned(mine.parent):
            spool.adopt(other)
        return spool

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise KscopeError(
                f"this Logger belongs to process {self._process}, which forked: make another one"
                " in the child"
            )

    def _check_room(self) -> None:
        """Raise KscopeError if too many rows wait."""
        if self._spool and not self._memory.rows:
            return
        if self._overfull():
            waiting = self._open_rows + self._memory.rows
            trouble = self._trouble() or self._url
            raise KscopeError(
                f"{waiting} rows wait to be sent, so this one is not taken: {trouble}"
            )

    def _overfull(self) -> bool:
        waiting = self._open_rows + self._memory.rows
        return waiting >= self._most or self._memory.size >= self._most_bytes

    def _waiting(self) -> int:
        """Return the number of rows that are sealed, and that the server does not have."""
        return sum(sender.store.rows for sender in self._senders)

    def _trouble(self) -> str:
        return next((each.trouble for each in self._senders if each.trouble), "")

    def _seal(self, table: str, host: str) -> None:
        """Pass rows on to be sent. The caller holds the lock."""
        opened = self._open.pop((table, host))
        body = {"hostname": host, "time": timestamp(time.time()), table: opened.rows}
        payload = Payload.of(table, body)
        if self._spool is None or not self._spool.put(payload):
            self._memory.put(payload)
            if self._spool and not self._disk_full:
                log.warning("the spool's disk takes no rows; they wait for the server in memory")
                self._disk_full = True
        for sender in self._senders:
            sender.wake()
        self._open_rows -= len(opened.rows)
        self._open_size -= opened.size

    def _seal_all(self) -> None:
        with self._lock:
            for table, host in list(self._open):
                self._seal(table, host)

    def _run(self) -> None:
        while not self._closed.wait(self._interval):
            self._seal_all()

    def _wait(self, end: float) -> None:
        while self._waiting() and time.monotonic() < end:
            time.sleep(0.01)

    def _left(self) -> str:
        """Say which rows did not arrive. Rows in the spool are kept, which is no error."""
        why = self._trouble() or "the time was up"
        if self._spool and self._spool.rows:
            log.warning("%d rows are kept in %s: %s", self._spool.rows, self._spool.folder, why)
        if self._memory.rows:
            return f"{self._memory.rows} rows were not sent to {self._url}: {why}"
        return ""

    def _lost(self, entry: Spooled, fate: Fate, rows: int) -> None:
        kept = f"; they are in {entry.path.parent / REFUSED}" if fate == "refused" else ""
        self._note(rows, f"{entry.table}: {rows} rows {fate}: {self._trouble()}{kept}")

    def _dropped(self, payload: Payload, reason: str) -> None:
        first = one_line(json.dumps(payload.content()[payload.table][0]))
        rows = f"the server refused {payload.rows} rows"
        self._note(payload.rows, f"{rows}: {reason} (the first one is {first})")

    def _note(self, rows: int, message: str) -> None:
        with self._noting:
            self._refused += rows
            self._all_refused += rows
            if len(self._refusals) < _SHOWN_REFUSALS:
                self._refusals.append(message)

    def _raise_refused(self, more: str = "") -> None:
        with self._noting:
            told, self._refusals = self._refusals, []
            count, self._refused = self._refused, 0
        messages = [*told, *([more] if more else [])]
        if count and len(told) == _SHOWN_REFUSALS:
            messages.append(f"{count} rows in all")
        if messages:
            raise KscopeError("; ".join(messages))

    def _at_exit(self) -> None:
        """Log the rows that did not arrive, for a script that ends without `close`."""
        with suppress(Exception):
            try:
                self.close()
            except KscopeError as error:
                log.error("%s", error)  # noqa: TRY400 - a sentence, not a traceback
