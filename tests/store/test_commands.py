"""kscope migrate, retention, backup, restore: what a person types beside a running server."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.server.ingest.decode import Decoder
from tests.commands import command
from tests.databases import (
    Database,
    MariaDBDatabase,
    SQLiteFile,
    aging,
    changing,
    insertion,
    scalar,
)
from tests.decoding import decoded
from tests.serving import ROOT, few, serving
from tests.store.opened import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mariadb import MariaDB

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
COUNT = "SELECT count(*) FROM offcputime"


def run(*arguments: str | Path, code: int = 0) -> str:
    done = command(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_migrate_shows_and_does_the_same(database: Database, tmp_path: Path) -> None:
    """--dry-run prints the statements and changes nothing; afterwards none are left."""
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "locks.yaml"
    file.write_text("table: locks\ncolumns:\n  - {name: mutex, type: string}\n")
    options = [*few(tmp_path), *database.options, "--categories", folder]
    shown = run("migrate", "--dry-run", *options)
    assert "kscope_rows_locks" in shown
    assert run("migrate", *options) == shown
    assert run("migrate", *options) == ""
    file.write_text(f"{file.read_text()}  - {{name: mode, type: label, default: x}}\n")
    shown = run("migrate", "--dry-run", *options)
    assert re.search(r"ADD COLUMN (IF NOT EXISTS )?`?mode", shown)
    assert "(id of 'x')" in shown
    run("migrate", *options)
    assert run("migrate", *options) == ""
    database.run(insertion(database, "kscope_rows_locks", mutex=1, mode=1))
    file.write_text("table: locks\ncolumns:\n  - {name: mutex, type: int}\n")
    refused = run("migrate", "--dry-run", *options, code=2)
    assert f"{file}:3: columns: column 'mutex' is stored as string and cannot" in refused
    assert f"{file}:1: columns: column 'mode' is in the database and no longer" in refused


def test_migrate_does_all_but_the_bad_categories(database: Database, tmp_path: Path) -> None:
    """One with a mistake and one that would lose data are named; the others are shown and made."""
    folder = tmp_path / "mine"
    folder.mkdir()
    options = [*few(tmp_path), *database.options, "--categories", folder]
    for name in ("kept", "typo"):
        columns = "columns:\n  - {name: n, type: count}\n  - {name: m, type: count}\n"
        (folder / f"{name}.yaml").write_text(f"table: {name}\n{columns}")
    run("migrate", *options)
    database.run(insertion(database, "kscope_rows_kept", n=1, m=1))
    (folder / "kept.yaml").write_text("table: kept\ncolumns: [{name: n, type: count}]\n")
    (folder / "typo.yaml").write_text("table: typo\ncolumns: [{name: n, type: cuont}]\n")
    (folder / "also.yaml").write_text("table: also\nclumns: []\n")
    (folder / "good.yaml").write_text("table: good\ncolumns: [{name: n, type: count}]\n")
    for arguments in (("--dry-run",), ()):
        done = command("migrate", *arguments, *options)
        assert done.returncode == 2
        assert "kscope_rows_good" in done.stdout
        assert all(f"kscope_rows_{name}" not in done.stdout for name in ("kept", "typo", "also"))
        assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
            f"{folder}/{place}"
            for place in ("also.yaml:1", "also.yaml:2", "kept.yaml:1", "typo.yaml:2")
        ]
    assert scalar(database, "SELECT count(*) FROM kscope_rows_good") == 0
    assert scalar(database, "SELECT sum(m) FROM kept") == 1
    nowhere = ("--sqlite", tmp_path / "none.db", "--categories", folder)
    shown = command("migrate", "--dry-run", *nowhere)
    assert shown.returncode == 2
    assert "kscope_rows_good" in shown.stdout
    assert "kscope_rows_kept" in shown.stdout
    assert "typo.yaml:2" in shown.stderr
    assert not (tmp_path / "none.db").exists()


def test_an_older_database_opens(database: Database, tmp_path: Path) -> None:
    """One made before a category, a column and a rollup level were declared."""
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "locks.yaml"
    file.write_text("table: locks\ncolumns:\n  - {name: waited, type: elapsed}\n")
    options = [*few(tmp_path), *database.options, "--categories", folder]
    with serving(tmp_path, *options) as server:
        server.post({"hostname": "h", "locks": [{"waited": 1}]})
    file.write_text(
        "table: locks\ncolumns:\n  - {name: waited, type: elapsed}\n"
        "  - {name: mutex, type: string, default: ''}\n"
        "  - {name: at, type: stack, default: ''}\nrollup: {1h: 30d}\n"
    )
    (folder / "new.yaml").write_text("table: fresh\ncolumns:\n  - {name: n, type: count}\n")
    with serving(tmp_path, *options) as server:
        server.post({"hostname": "h", "locks": [{"waited": 2, "mutex": "m", "at": "a;b"}]})
        server.post({"hostname": "h", "fresh": [{"n": 5}]})
    rows = database.rows("SELECT waited, mutex, at FROM locks ORDER BY waited")
    assert rows == [["1", "", ""], ["2", "m", "a;b"]]


def test_a_newer_database_is_left_alone(database: Database, tmp_path: Path) -> None:
    """A database of an unknown layout is left unchanged."""
    options = [*few(tmp_path), *database.options]
    run("migrate", *options)
    database.run(changing(database, "kscope_meta", "value = '99'", "name = 'layout'"))
    assert "made by a newer kscope" in run("migrate", *options, code=1)


def test_a_table_of_someone_else_is_left_alone(database: Database, tmp_path: Path) -> None:
    """Such as that of the 2016 server, which was called as its category is."""
    database.run("CREATE TABLE offcputime (hostname VARCHAR(20))")
    refused = run("migrate", *few(tmp_path), *database.options, code=2)
    assert "offcputime.yaml:" in refused
    assert "that kscope did not make" in refused


def test_retention_tells_before_it_removes(database: Database, tmp_path: Path) -> None:
    """Rows older than the category's 14 days are removed; --dry-run keeps them."""
    options = [*few(tmp_path), *database.options]

    async def fill() -> None:
        catalog = load_catalog([tmp_path / "few/categories"])
        decoder = Decoder(catalog)
        async with opened(database, *catalog) as store:
            for moment, rows in (("2026-01-05T10:00:00Z", 3), (datetime.now(UTC).isoformat(), 1)):
                body = {"hostname": "h", "time": moment, "offcputime": [ROW] * rows}
                await store.writer.write(decoded(decoder, json.dumps(body).encode(), 0))

    asyncio.run(fill())
    shown = run("retention", "--dry-run", *options)
    assert "kscope_rows_offcputime: 3 rows before" in shown
    assert scalar(database, COUNT) == 4
    # It does what --dry-run printed, perhaps some minutes later. The sums that rows wait for are
    # made first, and those of them that are too old themselves go at once.
    removed, told = run("retention", *options).splitlines()[0], shown.splitlines()[0]
    assert removed.partition(" before ")[0] == told.partition(" before ")[0]
    assert scalar(database, "SELECT sum(kscope_rows) FROM kscope_rollup_1d_offcputime") == 3
    assert scalar(database, COUNT) == 1
    for table in ("stack", "string"):
        database.run(*aging(database, f"kscope_{table}"))
    for table in ("rows", "rollup_1h", "rollup_1d"):
        database.run(f"DELETE FROM kscope_{table}_offcputime WHERE 1 = 1")
    told = run("retention", "--dry-run", *options)
    assert "kscope_stack: 1 texts that nothing refers to" in told
    assert scalar(database, "SELECT count(*) FROM kscope_stack") == 1


def test_a_name_mistyped_makes_nothing(tmp_path: Path) -> None:
    """It is an error, not a new database; so is a dry run's."""
    missing = tmp_path / "none.db"
    assert "there is no such database" in run("retention", "--sqlite", missing, code=1)
    for name in ("retention", "migrate"):
        run(name, "--dry-run", "--sqlite", missing, code=1 if name == "retention" else 0)
    assert not list(tmp_path.iterdir())


def test_a_backup_is_of_one_moment(tmp_path: Path) -> None:
    """Taken while rows come in: whole batches, nothing else, and it can be served."""
    database = SQLiteFile(tmp_path / "kernelscope.db")
    with serving(tmp_path, *database.options) as server:
        stop = threading.Event()

        def ingest() -> None:
            while not stop.is_set():
                server.post({"hostname": "h", "offcputime": [ROW] * 100})

        sender = threading.Thread(target=ingest)
        sender.start()
        time.sleep(0.5)
        run("backup", tmp_path / "copy.db", *database.options)
        stop.set()
        sender.join()
        taken = scalar(SQLiteFile(tmp_path / "copy.db"), COUNT)
        assert 0 < taken <= scalar(database, COUNT)
        assert taken % 100 == 0
        used = run("restore", tmp_path / "copy.db", *database.options, "--force", code=1)
        assert "in use by a server" in used
    exists = run("restore", tmp_path / "copy.db", *database.options, code=1)
    assert "--force" in exists
    run("restore", tmp_path / "copy.db", *database.options, "--force")
    with serving(tmp_path, *database.options) as server:
        server.post({"hostname": "h", "offcputime": [ROW]})
    assert scalar(database, COUNT) == taken + 1


def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    """The database that is there stays as it is."""
    database = SQLiteFile(tmp_path / "kernelscope.db")
    run("migrate", *database.options)
    before = database.path.read_bytes()
    (tmp_path / "text").write_text("no database")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)")
    for file in ("text", "other.db", "none"):
        run("restore", tmp_path / file, *database.options, "--force", code=1)
        run("restore", tmp_path / file, "--sqlite", tmp_path / "new.db", code=1)
    assert not list(tmp_path.glob("new.db*"))
    assert database.path.read_bytes() == before
    run("backup", database.path, *database.options, code=1)
    run("backup", tmp_path / "b.db", "--sqlite", tmp_path / "none.db", code=1)
    assert not (tmp_path / "b.db").exists()
    nowhere = tmp_path / "none" / "b.db"
    said = run("backup", nowhere, *database.options, code=1)
    assert said == f"{nowhere}: the backup failed: No such file or directory\n"


def test_a_damaged_file_is_neither_kept_nor_restored(tmp_path: Path) -> None:
    """A backup is checked before it has its name, and again before it replaces anything."""
    database = SQLiteFile(tmp_path / "kernelscope.db")
    run("migrate", *database.options)
    run("backup", tmp_path / "good.db", *database.options)
    query = "SELECT rootpage FROM sqlite_schema WHERE name = 'kscope_meta'"
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes((tmp_path / "good.db").read_bytes())
    page = scalar(SQLiteFile(damaged), query.replace("kscope_meta", "kscope_rows_offcputime"))
    with damaged.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    before = database.path.read_bytes()
    refused = run("restore", damaged, *database.options, "--force", code=1)
    assert "is damaged" in refused
    assert database.path.read_bytes() == before
    own = tmp_path / "copy.db.part"
    own.write_text("of the user's own")
    assert "is damaged" in run("backup", tmp_path / "copy.db", "--sqlite", damaged, code=1)
    assert not (tmp_path / "copy.db").exists()
    assert list(tmp_path.glob("*.part")) == [own]
    assert own.read_text() == "of the user's own"


@pytest.mark.mysql
def test_a_dump_of_mariadb_is_a_backup(mariadb: MariaDB, tmp_path: Path) -> None:
    """As documented: dumped beside a running server, loaded into its place, and served."""
    database = MariaDBDatabase(mariadb, mariadb.new_database())
    flat = "SELECT hostname, process, stack, elapsed FROM offcputime ORDER BY elapsed"
    with serving(tmp_path, *database.options) as server:
        server.post({"hostname": "h", "offcputime": [ROW, ROW | {"elapsed": 1}]})
        before = database.rows(flat)
        dump = mariadb.dump(database.database)
    mariadb.sql(f"DROP DATABASE {database.database}")
    mariadb.load(dump)
    assert database.rows(flat) == before
    with serving(tmp_path, *database.options) as server:
        server.post({"hostname": "h", "offcputime": [ROW]})
        answer = server.get("/api/v1/flamegraph/offcputime").json()
        assert answer["value"][0] == 2 * ROW["elapsed"] + 1


def test_backup_of_mysql_names_its_tool() -> None:
    assert "mariadb-dump --single-transaction" in run(
        "backup", "x.sql", "--mysql", "127.0.0.1", code=1
    )


def test_a_lacking_driver_is_named_as_one_installs_it() -> None:
    """The project itself comes from a clone: no extra of it can be had by name."""
    without = "import sys; sys.modules['asyncmy'] = None; from kscope.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", without, "migrate", "--mysql", "127.0.0.1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = "MySQL needs the Python package asyncmy: pip install asyncmy\n"
    assert (done.stderr, done.returncode) == (said, 1)
