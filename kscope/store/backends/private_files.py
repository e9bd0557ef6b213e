"""Files that only their owner may read: rows show what runs on every host."""

import logging
import os
import stat
from pathlib import Path

_MODE = 0o600
_OTHERS = 0o077

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
