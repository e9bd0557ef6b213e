"""Batches on disk until the server has them: bounded, oldest first, safe against kill -9."""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING

from kscope.errors import KscopeError

if TYPE_CHECKING:
    from kscope.agent.batch import Batch

# Sequence number first: the order of arrival survives a clock that is set back.
_NAME = re.compile(r"(\d{12})-(\d+)-([0-9a-f]{32})\.json(?:\.(gzip|zstd))?")


@dataclass(frozen=True, slots=True)
class Spooled:
    """One waiting batch; its body is read when it is sent."""

    path: Path
    key: str
    rows: int
    encoding: str
    size: int
    modified: float

    def body(self) -> bytes:
        return self.path.read_bytes()


@dataclass(slots=True)
class Dropped:
    """What the bound, or a disk that would not take it, cost since the last look."""

    batches: int = 0
    rows: int = 0


class Spool:
    """A folder of batches. `max_bytes` and `max_age` (seconds) bound what waits; used from any
    thread. Refused batches go to `refused/`, bounded by the same size.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age: float) -> None:
        self.folder = folder
        self.refused = folder / "refused"
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lock = threading.Lock()
        self._dropped = Dropped()
        try:
            self.refused.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            for left in folder.glob("*.tmp"):
                left.unlink()
        except OSError as error:
            raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
        waiting = self.waiting()
        self._entries = {entry.path.name: entry for entry in waiting}
        self._next = int(waiting[-1].path.name[:12]) + 1 if waiting else 0
        self._next = max([self._next, *(n + 1 for n in _numbers(self.refused))])

    def put(self, batch: Batch) -> bool:
        """Keep the batch, at the cost of older ones where the bound is reached.

        False when the disk would not take it; it then counts as dropped unless the caller sends
        it at once and takes it back with `undrop`.
        """
        suffix = f".json.{batch.encoding}" if batch.encoding else ".json"
        with self._lock:
            name = f"{self._next:012d}-{batch.rows}-{batch.key}{suffix}"
            self._next += 1
            self._make_room(len(batch.body))
            path = self.folder / name
            try:
                _write(path, batch.body)
            except OSError:
                self._count_dropped(batch.rows)
                return False
            self._entries[name] = Spooled(
                path, batch.key, batch.rows, batch.encoding, len(batch.body), time.time()
            )
        return True

    def undrop(self, rows: int) -> None:
        with self._lock:
            self._dropped.batches -= 1
            self._dropped.rows -= rows

    def waiting(self) -> list[Spooled]:
        """All batches on disk, oldest first."""
        entries = []
        for path in sorted(self.folder.iterdir()):
            found = _NAME.fullmatch(path.name)
            if found:
                stat = path.stat()
                entries.append(
                    Spooled(
                        path, found[3], int(found[2]), found[4] or "", stat.st_size, stat.st_mtime
                    )
                )
        return entries

    def oldest(self) -> Spooled | None:
        with self._lock:
            self._drop_aged()
            return next(iter(self._entries.values()), None)

    def done(self, entry: Spooled) -> None:
        """The server has it."""
        with self._lock:
            self._entries.pop(entry.path.name, None)
            entry.path.unlink(missing_ok=True)

    def refuse(self, entry: Spooled, status: int, reason: str) -> None:
        """The server will never take it: keep it, and why, for a person to look at."""
        note = json.dumps({"status": status, "reason": reason, "rows": entry.rows})
        with self._lock:
            self._entries.pop(entry.path.name, None)
            try:
                entry.path.replace(self.refused / entry.path.name)
                (self.refused / f"{entry.path.name}.reason").write_text(note + "\n")
            except OSError:
                entry.path.unlink(missing_ok=True)
                self._count_dropped(entry.rows)
            self._trim_refused()

    def depth(self) -> tuple[int, int, float]:
        """How many batches wait, their bytes, and the oldest one's age in seconds."""
        with self._lock:
            entries = list(self._entries.values())
        age = max(0.0, time.time() - entries[0].modified) if entries else 0.0
        return len(entries), sum(entry.size for entry in entries), age

    def take_dropped(self) -> Dropped:
        with self._lock:
            dropped, self._dropped = self._dropped, Dropped()
        return dropped

    def _make_room(self, size: int) -> None:
        total = sum(entry.size for entry in self._entries.values()) + size
        for entry in list(self._entries.values()):
            if total <= self._max_bytes:
                return
            self._drop(entry)
            total -= entry.size

    def _drop_aged(self) -> None:
        oldest_allowed = time.time() - self._max_age
        for entry in list(self._entries.values()):
            if entry.modified >= oldest_allowed:
                return
            self._drop(entry)

    def _drop(self, entry: Spooled) -> None:
        self._entries.pop(entry.path.name, None)
        entry.path.unlink(missing_ok=True)
        self._count_dropped(entry.rows)

    def _count_dropped(self, rows: int) -> None:
        self._dropped.batches += 1
        self._dropped.rows += rows

    def _trim_refused(self) -> None:
        files = sorted(self.refused.iterdir())
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= self._max_bytes:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


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
        building.unlink(missing_ok=True)
        raise


def _numbers(folder: Path) -> list[int]:
    return [int(path.name[:12]) for path in folder.iterdir() if path.name[:12].isdigit()]


def claim(root: Path, server: str) -> tuple[Path, int]:
    """A folder for this agent alone, below `root`, for batches to `server`; and the open lock.

    Agents that run side by side get a folder each. What an agent that is gone left behind is
    moved into ours, so that it is sent whichever agent starts next.
    """
    folder = root / re.sub(r"[^A-Za-z0-9.]+", "_", server.partition("://")[2] or server)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mine, lock = next(filter(None, (_lock(folder / str(n)) for n in range(1000))))
    except OSError as error:
        raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
    for other in sorted(folder.iterdir()):
        left = _lock(other) if other != mine and other.is_dir() else None
        if left:
            _adopt(other, mine)
            os.close(left[1])
    return mine, lock


def _lock(folder: Path) -> tuple[Path, int] | None:
    folder.mkdir(exist_ok=True, mode=0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return folder, lock


def _adopt(other: Path, mine: Path) -> None:
    numbers = [*_numbers(mine), *_numbers(mine / "refused")] if (mine / "refused").is_dir() else []
    following = max(numbers, default=-1) + 1
    for path in sorted(other.iterdir()):
        if _NAME.fullmatch(path.name):
            path.replace(mine / f"{following:012d}{path.name[12:]}")
            following += 1
