"""A SQLite database -> a copy of one moment, while it is written; and back."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from kscope.errors import KscopeError
from kscope.store.backends.sqlite_lock import locked
from kscope.store.backends.sqlite_ours import check_ours, check_regular
from kscope.store.schema.migrate import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PAGES_PER_STEP = 5000


def backup(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy; `progress` is told the pages that are left and all pages."""
    if target.exists():
        raise KscopeError(f"{target} exists: name a new file")
    check_ours(source)
    try:
        with _part_of(target) as part:
            with _read_only(source) as reading, closing(sqlite3.connect(part)) as writing:
                _check(reading, source)
                # One read transaction around all steps: the copy is of one moment, and does not
                # begin anew with each commit of the server.
                reading.execute("BEGIN")
                reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                reading.backup(
                    writing,
                    pages=_PAGES_PER_STEP,
                    progress=lambda _, left, pages: progress(left, pages),
                    sleep=0.001,
                )
                _check_whole(writing, source)
            part.rename(target)
            _sync_folder(target)
    except (sqlite3.Error, OSError) as error:
        raise KscopeError(f"{target}: the backup failed: {error}") from None


def restore(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Put a backup in the place of `target`, which no server may have open."""
    check_regular(target)
    try:
        with locked(target, exclusive=True), _part_of(target) as part:
            with _read_only(source) as reading, closing(sqlite3.connect(part)) as writing:
                _check(reading, source)
                reading.backup(
                    writing,
                    pages=_PAGES_PER_STEP,
                    progress=lambda _, left, pages: progress(left, pages),
                )
                _check_whole(writing, source)
            # A log of the old file would be played into the new one.
            for suffix in ("-wal", "-shm"):
                target.with_name(f"{target.name}{suffix}").unlink(missing_ok=True)
            part.rename(target)
            _sync_folder(target)
    except (sqlite3.Error, OSError) as error:
        raise KscopeError(f"{target}: the restore failed: {error}") from None


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """Make a file beside the target, which no other file is called, and which is ours alone."""
    handle, name = tempfile.mkstemp(".part", f"{target.name}.", target.parent)
    os.close(handle)
    part = target.with_name(os.path.basename(name))  # noqa: PTH119 - a text, as mkstemp gives it
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise KscopeError(f"{path}: there is no such file")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        rows = connection.execute("SELECT value FROM kscope_meta WHERE name = 'layout'").fetchall()
    except sqlite3.Error as error:
        raise KscopeError(f"{path} is no database of kscope: {error}") from None
    if not rows or int(rows[0][0]) > LAYOUT:
        raise KscopeError(f"{path} was made by a newer kscope: use that version")


def _check_whole(copy: sqlite3.Connection, source: Path) -> None:
    """A damaged file is copied as faithfully as any other."""
    ((found,), *_) = copy.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise KscopeError(f"{source} is damaged: {found}; nothing was written")


def _sync_folder(path: Path) -> None:
    """A renamed file is there after a power cut once its folder is written."""
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
