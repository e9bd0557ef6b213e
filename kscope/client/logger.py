"""`Logger`: rows from a script, collected and sent together."""

import atexit
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kscope.client.answers import one_line
from kscope.client.encoding import decode, timestamp
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload, Spooled
from kscope.client.payload_store import Memory
from kscope.client.sender import Sender
from kscope.client.spool import Fate, Spool
from kscope.client.spool_lock import abandoned, claim
from kscope.client.values import plain, time_of
from kscope.errors import KscopeError

log = logging.getLogger(__name__)

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ENVELOPE = frozenset({"hostname", "time", "stacks"})
# A request's rows before compression, well below what a server takes.
_BATCH_BYTES = 4_000_000
_VALUE_BYTES = 16
_SPOOL_BYTES = 256 * 1024 * 1024
_SPOOL_AGE = 7 * 86400.0
_LONGEST_PAUSE = 30.0
_HASTY_PAUSE = 0.25
_SHOWN_REFUSALS = 3


@dataclass(slots=True)
class _Open:
    """Rows of one table that are not sealed yet."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0


class Logger:
    """Collects rows and sends them together, from a separate thread.

    Rows are sent `interval` seconds after their call, or when a table has `batch` of them. While
    the server does not answer, up to `most` rows and `most_bytes` (compressed) are kept in
    memory; then a call raises KscopeError, and its row is not taken. With `spool`, a folder, rows
    are kept there instead, also after the process ends, until an agent, a Logger with the same
    server and spool, or `kscope spool send` sends them.

    Rows that the server refuses are dropped, or with a spool set aside, and the others arrive; a
    warning is logged, and the next `flush` or `close` raises KscopeError. The end of a `with`
    block waits up to `close_within` seconds for the server.
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
        close_within: float = 2.0,
    ) -> None:
        self._hostname = hostname or socket.gethostname()
        self._interval = interval
        self._size = batch
        self._most = most
        self._most_bytes = most_bytes
        self._close_within = close_within
        self._open: dict[str, _Open] = {}
        self._open_rows = 0
        self._refusals: list[str] = []
        self._refused = 0
        self._noting = threading.Lock()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        endpoint = Endpoint(url, token)
        self._url = endpoint.url
        self._claim: int | None = None
        self._memory = Memory(self._dropped)
        self._senders = [Sender(self._memory, endpoint, _LONGEST_PAUSE)]
        self._spool = None if spool is None else self._opened(spool)
        self._disk_full = False
        if self._spool:
            self._senders.insert(0, Sender(self._spool, Endpoint(url, token), _LONGEST_PAUSE))
        for sender in self._senders:
            sender.start()
        self._thread = threading.Thread(target=self._run, name="kscope-logger", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def __call__(self, table: str, /, **columns: Any) -> None:
        """Log one row of category `table`. Its time is now, unless a `time` is given: seconds
        since 1970, a datetime (local time without an offset), or ISO 8601 text (UTC without one).
        """
        row = _row(table, columns)
        with self._lock:
            if self._closed.is_set():
                raise KscopeError("this Logger is closed")
            self._check_room()
            opened = self._open.setdefault(table, _Open())
            opened.rows.append(row)
            opened.size += _size(row)
            self._open_rows += 1
            if len(opened.rows) >= self._size or opened.size >= _BATCH_BYTES:
                self._seal(table)

    def flush(self, timeout: float = 30.0) -> None:
        """Return when all rows so far are stored. KscopeError if that takes more than `timeout`
        seconds, or if the server refused rows.
        """
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
        spool = Spool(mine, max_bytes=_SPOOL_BYTES, max_age=_SPOOL_AGE, lost=self._lost)
        for other in abandoned(mine.parent):
            spool.adopt(other)
        return spool

    def _check_room(self) -> None:
        """Raise KscopeError if too many rows wait."""
        if self._spool and not self._memory.rows:
            return
        waiting = self._open_rows + self._memory.rows
        if waiting >= self._most or self._memory.size >= self._most_bytes:
            trouble = self._trouble() or self._url
            raise KscopeError(
                f"{waiting} rows wait to be sent, so this one is not taken: {trouble}"
            )

    def _waiting(self) -> int:
        """Return the number of rows that are sealed, and that the server does not have."""
        return sum(sender.store.rows for sender in self._senders)

    def _trouble(self) -> str:
        return next((each.trouble for each in self._senders if each.trouble), "")

    def _seal(self, table: str) -> None:
        """Pass a table's rows on to be sent. The caller holds the lock."""
        opened = self._open.pop(table)
        body = {"hostname": self._hostname, "time": timestamp(time.time()), table: opened.rows}
        payload = Payload.of(table, body)
        if self._spool is None or not self._spool.put(payload):
            self._memory.put(payload)
            if self._spool and not self._disk_full:
                log.warning("the spool's disk takes no rows; they wait for the server in memory")
                self._disk_full = True
        for sender in self._senders:
            sender.wake()
        self._open_rows -= len(opened.rows)

    def _seal_all(self) -> None:
        with self._lock:
            for table in list(self._open):
                self._seal(table)

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
        kept = f"; they are in {entry.path.parent}" if fate == "refused" else ""
        self._note(rows, f"{entry.table}: {rows} rows {fate}: {self._trouble()}{kept}")

    def _dropped(self, payload: Payload, reason: str) -> None:
        first = one_line(json.dumps(decode(payload.body, payload.encoding)[payload.table][0]))
        rows = f"the server refused {payload.rows} rows"
        self._note(payload.rows, f"{rows}: {reason} (the first one is {first})")

    def _note(self, rows: int, message: str) -> None:
        with self._noting:
            self._refused += rows
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


def _row(table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with JSON values. KscopeError names the column, and shows the row."""
    if not isinstance(table, str) or not _TABLE.fullmatch(table) or table in _ENVELOPE:
        raise KscopeError(f"'{one_line(str(table), 60)}' is not the name of a table")
    row = {}
    for name, value in columns.items():
        try:
            row[name] = time_of(value) if name == "time" and value is not None else plain(value)
        except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
            raise KscopeError(
                f"{table}: column {name}: {error} (in the row {_repr(columns)})"
            ) from None
    if row.get("time") is None:
        row["time"] = timestamp(time.time())
    return row


def _repr(columns: Mapping[str, Any]) -> str:
    """Return the row as text, or its columns if a value has no text."""
    try:
        return one_line(repr(columns))
    except Exception:  # noqa: BLE001 - as above; a huge int has no text either
        return f"with the columns {one_line(', '.join(columns))}"


def _size(row: Mapping[str, Any]) -> int:
    """Return the approximate size of the row in bytes."""
    return sum(
        len(value) + _VALUE_BYTES if isinstance(value, (str, list)) else _VALUE_BYTES
        for value in row.values()
    )
