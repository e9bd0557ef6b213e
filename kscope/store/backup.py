"""Copy a SQLite database while it is written, and restore it from a copy."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from kscope.errors import KscopeError
from kscope.store.backends.sqlite_files import locked
from kscope.store.backends.sqlite_foreign import check_ours, check_regular
from kscope.store.schema.migrate import LAYOUT

_PAGES_PER_STEP = 5000


def backup(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database to a new file; `progress` gets the pages that are left and all pages."""
    if target.exists():
        raise KscopeError(f"{target} exists: name a new file")
    check_ours(source)
    with _reported(target, "backup"), _opened(source) as reading, _part_of(target) as part:
        _copy(reading, part, source, progress)
        _rename(part, target)


def restore(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Replace `target` with a backup. Raise KscopeError if a server has it open."""
    check_regular(target)
    with (
        _reported(target, "restore"),
        _opened(source) as reading,
        locked(target, exclusive=True),
        _part_of(target) as part,
    ):
        _copy(reading, part, source, progress)
        # SQLite would apply a log of the old file to the new one.
        for suffix in ("-wal", "-shm"):
            target.with_name(f"{target.name}{suffix}").unlink(missing_ok=True)
        _rename(part, target)


@contextmanager
def _reported(target: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise KscopeError(f"{target}: the {what} failed: {why}") from None


def _copy(
    reading: sqlite3.Connection, part: Path, source: Path, progress: Callable[[int, int], None]
) -> None:
    """Copy all pages as they are at one time, and check the copy."""
    with closing(sqlite3.connect(part)) as writing:
        # One read transaction around all steps: otherwise the copy starts again at each commit of
        # the server.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reading.backup(
            writing,
            pages=_PAGES_PER_STEP,
            progress=lambda _, left, pages: progress(left, pages),
            sleep=0.001,
        )
        _check_whole(writing, source)


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """Create a file next to the target, with a unique name and for our user only."""
    handle, name = tempfile.mkstemp(".part", f"{target.name}.", target.parent)
    os.close(handle)
    part = target.with_name(os.path.basename(name))  # noqa: PTH119 - a text, as mkstemp gives it
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database to read it. Raises KscopeError if it is none of ours."""
    if not path.is_file():
        raise KscopeError(f"{path}: there is no such file")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        _check(connection, path)
        yield connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        rows = connection.execute("SELECT value FROM kscope_meta WHERE name = 'layout'").fetchall()
    except sqlite3.Error as error:
        raise KscopeError(f"{path} is no database of kscope: {error}") from None
    if not rows or int(rows[0][0]) > LAYOUT:
        raise KscopeError(f"{path} was made by a newer kscope: use that version")


def _check_whole(copy: sqlite3.Connection, source: Path) -> None:
    """Raise KscopeError if the copy is damaged: then its source is too."""
    ((found,), *_) = copy.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise KscopeError(f"{source} is damaged: {found}; nothing was written")


def _rename(part: Path, target: Path) -> None:
    """Rename the file, and write its folder: from then on it survives a power cut."""
    part.rename(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
