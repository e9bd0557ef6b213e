"""Files that only their owner may read: rows say what runs on every host."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600
_OTHERS = 0o077

log = logging.getLogger(__name__)


def create(path: Path) -> None:
    """Make the file, if there is none. Raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE))
    except FileExistsError:
        tighten(path)


def tighten(path: Path) -> None:
    """Take the rights of all others from a file of ours; warn of one that is another user's."""
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
