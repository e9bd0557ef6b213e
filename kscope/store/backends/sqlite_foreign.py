"""Check that a SQLite file is ours before anything is written to it."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from kscope.errors import UsageError
from kscope.store.backends.sqlite_errors import translated, unreachable

_HEADER = b"SQLite format 3\0"
_BUSY_SECONDS = 5.0
# A table of the service of 2016 has its category's name; the migration says what to do about it.
_TABLES = """
SELECT count(*), total(name GLOB 'kscope_*' OR name = 'offcputime') FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*'
"""


def check_ours(path: Path) -> None:
    """Raise UsageError unless the file is missing, without tables, or made by Kernelscope.

    Call it before this process opens the database: closing a file drops SQLite's locks on it.
    """
    if not check_regular(path):
        return
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise unreachable(path, error) from None
    if header != _HEADER:
        raise _refusal(path, "is not a SQLite database")
    try:
        tables, ours = _tables(path)
    except sqlite3.Error as error:
        raise translated(path, error) from error
    if tables and not ours:
        raise _refusal(path, "is the database of another program")


def check_regular(path: Path) -> bool:
    """Raise UsageError for a folder or a device; return whether the file has any content."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreachable(path, error) from None
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "is not a SQLite database")
    return found.st_size > 0


def _tables(path: Path) -> tuple[int, float]:
    """Count the tables, and those of Kernelscope.

    Without a log the file is opened as immutable: otherwise SQLite creates one, even to read.
    """
    real = os.path.realpath(path)
    mode = "mode=ro" if Path(f"{real}-wal").exists() else "mode=ro&immutable=1"
    uri = f"file:{quote(os.fsencode(real))}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
        ((tables, ours),) = connection.execute(_TABLES).fetchall()
    return tables, ours


def _refusal(path: Path, fault: str) -> UsageError:
    return UsageError(f"{path}: {fault}; name a new file, or one that Kernelscope made")
