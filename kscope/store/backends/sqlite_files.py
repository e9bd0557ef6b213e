"""The files of a SQLite database: who may read them, which process has them, where they are now.

Only their owner may read them: rows show what runs on every host. A user can move or delete them
while they are open.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from kscope.errors import KscopeError

_MODE = 0o600
_OTHERS = 0o077
# SQLite keeps them next to the file that a symbolic link leads to.
_BESIDE = ("-wal", "-shm")

Identity = tuple[int, int]

log = logging.getLogger(__name__)


def create(path: Path) -> None:
    """Create the file if it is missing. Raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE))
    except FileExistsError:
        tighten(path)


def tighten(path: Path) -> None:
    """Remove the rights of other users on the file; log a warning if another user owns it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & _OTHERS:
        return
    if found.st_uid != os.geteuid():
        log.warning("%s: other users can read it, and its owner is another user: chmod 600", path)
        return
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError as error:
        log.warning("%s: other users can read it: %s", path, error.strerror)


@contextmanager
def locked(database: Path, *, exclusive: bool = False) -> Iterator[None]:
    """Hold `<database>.lock`: shared by servers, exclusive to replace the file.

    Not the database file itself: closing it would drop SQLite's own locks in this process.
    """
    handle = take(database, exclusive=exclusive)
    try:
        yield
    finally:
        os.close(handle)


def take(database: Path, *, exclusive: bool = False) -> int:
    """Return the open file that holds the lock until it is closed, or the process exits."""
    path = database.with_name(f"{database.name}.lock")
    create(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        who = "a server" if exclusive else "`kscope restore`"
        raise KscopeError(f"{database} is in use by {who}: stop it first") from None
    return handle


class State(Enum):
    """`GONE` and `REPLACED` are about the file itself, `LOG_LOST` about -wal and -shm."""

    WHOLE = "is in its place again"
    GONE = "was moved or deleted while the server runs; put it back, or restart the server"
    REPLACED = (
        "was replaced by another file while the server runs; put the first one back, or restart"
        " the server to use the other one"
    )
    LOG_LOST = "lost its -wal or -shm file while the server runs; the server makes them again"


@dataclass
class OpenFile:
    """Device and inode of the file, -wal and -shm, from when each was first seen."""

    path: Path
    _seen: dict[str, Identity | None] = field(default_factory=dict)

    def remember(self) -> None:
        """Note the file that is open now: from here on its path must lead to it."""
        real, own = os.path.realpath(self.path), str(self.path)
        self._seen = {own: _identity(own)} | {f"{real}{suffix}": None for suffix in _BESIDE}

    def forget(self) -> None:
        self._seen = {}

    def state(self) -> State:
        if not self._seen:
            return State.WHOLE
        own, *beside = self._seen
        now = _identity(own)
        if now != self._seen[own]:
            return State.REPLACED if now else State.GONE
        return State.WHOLE if all(map(self._is_there, beside)) else State.LOG_LOST

    def _is_there(self, name: str) -> bool:
        found = _identity(name)
        self._seen[name] = self._seen[name] or found
        return found == self._seen[name]


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - six times for each commit
    except OSError:
        return None
    return found.st_dev, found.st_ino
