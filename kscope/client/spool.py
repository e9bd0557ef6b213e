"""Payloads that wait on disk: bounded, oldest first, safe against kill -9."""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Literal

from kscope.client.answers import Answer
from kscope.client.payload import Payload, Spooled
from kscope.client.payload_store import PayloadStore
from kscope.errors import KscopeError

log = logging.getLogger(__name__)

# Sequence number first: the order of arrival survives a clock that is set back.
_NAME = re.compile(r"(\d{12})-(\d+)-([a-z][a-z0-9_]*)-([0-9a-f]{32})\.json(?:\.(gzip|zstd))?")
REFUSED = "refused"
REASON = ".reason"

Fate = Literal["dropped", "refused"]


class Spool(PayloadStore[Spooled]):
    """A folder of payloads, bounded by `max_bytes` and `max_age` (seconds). Refused rows move to
    `refused/`, bounded by the same size. Before the file of a payload is removed, `lost` is called
    with the number of its rows that will not arrive. Rows of the table `kept_longest` are dropped
    last. Only the owner can read the files.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_age: float,
        lost: Callable[[Spooled, Fate, int], None],
        kept_longest: str = "",
    ) -> None:
        super().__init__()
        self.folder = folder
        self.refused = folder / REFUSED
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lost = lost
        self._kept_longest = kept_longest
        try:
            self.refused.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            for left in folder.glob("*.tmp"):
                left.unlink()
            for entry in waiting(folder):
                self._enqueue(entry)
            self._aside_size = sum(each.size for each in waiting(self.refused))
            used = [path.name[:12] for path in (*folder.iterdir(), *self.refused.iterdir())]
        except OSError as error:
            raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
        self._numbers = count(max((int(name) for name in used if name.isdigit()), default=-1) + 1)

    def adopt(self, folder: Path) -> None:
        """Take over the payloads that a stopped agent left in its folder. Raises OSError."""
        with self._lock:
            for entry in waiting(folder):
                path = self.folder / f"{self._number()}{entry.path.name[12:]}"
                entry.path.replace(path)
                self._enqueue(_spooled(path))

    def drop(self, entry: Spooled) -> None:
        with self._lock:
            self._drop(entry)

    def refuse(self, entry: Spooled, answer: Answer) -> None:
        """Set the entry aside, with the reason, for a person to read."""
        with self._lock:
            self._lost(entry, "refused", entry.rows)
            try:
                entry.path.replace(self.refused / entry.path.name)
            except OSError as error:
                log.warning("%s cannot be set aside: %s", entry.path, error.strerror)
            else:
                self._explain(entry.path.name, entry, answer)
            self._forget(entry)

    def depth(self, waited: float = 0.0) -> tuple[int, int, float]:
        """Return the number of payloads that have waited for at least `waited` seconds, their
        bytes, and the age of the oldest in seconds.
        """
        with self._lock:
            young = [
                entry
                for queue in self._queues.values()
                for entry in takewhile(lambda each: each.age < waited, reversed(queue.values()))
            ]
            age = max((each.age for each in self._fronts()), default=0.0)
            number = self.count - len(young)
            return number, self.size - sum(e.size for e in young), age if number else 0.0

    def _keep(self, payload: Payload) -> Spooled:
        path = self.folder / self._name(payload)
        _write(path, payload.body)
        return _spooled(path)

    def _set_aside(self, entry: Spooled, bad: Payload, answer: Answer) -> None:
        name = self._name(bad)
        _write(self.refused / name, bad.body)
        self._lost(entry, "refused", bad.rows)
        self._explain(name, bad, answer)

    def _name(self, payload: Payload) -> str:
        suffix = f".json.{payload.encoding}" if payload.encoding else ".json"
        return f"{self._number()}-{payload.rows}-{payload.table}-{payload.key}{suffix}"

    def _number(self) -> str:
        return f"{next(self._numbers):012d}"

    def _make_room(self, size: int) -> None:
        while self.size + size > self._max_bytes and self.count:
            # Rows about the agent itself are worth more than rows of its probes.
            kept = frozenset({self._kept_longest})
            entry = self._first(without=kept) or self._first()
            assert entry
            self._drop(entry)

    def _drop_expired(self) -> None:
        while old := [each for each in self._fronts() if each.age > self._max_age]:
            for entry in old:
                self._drop(entry)

    def _drop(self, entry: Spooled) -> None:
        self._lost(entry, "dropped", entry.rows)
        self._forget(entry)

    def _forget(self, entry: Spooled) -> None:
        """Remove the entry. If its file stays, a later start sends it again under the same key."""
        super()._forget(entry)
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", entry.path, error.strerror)

    def _explain(self, name: str, bad: Payload | Spooled, answer: Answer) -> None:
        """Write down why a payload is set aside, and keep the folder within its bound."""
        self._aside_size += bad.size
        try:
            explain(self.refused / name, bad.rows, answer)
            if self._aside_size > self._max_bytes:
                self._trim_refused()
        except OSError as error:
            log.warning("%s: %s", self.refused, error.strerror)

    def _trim_refused(self) -> None:
        """Remove the oldest, down to nine tenths of the bound: the folder is rarely listed."""
        aside = list(waiting(self.refused))
        self._aside_size = sum(each.size for each in aside)
        for oldest in aside:
            if self._aside_size <= self._max_bytes * 0.9:
                break
            self._aside_size -= oldest.size
            remove(oldest.path)


def waiting(folder: Path) -> Iterator[Spooled]:
    """Yield the payloads in a folder, oldest first. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name):
            yield _spooled(path)


def explain(path: Path, rows: int, answer: Answer) -> None:
    """Write the reason next to a payload that is set aside. Raises OSError."""
    note = {"status": answer.status, "reason": answer.text, "rows": rows}
    _write(path.with_name(path.name + REASON), json.dumps(note).encode() + b"\n")


def remove(path: Path) -> None:
    """Remove a payload that is set aside, and its reason. Raises OSError."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + REASON).unlink(missing_ok=True)


def _spooled(path: Path) -> Spooled:
    found = _NAME.fullmatch(path.name)
    assert found
    number, rows, table, key, encoding = found.groups("")
    stat = path.stat()
    arrived = time.monotonic() - max(0.0, time.time() - stat.st_mtime)
    return Spooled(path, int(number), table, key, int(rows), encoding, stat.st_size, arrived)


def _write(path: Path, body: bytes) -> None:
    """Write the file whole: a crash leaves a `.tmp`, which the next start removes."""
    building = path.with_name(path.name + ".tmp")
    try:
        private = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(private, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        building.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        with suppress(OSError):
            building.unlink(missing_ok=True)
        raise
