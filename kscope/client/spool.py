"""Batches on disk until the server has them: bounded, oldest first, safe against kill -9."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING, Literal

from kscope.client.payload import Payload
from kscope.client.table_queues import TableQueues
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

# Sequence number first: the order of arrival survives a clock that is set back.
_NAME = re.compile(r"(\d{12})-(\d+)-([a-z][a-z0-9_]*)-([0-9a-f]{32})\.json(?:\.(gzip|zstd))?")
REFUSED = "refused"
REASON = ".reason"

Fate = Literal["dropped", "refused"]


@dataclass(frozen=True, slots=True)
class Spooled:
    """One waiting batch; its body is read when it is sent. `since` is when it came, by the
    monotonic clock: a wall clock that is corrected must not make batches old.
    """

    path: Path
    number: int
    table: str
    key: str
    rows: int
    encoding: str
    size: int
    since: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.since

    @property
    def place(self) -> str:
        return str(self.path)

    def body(self) -> bytes:
        return self.path.read_bytes()

    def batch(self) -> Payload:
        return Payload(self.table, self.key, self.rows, self.body(), self.encoding)


class Spool:
    """A folder of batches. `max_bytes` and `max_age` (seconds) bound what waits; used from any
    thread. Refused rows go to `refused/`, bounded by the same size. `lost` gets each batch of
    which a number of rows will not arrive, while its file is still there. Rows of `kept_longest`
    are dropped last. Only the owner can read the files.
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
        self.folder = folder
        self.refused = folder / REFUSED
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lost = lost
        self._kept_longest = kept_longest
        self._lock = threading.Lock()
        self._waiting: TableQueues[Spooled] = TableQueues()
        try:
            self.refused.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            for left in folder.glob("*.tmp"):
                left.unlink()
            for entry in waiting(folder):
                self._waiting.add(entry)
            self._aside = _sizes(self.refused)
            numbers = [*_numbers(folder), *_numbers(self.refused)]
        except OSError as error:
            raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
        self._aside_size = sum(self._aside.values())
        self._next = max(numbers, default=-1) + 1

    @property
    def rows(self) -> int:
        """The number of rows that wait."""
        return self._waiting.rows

    def put(self, batch: Payload) -> bool:
        """Keep the batch, at the cost of older ones if the bound is reached.

        False if the disk does not take it; the caller decides what becomes of it.
        """
        with self._lock:
            self._make_room(len(batch.body))
            return self._add(batch)

    def adopt(self, folder: Path) -> None:
        """Take over the batches that an agent that is gone left in its folder."""
        with self._lock:
            for entry in waiting(folder):
                path = self.folder / f"{self._number()}{entry.path.name[12:]}"
                entry.path.replace(path)
                self._waiting.add(_spooled(path))

    def oldest(self, without: frozenset[str] = frozenset()) -> Spooled | None:
        """Return the batch that came first, of a table that is not in `without`."""
        with self._lock:
            while old := [each for each in self._waiting.fronts() if each.age > self._max_age]:
                for entry in old:
                    self._drop(entry)
            return self._waiting.first(without)

    def done(self, entry: Spooled) -> None:
        """The server has it."""
        with self._lock:
            self._forget(entry)

    def drop(self, entry: Spooled) -> None:
        """It cannot be sent."""
        with self._lock:
            self._drop(entry)

    def refuse(self, entry: Spooled, status: int, reason: str) -> None:
        """The server will never take it: keep it, and why, for a person to see."""
        with self._lock:
            self._lost(entry, "refused", entry.rows)
            try:
                entry.path.replace(self.refused / entry.path.name)
            except OSError as error:
                log.warning("%s cannot be kept aside: %s", entry.path, error.strerror)
            else:
                self._explain(entry.path.name, entry.size, entry.rows, status, reason)
            self._forget(entry)

    def part(
        self,
        entry: Spooled,
        good: tuple[Payload, ...],
        bad: Payload | None,
        status: int,
        reason: str,
    ) -> bool:
        """Put `good` batches in the place of the entry, and `bad` aside. False if the disk does
        not take all of them: then all is as before.
        """
        with self._lock:
            added: list[Spooled] = []
            try:
                for each in good:
                    added.append(self._written(each))  # noqa: PERF401 - it may raise in between
                name = self._write_aside(bad) if bad is not None else ""
            except OSError:
                for half in added:
                    self._forget(half)
                return False
            if bad is not None:
                self._lost(entry, "refused", bad.rows)
                self._explain(name, len(bad.body), bad.rows, status, reason)
            self._forget(entry)
        return True

    def depth(self, waited: float = 0.0) -> tuple[int, int, float]:
        """Return the number of batches that waited for so many seconds, their bytes, and the age
        of the oldest.
        """
        with self._lock:
            young = [
                entry
                for lane in self._waiting.lanes()
                for entry in takewhile(lambda each: each.age < waited, lane)
            ]
            age = max((each.age for each in self._waiting.fronts()), default=0.0)
            count = self._waiting.count - len(young)
            return count, self._waiting.size - sum(e.size for e in young), age if count else 0.0

    def _add(self, batch: Payload) -> bool:
        try:
            self._written(batch)
        except OSError:
            return False
        return True

    def _written(self, batch: Payload) -> Spooled:
        """Return the batch that waits from now on. Raises OSError."""
        path = self.folder / self._name(batch)
        _write(path, batch.body)
        size, now = len(batch.body), time.monotonic()
        entry = Spooled(
            path, int(path.name[:12]), batch.table, batch.key, batch.rows, batch.encoding,
            size, now,
        )  # fmt: skip
        self._waiting.add(entry)
        return entry

    def _write_aside(self, batch: Payload) -> str:
        """Return the name of the batch's file in `refused/`. Raises OSError."""
        name = self._name(batch)
        _write(self.refused / name, batch.body)
        return name

    def _name(self, batch: Payload) -> str:
        suffix = f".json.{batch.encoding}" if batch.encoding else ".json"
        return f"{self._number()}-{batch.rows}-{batch.table}-{batch.key}{suffix}"

    def _number(self) -> str:
        number = self._next
        self._next += 1
        return f"{number:012d}"

    def _make_room(self, size: int) -> None:
        while self._waiting.size + size > self._max_bytes and self._waiting.count:
            # A row that says how much is missing is worth more than one more of many.
            kept = frozenset({self._kept_longest})
            entry = self._waiting.first(without=kept) or self._waiting.first()
            assert entry
            self._drop(entry)

    def _drop(self, entry: Spooled) -> None:
        self._lost(entry, "dropped", entry.rows)
        self._forget(entry)

    def _forget(self, entry: Spooled) -> None:
        """A file that cannot be removed is sent again some day, under a key that counts once."""
        self._waiting.remove(entry)
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", entry.path, error.strerror)

    def _explain(self, name: str, size: int, rows: int, status: int, reason: str) -> None:
        """Write down why a batch is aside, and keep the folder within its bound."""
        self._aside[name] = size
        self._aside_size += size
        try:
            explain(self.refused / name, rows, status, reason)
            if self._aside_size > self._max_bytes:
                self._trim_refused()
        except OSError as error:
            log.warning("%s: %s", self.refused, error.strerror)

    def _trim_refused(self) -> None:
        """Remove the oldest down to nine tenths, so that few batches need a look at all."""
        self._aside = _sizes(self.refused)
        self._aside_size = sum(self._aside.values())
        while self._aside_size > self._max_bytes * 0.9 and self._aside:
            name, size = self._aside.popitem(last=False)
            self._aside_size -= size
            remove(self.refused / name)


def waiting(folder: Path) -> Iterator[Spooled]:
    """Yield the batches in a folder, oldest first."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name):
            yield _spooled(path)


def explain(path: Path, rows: int, status: int, reason: str) -> None:
    """Write the reason for which a batch is aside next to it."""
    note = json.dumps({"status": status, "reason": reason, "rows": rows}).encode() + b"\n"
    _write(path.with_name(path.name + REASON), note)


def remove(path: Path) -> None:
    """Remove a batch that is aside, and its reason."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + REASON).unlink(missing_ok=True)


def _spooled(path: Path) -> Spooled:
    found = _NAME.fullmatch(path.name)
    assert found
    stat = path.stat()
    age = max(0.0, time.time() - stat.st_mtime)
    return Spooled(
        path,
        int(found[1]),
        found[3],
        found[4],
        int(found[2]),
        found[5] or "",
        stat.st_size,
        time.monotonic() - age,
    )


def _write(path: Path, body: bytes) -> None:
    """Whole or not at all: a crash leaves a `.tmp` that the next start removes."""
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
        _remove(building)
        raise


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s: %s", path, error.strerror)


def _sizes(folder: Path) -> OrderedDict[str, int]:
    """Return the batches in a folder and their bytes, oldest first."""
    found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return OrderedDict((path.name, path.stat().st_size) for path in found)


def _numbers(folder: Path) -> list[int]:
    return [int(path.name[:12]) for path in folder.iterdir() if path.name[:12].isdigit()]
