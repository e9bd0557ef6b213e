"""The folders of a spool: one per running agent, below one per server, each with a lock."""

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kscope.errors import KscopeError


def claim(root: Path, server: str) -> tuple[Path, int]:
    """Return a folder for this agent below `root`, for batches to `server`, and its open lock.

    Agents that run at the same time have a folder each. Raises KscopeError.
    """
    folder = root / folder_of(server)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        number = 0
        while (held := try_lock(folder / str(number))) is None:
            number += 1
    except OSError as error:
        raise KscopeError(f"spool folder {folder}: {error.strerror}") from None
    return folder / str(number), held


def abandoned(folder: Path) -> Iterator[Path]:
    """Yield the folders of ended agents in that of a server, each locked while it is used."""
    for other in sorted(folder.iterdir()):
        held = try_lock(other) if (other / "lock").exists() else None
        if held is not None:
            try:
                yield other
            finally:
                os.close(held)


def of_other_servers(mine: Path) -> Iterator[Path]:
    """Yield such folders for servers that this agent does not send to."""
    for folder in sorted(mine.parent.parent.iterdir()):
        if folder != mine.parent and folder.is_dir():
            yield from abandoned(folder)


def folder_of(server: str) -> str:
    """Return the name of the folder for batches to a server's address."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", server.partition("://")[2] or server)


def try_lock(folder: Path) -> int | None:
    """Return the open lock of an agent's folder, which is made if need be, or None if an agent
    holds it. Raises OSError.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        if isinstance(error, BlockingIOError):
            return None
        raise  # such as for a file system without locks: another folder does not help
    return held
