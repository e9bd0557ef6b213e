"""What SQLite says -> our errors, in words for the person whose file it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.store.backends.errors import (
    BatchRefused,
    QueryTimeout,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFault,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

WRITABLE = "the server must be able to write the file and its folder"
_SPACE = "; free some space, nothing that was acknowledged is lost"
LOG = "the server's log says why"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# By the error's name, or the first two words of it.
_ADVICE = {
    "SQLITE_FULL": _SPACE,
    # Its table of readers, a file of 32 kB, is made when the file is opened.
    "SQLITE_IOERR_SHMSIZE": _SPACE,
    "SQLITE_READONLY": f"; {WRITABLE}",
    "SQLITE_CANTOPEN": "; check that the file and its folder exist and may be read and written",
    "SQLITE_CORRUPT": "; the file is damaged: restore a backup (kscope restore)",
    "SQLITE_NOTADB": "; the file is no SQLite database: name another one",
    "SQLITE_IOERR": "; the disk fails, or is read-only now: see what `dmesg` and `mount` say of it",
}


def translated(path: Path, error: sqlite3.Error) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or ""
    family = "_".join(name.split("_")[:2])
    if family == "SQLITE_INTERRUPT":
        return QueryTimeout("the statement was ended at its deadline")
    if family in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        text = "is locked by another process"
        return StoreBusy(f"{path} {text}{_who(path)}", 2, public=f"the database {text}")
    if family in ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH"):
        return BatchRefused(f"{path}: {error}")
    advice = _ADVICE.get(name, _ADVICE.get(family, ""))
    if not advice:
        return StoreError(f"{path}: {error}", public=f"the database failed; {LOG}")
    kind = StoreDamaged if family in _DAMAGED else StoreFault
    return kind(f"{path}: {error}{advice}", public=f"the database: {error}{advice}")


def unreachable(path: Path, error: OSError) -> StoreError:
    """Return the error for a file, or a lock beside it, that the system does not open."""
    text = f"{error.strerror}; {WRITABLE}"
    return StoreError(f"{path}: {text}", public=f"the database: {text}")


def _who(path: Path) -> str:
    """Name those that keep others from writing, where the kernel tells of them."""
    holders = sorted(set(_holders(path)))
    if not holders:
        return f": `fuser -v {path}` names those that have it open"
    return (
        f" ({', '.join(f'pid {pid}, {_command(pid)}' for pid in holders)}): wait for it, or end it"
    )


def _holders(path: Path) -> Iterator[int]:
    """Give processes that hold a write lock on the file, or on the one of its readers' marks."""
    files = {_identity(path.with_name(f"{path.name}{suffix}")) for suffix in ("", "-shm")}
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 1234 08:01:131090 120 120
        match line.split():
            case [_, "POSIX", _, "WRITE", pid, file, *_] if file in files:
                # One that another container started has no number here.
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
