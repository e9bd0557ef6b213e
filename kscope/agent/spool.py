"""Batches on disk until the server has them: bounded, oldest first, safe against kill -9."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING, Literal

from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kscope.agent.batch import Batch

log = logging.getLogger(__name__)

# Sequence number first: the order of arrival survives a clock that is set back.
_NAME = re.compile(r"(\d{12})-(\d+)-([a-z][a-z0-9_]*)-([0-9a-f]{32})\.json(?:\.(gzip|zstd))?")

Fate = Literal["dropped", "refused"]


@dataclass(frozen=True, slots=True)
class Spooled:
    """One waiting batch; its body is read when it is sent. `since` is when it came, by the
    monotonic clock: one that is set right must not make batches old.
    """

    path: Path
    table: str
    key: str
    rows: int
    encoding: str
    size: int
    since: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.since

    def body(self) -> bytes:
        return self.path.read_bytes()


class Spool:
    """A folder of batches. `max_bytes` and `max_age` (seconds) bound what waits; used from any
    thread. Refused batches go to `refused/`, bounded by the same size. `lost` is called with each
    batch that will not arrive, while its file is still there. Rows of `kept_longest` go last.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_age: float,
        lost: Callable[[Spooled, Fate], None],
        kept_longest: str = "",
    ) -> None:
        self.folder = folder
        self.refused = folder / "refused"
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lost = lost
        self._kept_longest = kept_longest
        self._lock = threading.Lock()
        try:
            self.refused.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            for left in folder.glob("*.tmp"):
                left.unlink()
            self._entries = {entry.path.name: entry for entry in waiting(folder)}
            numbers = [*_numbers(folder), *_numbers(self.refused)]
        except OSError as error:
            raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
        self._next = max(numbers, default=-1) + 1

    def put(self, batch: Batch) -> bool:
        """Keep the batch, at the cost of older ones where the bound is reached.

        False when the disk would not take it; what then becomes of it is the caller's to say.
        """
        suffix = f".json.{batch.encoding}" if batch.encoding else ".json"
        with self._lock:
            self._make_room(len(batch.body))
            path = self.folder / f"{self._number()}-{batch.rows}-{batch.table}-{batch.key}{suffix}"
            try:
                _write(path, batch.body)
            except OSError:
                return False
            self._entries[path.name] = Spooled(
                path,
                batch.table,
                batch.key,
                batch.rows,
                batch.encoding,
                len(batch.body),
                time.monotonic(),
            )
        return True

    def adopt(self, folder: Path) -> None:
        """Take over what an agent that is gone left in its folder."""
        with self._lock:
            for entry in waiting(folder):
                path = self.folder / f"{self._number()}{entry.path.name[12:]}"
                entry.path.replace(path)
                self._entries[path.name] = _spooled(path)

    def oldest(self) -> Spooled | None:
        with self._lock:
            for entry in [each for each in self._entries.values() if each.age > self._max_age]:
                self._drop(entry)
            return next(iter(self._entries.values()), None)

    def done(self, entry: Spooled) -> None:
        """The server has it."""
        with self._lock:
            self._forget(entry)

    def drop(self, entry: Spooled) -> None:
        """It cannot be sent."""
        with self._lock:
            self._drop(entry)

    def refuse(self, entry: Spooled, status: int, reason: str) -> None:
        """The server will never take it: keep it, and why, for a person to look at."""
        note = json.dumps({"status": status, "reason": reason, "rows": entry.rows})
        with self._lock:
            self._lost(entry, "refused")
            try:
                entry.path.replace(self.refused / entry.path.name)
                (self.refused / f"{entry.path.name}.reason").write_text(note + "\n")
                self._trim_refused()
            except OSError as error:
                log.warning("%s cannot be kept aside: %s", entry.path, error.strerror)
            self._forget(entry)

    def depth(self, waited: float = 0.0) -> tuple[int, int, float]:
        """How many batches have waited for so many seconds, their bytes, the oldest one's age."""
        with self._lock:
            entries = [each for each in self._entries.values() if each.age >= waited]
        age = entries[0].age if entries else 0.0
        return len(entries), sum(entry.size for entry in entries), age

    def _number(self) -> str:
        number = self._next
        self._next += 1
        return f"{number:012d}"

    def _make_room(self, size: int) -> None:
        total = sum(entry.size for entry in self._entries.values()) + size
        # What says what is missing is worth more than what is one more of many.
        going = sorted(self._entries.values(), key=lambda each: each.table == self._kept_longest)
        for entry in going:
            if total <= self._max_bytes:
                return
            self._drop(entry)
            total -= entry.size

    def _drop(self, entry: Spooled) -> None:
        self._lost(entry, "dropped")
        self._forget(entry)

    def _forget(self, entry: Spooled) -> None:
        """A file that cannot be removed is sent again some day, under a key that counts once."""
        self._entries.pop(entry.path.name, None)
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", entry.path, error.strerror)

    def _trim_refused(self) -> None:
        files = sorted(self.refused.iterdir())
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= self._max_bytes:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


def waiting(folder: Path) -> Iterator[Spooled]:
    """All batches in a folder, oldest first."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name):
            yield _spooled(path)


def _spooled(path: Path) -> Spooled:
    found = _NAME.fullmatch(path.name)
    assert found
    stat = path.stat()
    age = max(0.0, time.time() - stat.st_mtime)
    return Spooled(
        path,
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
        with building.open("wb") as file:
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


def _numbers(folder: Path) -> list[int]:
    return [int(path.name[:12]) for path in folder.iterdir() if path.name[:12].isdigit()]
