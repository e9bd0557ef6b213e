"""SQLite's errors -> ours, with advice for the owner of the file."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from kscope.store.backends.errors import (
    FAILED,
    BatchRefused,
    QueryTimeout,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFault,
)

WRITABLE = "the server must be able to write the file and its folder"
_SPACE = "; free some space, nothing that was acknowledged is lost"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# By the error's code, or the primary code in its lowest byte.
_ADVICE = {
    sqlite3.SQLITE_FULL: _SPACE,
    # Its table of readers, a file of 32 kB, is made when the file is opened.
    sqlite3.SQLITE_IOERR_SHMSIZE: _SPACE,
    sqlite3.SQLITE_READONLY: f"; {WRITABLE}",
    sqlite3.SQLITE_CANTOPEN: (
        "; check that the file and its folder exist and may be read and written"
    ),
    sqlite3.SQLITE_CORRUPT: "; the file is damaged: restore a backup (kscope restore)",
    sqlite3.SQLITE_NOTADB: "; the file is not a SQLite database: name another one",
    sqlite3.SQLITE_IOERR: ("; the disk fails, or is read-only now: check `dmesg` and `mount`"),
}


def translated(path: Path, error: Exception) -> StoreError:
    """Return the StoreError for an error of SQLite, by its code."""
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_INTERRUPT:
        return QueryTimeout("the statement was cancelled at its deadline")
    if primary in _BUSY:
        text = "is locked by another process"
        return StoreBusy(f"{path} {text}{_who(path)}", 2, public=f"the database {text}")
    if primary in _REFUSED:
        return BatchRefused(f"{path}: {error}")
    advice = _ADVICE.get(code, _ADVICE.get(primary, ""))
    if not advice:
        return StoreError(f"{path}: {error}", public=FAILED)
    kind = StoreDamaged if primary in _DAMAGED else StoreFault
    return kind(f"{path}: {error}{advice}", public=f"the database: {error}{advice}")


def unreachable(path: Path, error: OSError) -> StoreError:
    """Return the error for a file, or its lock, that the system cannot open."""
    text = f"{error.strerror}; {WRITABLE}"
    return StoreError(f"{path}: {text}", public=f"the database: {text}")


def _who(path: Path) -> str:
    """Name the processes that block writes, if the kernel lists them."""
    holders = sorted(set(_holders(path)))
    if not holders:
        return f": `fuser -v {path}` names those that have it open"
    return (
        f" ({', '.join(f'pid {pid}, {_command(pid)}' for pid in holders)}): wait for it, or end it"
    )


def _holders(path: Path) -> Iterator[int]:
    """Yield the processes that hold a write lock on the file, or on its -shm file."""
    files = {_identity(path.with_name(f"{path.name}{suffix}")) for suffix in ("", "-shm")}
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 1234 08:01:131090 120 120
        match line.split():
            case [_, "POSIX", _, "WRITE", pid, file, *_] if file in files:
                # A process of another container has no pid here.
                if int(pid) > 0 and int(pid) != os.getpid():
                    yield int(pid)


def _identity(path: Path) -> str:
    """Write device and inode as /proc/locks does."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "which has ended"
