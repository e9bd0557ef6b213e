"""A mistaken `--sqlite`: a file that is not ours is refused, and nothing about it changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.databases import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = "k.db: is not a SQLite database; name a new file, or one that Kernelscope made"
FOREIGN = "k.db: is the database of another program; name a new file, or one that Kernelscope made"
COMMANDS = {
    "migrate": ["migrate"],
    "migrate --dry-run": ["migrate", "--dry-run"],
    "migrate --drop": ["migrate", "--drop", "offcputime"],
    "retention": ["retention"],
    "retention --dry-run": ["retention", "--dry-run"],
    "query": ["query", "offcputime"],
    "backup": ["backup", "copy.db"],
    "serve": ["serve", "--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0"],
}


def text(path: Path) -> None:
    path.write_text("hello world, not a database at all\n")


def short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3")


def folder(path: Path) -> None:
    path.mkdir()


def link_to_text(path: Path) -> None:
    text(path.with_name("plain.txt"))
    path.symlink_to("plain.txt")


def foreign(path: Path, *pragmas: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for pragma in pragmas:
            connection.execute(pragma)
        connection.execute("CREATE TABLE firefox (x)")


def foreign_with_log(path: Path) -> None:
    foreign(path, "PRAGMA journal_mode=WAL")


def foreign_in_the_log(path: Path) -> None:
    """As a killed program leaves it: its table is in the log alone."""
    made = path.with_name("made.db")
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE firefox (x)")
        for suffix in ("", "-wal", "-shm"):
            content = made.with_name(f"made.db{suffix}").read_bytes()
            path.with_name(f"{path.name}{suffix}").write_bytes(content)


def link_to_foreign(path: Path) -> None:
    foreign_with_log(path.with_name("other.db"))
    path.symlink_to("other.db")


KINDS = [
    (text, TEXT),
    (short, TEXT),
    (folder, TEXT),
    (link_to_text, TEXT),
    (foreign, FOREIGN),
    (foreign_with_log, FOREIGN),
    (foreign_in_the_log, FOREIGN),
    (link_to_foreign, FOREIGN),
]


def state(where: Path) -> dict[str, tuple[int, bytes]]:
    """Name -> mode and content. SQLite's table of readers changes with each of them."""
    return {
        each.name: (
            each.lstat().st_mode,
            each.read_bytes() if each.is_file() and not each.name.endswith("-shm") else b"",
        )
        for each in where.iterdir()
    }


@pytest.mark.parametrize(("make", "message"), KINDS)
def test_what_is_not_ours_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    """By every command: the same words, exit code 2, and no lock file is left."""
    make(tmp_path / "k.db")
    for each in tmp_path.iterdir():
        each.chmod(0o755 if each.is_dir() else 0o644)
    before = state(tmp_path)
    for name, arguments in COMMANDS.items():
        done = command(*arguments, "--sqlite", tmp_path / "k.db", folder=tmp_path)
        assert (done.returncode, done.stderr.strip()) == (2, f"{tmp_path}/{message}"), name
        assert state(tmp_path) == before, name


def test_a_folder_is_no_place_for_a_restore(tmp_path: Path) -> None:
    (tmp_path / "k.db").mkdir()
    done = command("restore", "none", "--sqlite", tmp_path / "k.db", "--force")
    assert (done.returncode, done.stderr.strip()) == (2, f"{tmp_path}/{TEXT}")
    assert [*state(tmp_path)] == ["k.db"]


def test_empty_files_and_our_own_are_taken(tmp_path: Path) -> None:
    """Also a database without tables, one with a table beside ours, and a link to a new file."""
    database = SQLiteFile(tmp_path / "with ? # % and é.db")
    database.path.touch()
    assert command("migrate", *database.options).returncode == 0
    database.run("CREATE TABLE firefox (x)")
    assert command("migrate", *database.options).returncode == 0
    (tmp_path / "link.db").symlink_to(tmp_path / "new.db")
    assert command("migrate", "--sqlite", tmp_path / "link.db").returncode == 0
    vacant = SQLiteFile(tmp_path / "vacant.db")
    vacant.run("CREATE TABLE mine (x)", "DROP TABLE mine")
    assert command("migrate", *vacant.options).returncode == 0
