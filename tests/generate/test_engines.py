"""The generated DDL, run by the engines it is for."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.grafana import View, dashboards

if TYPE_CHECKING:
    from tests.clickhouse import Node
    from tests.mariadb import MariaDB

ROOT = Path(__file__).parent.parent.parent
DDL = [ROOT / "sql/generated", ROOT / "tests/cases/every_type/expected/sql/generated"]

STRINGS = [(1, 11, 0, "web-001"), (2, 12, 0, "mysqld"), (3, 13, 0, "blocked")]
FLAT = ("2026-11-23 02:46:15.288693", "web-001", "mysqld", 1234, "blocked", "main;wait", 5123, 1)

# No text is looked up for it.
NUMBERS = "SELECT elapsed FROM offcputime"

ROWS = (
    f"INSERT INTO kscope_string VALUES {', '.join(str(row) for row in STRINGS)};"
    "INSERT INTO kscope_stack VALUES (-7, 0, 'main;wait');"
    "INSERT INTO kscope_rows_offcputime (time, seq, hostname, process, pid, tid, reason,"
    " cgroup, stack, elapsed, count, lengths)"
    " VALUES (1795401975288693, 1, 1, 2, 1234, 0, 3, 3, -7, 5123, 1, '')"
)


@pytest.mark.parametrize("folder", DDL, ids=["committed", "every type"])
def test_the_sqlite_file_runs_twice_in_the_sqlite3_shell(folder: Path, tmp_path: Path) -> None:
    """A person pipes the file into `sqlite3 my.db`; doing so again changes nothing."""
    needs.program("sqlite3", "sqlite3")
    database = tmp_path / "my.db"
    schemas = []
    for _ in range(2):
        with (folder / "sqlite.sql").open() as ddl:
            subprocess.run(["sqlite3", "-bail", str(database)], stdin=ddl, check=True)
        with sqlite3.connect(database) as connection:
            schemas.append(connection.execute("SELECT name, sql FROM sqlite_schema").fetchall())
    assert sorted(schemas[0]) == sorted(schemas[1])


def test_the_flat_view_gives_the_seed_shape_back(tmp_path: Path) -> None:
    """Interned and integer columns read as the text and the time that they stand for."""
    with sqlite3.connect(tmp_path / "my.db") as connection:
        connection.executescript((ROOT / "sql/generated/sqlite.sql").read_text())
        connection.executemany("INSERT INTO kscope_string VALUES (?, ?, ?, ?)", STRINGS)
        connection.execute("INSERT INTO kscope_stack VALUES (-7, 0, 'main;wait')")
        connection.execute(
            "INSERT INTO kscope_rows_offcputime (time, seq, hostname, process, pid, tid, reason,"
            " cgroup, stack, elapsed, count, lengths)"
            " VALUES (1795401975288693, 1, 1, 2, 1234, 0, 3, 3, -7, 5123, 1, '')"
        )
        assert connection.execute(
            "SELECT time, hostname, process, pid, reason, stack, elapsed, count FROM offcputime"
        ).fetchall() == [FLAT]
        looked_up = connection.execute(f"EXPLAIN QUERY PLAN {NUMBERS}").fetchall()
        assert [step for *_, step in looked_up] == ["SCAN kscope_rows_offcputime"]


VIEW = View(1795400000, 1795410000)


@pytest.mark.mysql
def test_every_query_of_the_dashboards_runs(mariadb: MariaDB) -> None:
    """Grafana gets its panels from MariaDB; those of off-CPU time show the row that is there."""
    shown: dict[str, list[str]] = {}
    for folder in DDL:
        name = mariadb.new_database()
        mariadb.sql((folder / "mysql.sql").read_text(), name)
        if folder == DDL[0]:
            mariadb.sql(ROWS, name)
        for table, board in dashboards(folder.parent.parent / "grafana/generated/mysql").items():
            queries = [*(text for _, text in board.sql(VIEW)), board.hosts(VIEW)]
            shown[table] = mariadb.sql(";SELECT '--';".join(queries), name).split("--\n")
    assert {"offcputime", "everything"} <= set(shown)
    assert shown["offcputime"] == [
        "all\t0\t5123\t0\nmysqld\t1\t5123\t0\nmain\t2\t5123\t0\nwait\t3\t5123\t5123\n",
        "1795401960\tmysqld\t5123\n",
        "1\tweb-001\n",
    ]


@pytest.mark.mysql
def test_the_mysql_file_runs_twice_on_mariadb(mariadb: MariaDB) -> None:
    """A person pipes the file into `mysql`; the view then has the flat shape of 2016."""
    names = [mariadb.new_database() for _ in DDL]
    for name, folder in zip(names, DDL, strict=True):
        for _ in range(2):
            mariadb.sql((folder / "mysql.sql").read_text(), name)
    mariadb.sql(ROWS, names[0])
    shown = mariadb.sql(
        "SELECT time, hostname, process, pid, reason, stack, elapsed, count FROM offcputime",
        names[0],
    )
    assert shown.strip().split("\t") == [str(value) for value in FLAT]
    looked_up = mariadb.sql(f"EXPLAIN {NUMBERS}", names[0]).splitlines()
    assert [line.split("\t")[2] for line in looked_up] == ["kscope_rows_offcputime"]


@pytest.mark.clickhouse
def test_the_clickhouse_file_runs_twice_on_clickhouse(clickhouse: Node) -> None:
    """A person pipes the file into `clickhouse client`; the view has the flat shape of 2016.

    Every query of the dashboards runs; those of off-CPU time show the row that is there.
    """
    names = [clickhouse.new_database() for _ in DDL]
    for name, folder in zip(names, DDL, strict=True):
        for statement in 2 * _statements((folder / "clickhouse.sql").read_text()):
            clickhouse.sql(statement, name)
    strings = ", ".join(str((number, day, text)) for number, _, day, text in STRINGS)
    columns = "time, hostname, process, pid, reason, stack, elapsed, count"
    row = "1795401975288693, 1, 2, 1234, 3, -7, 5123, 1"
    for table, values in (
        ("kscope_string (id, day, text)", strings),
        ("kscope_stack", "(-7, 0, 'main;wait')"),
        (f"kscope_rows_offcputime ({columns})", f"({row})"),
    ):
        clickhouse.sql(f"INSERT INTO {table} VALUES {values}", names[0])
    shown = clickhouse.sql(f"SELECT {columns} FROM offcputime", names[0])
    assert shown.strip().split("\t") == [str(value) for value in FLAT]
    panels: dict[str, list[str]] = {}
    for name, folder in zip(names, DDL, strict=True):
        for table, board in dashboards(
            folder.parent.parent / "grafana/generated/clickhouse"
        ).items():
            queries = [*(text for _, text in board.sql(VIEW)), board.hosts(VIEW)]
            panels[table] = [clickhouse.sql(text, name) for text in queries]
    assert {"offcputime", "everything"} <= set(panels)
    assert panels["offcputime"] == [
        "all\t0\t5123\t0\nmysqld\t1\t5123\t0\nmain\t2\t5123\t0\nwait\t3\t5123\t5123\n",
        "2026-11-23 02:46:00\tmysqld\t5123\n",
        "1\tweb-001\n",
    ]


def _statements(text: str) -> list[str]:
    return [each for each in text.split(";\n") if each.strip()]
