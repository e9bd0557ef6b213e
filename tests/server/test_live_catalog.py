"""A category file is dropped in, changed, or broken, while the server runs."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from kscope.server.ingest.live_catalog import signature
from tests.databases import Database, scalar
from tests.serving import ROOT, Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = """\
table: locks
columns:
  - {name: mutex, type: string}
  - {name: waited, type: elapsed}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path, database: Database) -> Iterator[Serving]:
    with serving(tmp_path, *few(tmp_path), *database.options, "--categories", folder) as running:
        yield running


def problems(server: Serving) -> list[str]:
    found = server.get("/api/v1/categories").json()["problems"]
    return [problem["message"] for problem in found]


def eventually(server: Serving, text: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(text in message for message in problems(server)):
            return
        time.sleep(0.1)
    raise AssertionError(problems(server))


def eventually_none(server: Serving) -> None:
    deadline = time.monotonic() + 60
    while problems(server):
        assert time.monotonic() < deadline, problems(server)
        time.sleep(0.1)


def test_one_post_after_a_file_is_dropped_in(
    server: Serving, folder: Path, database: Database
) -> None:
    """At once, without waiting for the next look at the folder: the table is there."""
    (folder / "locks.yaml").write_text(FILE)
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    assert database.rows("SELECT hostname, mutex, waited FROM locks") == [["h", "inode", "7"]]
    tables = [c["table"] for c in server.get("/api/v1/categories").json()["categories"]]
    assert "locks" in tables


def test_an_unknown_table_names_its_own_bad_file(server: Serving, folder: Path) -> None:
    """Not another one, and no path: anybody may read the answer."""
    (folder / "asks.yaml").write_text("table: asks\n")
    (folder / "locks.yaml").write_text(FILE.replace("elapsed", "elapsd"))
    eventually(server, "elapsd")

    def said(table: str) -> str:
        answer = server.send(json.dumps({"hostname": "h", table: []}).encode())
        assert answer.status_code == 422
        assert str(folder) not in answer.text
        detail: str = answer.json()["detail"]
        return detail

    assert "(locks.yaml, line 4, has a problem: " in said("locks")
    assert "(some category files have problems; the server's log names them)" in said("waits")


def test_a_column_is_added(server: Serving, folder: Path, database: Database) -> None:
    """The next row may have it at once; rows that were there have the default, older senders go
    on.
    """
    (folder / "locks.yaml").write_text(FILE)
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    more = "  - {name: mode, type: label, default: 100%}\n  - {name: n, type: count, default: 3}\n"
    (folder / "locks.yaml").write_text(FILE + more)
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 9, "mode": "w", "n": 1}]})
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 8}]})
    assert database.rows("SELECT waited, mode, n FROM locks ORDER BY waited") == [
        ["7", "100%", "3"],
        ["8", "100%", "3"],
        ["9", "w", "1"],
    ]


def test_a_change_that_loses_data_is_refused(
    server: Serving, folder: Path, database: Database
) -> None:
    """The file and line are named on the page and in the log; the last good one holds, and other
    files do not wait for it.
    """
    (folder / "locks.yaml").write_text(FILE)
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    changed = FILE.replace("waited, type: elapsed", "waited, type: string")
    (folder / "locks.yaml").write_text(changed)
    eventually(server, "column 'waited' is stored as elapsed and cannot become string")
    assert f"{folder}/locks.yaml:4: columns" in server.log
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 8}]})
    (folder / "mutexes.yaml").write_text(FILE.replace("locks", "mutexes"))
    server.post({"hostname": "h", "mutexes": [{"mutex": "inode", "waited": 8}]})
    assert problems(server)
    (folder / "locks.yaml").write_text(FILE.replace("  - {name: waited, type: elapsed}\n", ""))
    eventually(server, "column 'waited' is in the database and no longer declared")
    (folder / "locks.yaml").write_text(f"{FILE}  - {{name: n, type: count}}\n")
    eventually(server, "give it a default")
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 9}]})
    assert scalar(database, "SELECT count(*) FROM locks") == 3
    (folder / "locks.yaml").write_text(FILE)
    eventually_none(server)


def test_a_bad_file_is_told_of(server: Serving, folder: Path) -> None:
    """Its problem is on the page and in the log, and the other categories keep working."""
    (folder / "locks.yaml").write_text(FILE.replace("elapsed", "elapsd"))
    eventually(server, "Did you mean 'elapsed'?")
    assert "locks.yaml:4" in server.log
    good = {"process": "p", "pid": 1, "stack": "a", "elapsed": 1}
    server.post({"hostname": "h", "offcputime": [good]})


UNION = """\
table: blocked
union:
  locks: locks
  sleeps: sleeps
"""


def test_a_union_is_dropped_in_and_its_member_removed(
    server: Serving, folder: Path, tmp_path: Path
) -> None:
    """It answers at once from the members' rows; without a member it is a problem, and holds."""
    (folder / "locks.yaml").write_text(FILE)
    (folder / "sleeps.yaml").write_text(FILE.replace("locks", "sleeps"))
    server.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    server.post({"hostname": "h", "sleeps": [{"mutex": "page", "waited": 5}]})

    def by_state() -> dict[str, int]:
        answer = server.get("/api/v1/top/blocked", by="state", value="waited")
        assert answer.status_code == 200, answer.text
        return {each["key"][0]: each["value"] for each in answer.json()["entries"]}

    (folder / "blocked.yaml").write_text(UNION)
    deadline = time.monotonic() + 60
    while server.get("/api/v1/top/blocked").status_code != 200:
        assert time.monotonic() < deadline, problems(server)
        time.sleep(0.1)
    assert by_state() == {"locks": 7, "sleeps": 5}
    (folder / "sleeps.yaml").rename(tmp_path / "sleeps.yaml")
    eventually(server, "sleeps")
    (tmp_path / "sleeps.yaml").rename(folder / "sleeps.yaml")
    eventually_none(server)
    assert by_state() == {"locks": 7, "sleeps": 5}


@pytest.fixture
def on_sqlite(tmp_path: Path, folder: Path) -> Iterator[Serving]:
    with serving(tmp_path, "--categories", folder) as running:
        yield running


def test_a_folder_that_is_away_for_a_while(on_sqlite: Serving, folder: Path) -> None:
    """Its category stays declared, so senders are not refused while files are moved."""
    row = {"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]}
    (folder / "locks.yaml").write_text(FILE)
    on_sqlite.post(row)
    away = folder.rename(folder.with_name("away"))
    eventually(on_sqlite, "there is no such folder of categories")
    on_sqlite.post(row)
    away.rename(folder)
    eventually_none(on_sqlite)
    on_sqlite.post(row)


def test_a_table_stays_with_the_file_that_declared_it(on_sqlite: Serving, folder: Path) -> None:
    """A second file cannot take a table over, whatever it is called."""
    (folder / "locks.yaml").write_text(FILE)
    on_sqlite.post({"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]})
    (folder / "a.yaml").write_text(f"{FILE}  - {{name: n, type: count, default: 1}}\n")
    eventually(on_sqlite, f"table 'locks' is already declared in {folder}/locks.yaml:1")
    assert f"{folder}/a.yaml:1: table" in on_sqlite.log
    found = on_sqlite.get("/api/v1/categories").json()["categories"]
    (locks,) = (category for category in found if category["table"] == "locks")
    assert "n" not in [column["name"] for column in locks["columns"]]


def test_the_packaged_categories_are_there_by_default(tmp_path: Path, database: Database) -> None:
    """A server without configuration takes what the package declares."""
    declared = {path.stem for path in (ROOT / "categories").glob("*.yaml")}
    with serving(tmp_path, *database.options) as server:
        answer = server.get("/api/v1/categories").json()
    assert declared <= {category["table"] for category in answer["categories"]}


def test_a_pipe_in_the_folder_hangs_nothing(tmp_path: Path) -> None:
    """Neither at the start nor while the server runs: it is named, and other files are read."""
    mine = tmp_path / "mine"
    mine.mkdir()
    os.mkfifo(mine / "pipe.yaml")
    with serving(tmp_path, "--categories", mine) as server:
        eventually(server, "is a pipe; it must be a regular file")
        with (mine / "large.yaml").open("wb") as sparse:
            sparse.truncate(300 << 20)
        (mine / "time.yaml").write_text(
            "table: t\ncolumns: [{name: a, type: int, default: 1:30.5}]"
        )
        eventually(server, "is larger than 256 KiB")
        eventually(server, "YAML reads 1:30.5 as a number of base 60: put it in quotes")
        (mine / "locks.yaml").write_text(FILE)
        server.post({"hostname": "a", "locks": [{"mutex": "m", "waited": 1}]})
        for name in ("pipe", "large", "time"):
            (mine / f"{name}.yaml").unlink()
        eventually_none(server)


def test_a_file_that_cannot_be_read_is_read_once_its_mode_is_right(tmp_path: Path) -> None:
    """Its size and the time of its text do not change then."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "locks.yaml").write_text(FILE)
    before = signature([mine])
    (mine / "locks.yaml").chmod(0)
    assert signature([mine]) != before
