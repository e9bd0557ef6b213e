"""Compare an open SQLite file with the file at its path: a user can move or delete it."""

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# SQLite keeps them next to the file that a symbolic link leads to.
_BESIDE = ("-wal", "-shm")

Identity = tuple[int, int]


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
