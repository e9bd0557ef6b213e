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
    """Device and inode of each file, from when it was first seen."""

    path: Path
    _known: dict[str, Identity] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def remember(self) -> None:
        """Note the file that is open now: from here on its path must lead to it."""
        self._known = {}
        real = os.path.realpath(self.path)
        self._names = {"": str(self.path), **{suffix: f"{real}{suffix}" for suffix in _BESIDE}}
        if found := _identity(self._names[""]):
            self._known[""] = found

    def forget(self) -> None:
        self._known = {}

    def state(self) -> State:
        if "" not in self._known:
            return State.WHOLE
        now = _identity(self._names[""])
        if now != self._known[""]:
            return State.REPLACED if now else State.GONE
        return State.WHOLE if all(map(self._is_there, _BESIDE)) else State.LOG_LOST

    def _is_there(self, suffix: str) -> bool:
        found = _identity(self._names[suffix])
        if found and suffix not in self._known:
            self._known[suffix] = found
        return found == self._known.get(suffix)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - six times for each commit
    except OSError:
        return None
    return found.st_dev, found.st_ino
