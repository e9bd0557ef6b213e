"""kscope migrate --drop: what was named, after a look at what it holds, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import Database, SQLiteFile, scalar
from tests.serving import few, serving
from tests.store.test_commands import run

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
table: locks
columns:
  - {name: mutex, type: string}
  - {name: waited, type: elapsed}
  - {name: mode, type: label, default: w, index: true}
rollup: {1h: 90d}
charts:
  - {kind: top, value: waited, by: mode}
"""
ROW = {"mutex": "inode", "waited": 7, "mode": "r"}


@pytest.fixture
def folder(tmp_path: Path, database: Database) -> Path:
    """Two rows of `locks`, one of `kept`, and a sum."""
    made = tmp_path / "mine"
    made.mkdir()
    (made / "locks.yaml").write_text(FILE)
    (made / "kept.yaml").write_text("table: kept\ncolumns:\n  - {name: n, type: count}\n")
    with serving(tmp_path, *few(tmp_path), *database.options, "--categories", made) as server:
        times = ("2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z")
        server.post({"hostname": "h", "locks": [ROW | {"time": each} for each in times]})
        server.post({"hostname": "h", "kept": [{"n": 1}]})
    return made


def test_a_renamed_table_is_reported_and_dropped(
    tmp_path: Path, folder: Path, database: Database
) -> None:
    """Its rows stay until the command that the log names; a dry run says what is lost."""
    options = [*few(folder.parent), *database.options, "--categories", folder]
    (folder / "locks.yaml").write_text(FILE.replace("table: locks", "table: mutexes"))
    with serving(tmp_path, *options) as server:
        server.post({"hostname": "h", "mutexes": [ROW]})
        assert "kscope migrate --drop locks" in server.log
        (left,) = server.get("/api/v1/categories").json()["leftovers"]
        assert left["table"] == "locks"
        assert "kscope migrate --drop locks" in left["message"]
        if isinstance(database, SQLiteFile):
            used = run("migrate", "--drop", "locks", *options, code=1)
            assert "in use by a server" in used
    shown = run("migrate", "--drop", "locks", "--drop", "locks", "--dry-run", *options)
    lost = "2 rows, 2026-01-05 10:00 UTC to 2026-01-06 10:00 UTC"
    assert shown.count(f"kscope_rows_locks: would lose, {lost}") == 1
    assert scalar(database, "SELECT count(*) FROM locks") == 2
    done = run("migrate", "--drop", "locks", *options)
    assert f"kscope_rows_locks: lost, {lost}" in done
    assert scalar(database, "SELECT count(*) FROM mutexes") == 1
    assert scalar(database, "SELECT count(*) FROM kept") == 1
    with pytest.raises(Exception, match=r"locks|exist"):
        database.rows("SELECT count(*) FROM locks")
    left = "SELECT count(*) FROM kscope_meta WHERE name LIKE '%locks%'"
    assert scalar(database, left) == 0
    with serving(tmp_path, *options) as server:
        assert "--drop" not in server.log
        assert server.get("/api/v1/categories").json()["leftovers"] == []
    # The name is free again, for other columns.
    (folder / "more.yaml").write_text("table: locks\ncolumns:\n  - {name: n, type: count}\n")
    with serving(tmp_path, *options) as server:
        server.post({"hostname": "h", "locks": [{"n": 1}]})


def test_a_column_is_dropped(tmp_path: Path, folder: Path, database: Database) -> None:
    """The rows keep all others; the category without it is taken up at the next start."""
    options = [*few(folder.parent), *database.options, "--categories", folder]
    less = FILE.replace("  - {name: mode, type: label, default: w, index: true}\n", "")
    (folder / "locks.yaml").write_text(less.partition("charts")[0])
    assert "--drop locks.mode" in run("migrate", *options, code=2)
    shown = run("migrate", "--drop", "locks.mode", "--dry-run", *options)
    assert "kscope_rows_locks: would lose column 'mode', 2 values" in shown
    run("migrate", "--drop", "locks.mode", *options)
    assert run("migrate", *options) == ""
    with serving(tmp_path, *options) as server:
        assert server.get("/api/v1/categories").json()["problems"] == []
        server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    assert database.rows("SELECT mutex, waited FROM locks") == [["inode", "7"]] * 3


REFUSED = [
    ("lokcs", "there is no table 'lokcs'. Did you mean 'locks'?"),
    ("kscope_meta", "there is no table 'kscope_meta'"),
    ("kscope_rows_locks", "there is no table 'kscope_rows_locks'"),
    ("", "there is no table ''"),
    ("locks", "a category file declares 'locks'; remove that file first"),
    ("locks.mod", "'locks' has no column 'mod'. Did you mean 'mode'?"),
    ("locks.", "'locks' has no column ''"),
    ("locks.mode", "a category file declares 'mode'; remove it there first"),
    ("locks.time", "every table has 'time'"),
    ("locks.seq", "'locks' has no column 'seq'"),
    ('x"; DROP TABLE kept', "there is no table"),
]


@pytest.mark.parametrize(("named", "said"), REFUSED)
def test_what_may_not_be_dropped(tmp_path: Path, named: str, said: str) -> None:
    """Nothing is dropped then, not even what was rightly named beside it."""
    made = tmp_path / "mine"
    made.mkdir()
    database = SQLiteFile(tmp_path / "k.db")
    options = [*few(tmp_path), *database.options, "--categories", made]
    (made / "locks.yaml").write_text(FILE)
    (made / "gone.yaml").write_text("table: gone\ncolumns:\n  - {name: n, type: count}\n")
    run("migrate", *options)
    (made / "gone.yaml").unlink()
    before = database.rows("SELECT name FROM sqlite_schema ORDER BY name")
    assert said in run("migrate", "--drop", "gone", "--drop", named, *options, code=2)
    assert database.rows("SELECT name FROM sqlite_schema ORDER BY name") == before


def test_a_table_of_a_bad_file_is_still_declared(folder: Path, database: Database) -> None:
    """A typo must not make its rows anybody's to drop."""
    (folder / "locks.yaml").write_text("table: [locks")
    options = [*few(folder.parent), *database.options, "--categories", folder]
    assert "a category file declares" in run("migrate", "--drop", "locks", *options, code=2)


def test_a_drop_in_no_database_makes_none(tmp_path: Path) -> None:
    refused = run("migrate", "--drop", "x", "--sqlite", tmp_path / "none.db", code=1)
    assert "there is no such database" in refused
    assert not list(tmp_path.iterdir())


def test_rows_that_only_the_column_told_apart_stay_two(
    tmp_path: Path, folder: Path, database: Database
) -> None:
    """They have one time: pages of rows need another number of each."""
    options = [*few(folder.parent), *database.options, "--categories", folder]
    moment = {"time": "2026-01-07T10:00:00Z"}
    with serving(tmp_path, *options) as server:
        both = [ROW | moment | {"mode": mode} for mode in "rwrw"]
        server.post({"hostname": "h", "locks": both})
    less = FILE.replace("  - {name: mode, type: label, default: w, index: true}\n", "")
    (folder / "locks.yaml").write_text(less.partition("charts")[0])
    run("migrate", "--drop", "locks.mode", *options)
    numbers = "SELECT count(*), count(DISTINCT time, seq) FROM kscope_rows_locks"
    if isinstance(database, SQLiteFile):
        numbers = "SELECT count(*), count(DISTINCT time || ' ' || seq) FROM kscope_rows_locks"
    assert database.rows(numbers) == [["6", "6"]]
