"""The rights that `packaging/grants.sql` gives to the server's user in MariaDB."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.commands import command
from tests.serving import ROOT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mariadb import MariaDB

GRANTS = ROOT / "packaging/grants.sql"
USER = "'kernelscope'@'localhost'"
BEFORE = """\
table: jobs
columns:
  - {name: process, type: string}
  - {name: state, type: label, index: true}
  - {name: pid, type: int}
  - {name: elapsed, type: elapsed}
retention: 4d
rollup: {1h: 20d}
"""
AFTER = """\
table: jobs
columns:
  - {name: process, type: string, index: true}
  - {name: state, type: label}
  - {name: pid, type: int}
  - {name: elapsed, type: elapsed}
  - {name: waits, type: count, default: 3}
retention: 4d
rollup: {1h: 20d, 1d: 40d}
"""
EMPTY = "table: other\ncolumns:\n  - {name: n, type: count}\n"
REPLACED = "table: other\ncolumns:\n  - {name: n, type: string}\n"


@pytest.fixture
def rights(mariadb: MariaDB) -> Iterator[list[str]]:
    """Run the file as an administrator does, and yield the rights."""
    text = GRANTS.read_text()
    mariadb.load(text)
    (listed,) = re.findall(r"^GRANT (.*)$", text, re.MULTILINE)
    yield listed.split(", ")
    mariadb.sql(f"DROP DATABASE kernelscope; DROP USER {USER}")


def use(mariadb: MariaDB, folder: Path) -> None:
    """Use the database in all ways: tables, rows, sums, changed categories, rows that are too old.

    Raises AssertionError or KscopeError where the server may not do something.
    """
    mine = folder / "mine"
    mine.mkdir(parents=True)
    (mine / "jobs.yaml").write_text(BEFORE)
    (mine / "other.yaml").write_text(EMPTY)
    (folder / "password").write_text("change this password")
    config = folder / "kernelscope.yaml"
    database = {"host": str(mariadb.socket), "user": "kernelscope", "database": "kernelscope"}
    mysql = json.dumps({"mysql": {**database, "password_file": "password"}})
    config.write_text(f"categories: [mine]\ndatabase: {mysql}\n")
    send(folder, config)
    # As if they had waited for long.
    mariadb.sql("UPDATE kscope_rows_jobs SET time = time - 5 * 86400 * 1000000", "kernelscope")
    (mine / "jobs.yaml").write_text(AFTER)
    (mine / "other.yaml").write_text(REPLACED)
    for arguments in (["migrate"], ["retention"], ["migrate", "--drop", "jobs.waits"]):
        if "--drop" in arguments:
            (mine / "jobs.yaml").write_text(BEFORE)
        done = command(*arguments, "--config", config, stdin=b"y\n", folder=folder)
        assert done.returncode == 0, (arguments, done.stderr, done.stdout)
    send(folder, config)
    assert mariadb.sql("SELECT count(*) FROM jobs", "kernelscope").strip() == "1"


def send(folder: Path, config: Path) -> None:
    """Start a server, send a row, and read it."""
    with serving(folder, "--config", config) as server:
        row = {"process": "p", "state": "new", "pid": 1, "elapsed": 5}
        server.post({"hostname": "h", "jobs": [row]})
        found = server.get("/api/v1/rows/jobs", limit=10)
        assert found.status_code == 200, found.text
        assert found.json()["rows"]


@pytest.mark.mysql
def test_they_are_enough(mariadb: MariaDB, rights: list[str], tmp_path: Path) -> None:
    """A server and its commands do all they can do, changes of categories included."""
    assert len(rights) == 10
    use(mariadb, tmp_path)


@pytest.mark.mysql
def test_each_is_needed(mariadb: MariaDB, rights: list[str], tmp_path: Path) -> None:
    """Without any one of them something fails: the list has no right too many."""
    needless = []
    for right in rights:
        mariadb.sql("DROP DATABASE kernelscope; CREATE DATABASE kernelscope CHARACTER SET utf8mb4")
        mariadb.sql(f"REVOKE {right} ON kernelscope.* FROM {USER}")
        try:
            use(mariadb, tmp_path / right.replace(" ", "_"))
        except (AssertionError, httpx.HTTPError):
            mariadb.sql(f"GRANT {right} ON kernelscope.* TO {USER}")
        else:
            needless.append(right)
    assert needless == []
