"""A lock between servers that have a SQLite file open, and `kscope restore`."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kscope.errors import KscopeError
from kscope.store.backends.private_files import create


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
