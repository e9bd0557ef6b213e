"""Disks that are full, files that are locked, read-only or damaged: said, and got over."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kscope.profiles.wire import written
from tests import needs
from tests import serving as running
from tests.databases import MariaDBDatabase, SQLiteFile, scalar
from tests.mariadb import install
from tests.profiles.made import cpu
from tests.query.test_many_groups import MANY, fill
from tests.receiving import counted, receiving
from tests.server.test_otlp import PATH as OTLP
from tests.server.test_otlp import simple
from tests.server.test_pyroscope import PUSH, series
from tests.serving import few, serving, start, stop
from tests.store.faults import COUNT, eventually_stored, fails_to_start, filled, send, tmpfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mariadb import MariaDB
    from tests.serving import Serving


def test_a_full_disk(tmp_path: Path) -> None:
    """503 with the reason while it is full; once there is room the same server goes on."""
    with tmpfs(tmp_path / "disk", "6m") as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(2 * 2**20))
        database = SQLiteFile(disk / "k.db")
        with serving(tmp_path, *few(tmp_path), *database.options) as server:
            acknowledged = number = 0
            while (answer := send(server, 50, f"stack {number} {'x' * 30_000}")).status_code == 200:
                acknowledged += 50
                number += 1
                assert number < 1000
            assert answer.status_code == 503
            assert "free some space" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0
            assert acknowledged > 0
            assert_not_ready(server, "free some space", tmp_path)
            assert server.get("/api/v1/rows/offcputime").status_code == 200
            filler.unlink()
            eventually_stored(server)
            assert server.get("/readyz").status_code == 200
            assert scalar(database, COUNT) == acknowledged + 1
        assert "Traceback" not in server.log


def test_a_full_disk_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question over very many rows is answered as well."""
    database = SQLiteFile(tmp_path / "k.db")
    with tmpfs(tmp_path / "temporary", "1m") as disk, filled(disk, 0):
        monkeypatch.setenv("SQLITE_TMPDIR", str(disk))
        # A new process: SQLite reads the variable once.
        monkeypatch.setattr(running, "PROGRAM", (sys.executable, "-m", "kscope"))
        with serving(tmp_path, *few(tmp_path), *database.options) as server:
            send(server)
            fill(database)
            found = [
                server.get("/api/v1/top/offcputime", by="pid", **{"from": "2020-01-01", "n": 1})
                for _ in range(2)
            ]
        assert [each.status_code for each in found] == [200, 200], found[0].text
        assert [each.json()["groups"] for each in found] == [MANY, MANY]
        assert "Traceback" not in server.log


@pytest.mark.mysql
def test_a_full_disk_of_mariadb(tmp_path: Path) -> None:
    """503 with the reason, questions are answered; with room again the same server goes on."""
    mariadb = install(tmp_path / "mariadb")
    name = mariadb.new_database()
    database = MariaDBDatabase(mariadb, name)
    with (
        tmpfs(mariadb.folder / "data" / name, "32m") as disk,
        stopped(mariadb),
        serving(tmp_path, *few(tmp_path), *database.options) as server,
    ):
        # In a table smaller than this MariaDB has no room to roll back, and ends itself.
        for _ in range(3):
            assert send(server, 20_000).status_code == 200
        acknowledged = 60_000
        with filled(disk, 4 * 2**20):
            while (answer := send(server, 2000)).status_code == 200:
                acknowledged += 2000
            assert answer.status_code == 503
            assert "free some space" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0
            assert server.get("/api/v1/rows/offcputime").status_code == 200
            assert server.get("/api/v1/flamegraph/offcputime").status_code == 200
            assert_not_ready(server, "free some space", tmp_path)
        eventually_stored(server)
        assert server.get("/readyz").status_code == 200
        assert scalar(database, COUNT) == acknowledged + 1
        assert "Traceback" not in server.log


def assert_not_ready(server: Serving, reason: str, folder: Path) -> None:
    """/readyz says why the last rows could not be stored, and names no path."""
    answer = server.get("/readyz")
    assert answer.status_code == 503
    assert reason in answer.json()["detail"]
    assert str(folder) not in answer.text


@contextmanager
def stopped(mariadb: MariaDB) -> Iterator[None]:
    """At the end: it has files open on a disk that is to go."""
    try:
        yield
    finally:
        mariadb.stop()


@pytest.mark.parametrize("left", [0, 16, 64])
def test_a_disk_that_is_full_at_the_start(tmp_path: Path, left: int) -> None:
    """However little is left of it: said, with what to do; once there is room it starts."""
    with tmpfs(tmp_path / "disk", "6m") as disk:
        database = SQLiteFile(disk / "k.db")
        with filled(disk, left * 1024):
            assert "free some space" in fails_to_start(*database.options)
        with serving(tmp_path, *few(tmp_path), *database.options) as server:
            assert send(server).status_code == 200
            assert scalar(database, COUNT) == 1


FILE = """\
table: offcputime
columns:
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
"""
WITH_MORE = f"{FILE}  - {{name: waits, type: count, default: 1}}\n".replace(
    "pid, type: int", "pid, type: int, index: true"
)


def test_a_disk_that_is_full_when_a_category_has_changed(tmp_path: Path) -> None:
    """The start that would add a column and an index says so, and leaves all as it was."""
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine/offcputime.yaml"
    file.write_text(FILE)
    config = tmp_path / "kernelscope.yaml"
    with tmpfs(tmp_path / "disk", "6m") as disk:
        database = SQLiteFile(disk / "k.db")
        config.write_text(f"categories: [{tmp_path}/mine]\ndatabase: {{sqlite: {database.path}}}\n")
        with serving(tmp_path, "--config", config) as server:
            assert send(server, 20_000).status_code == 200
        before = schema(database)
        file.write_text(WITH_MORE)
        with filled(disk, 100 * 1024):
            assert "free some space" in fails_to_start("--config", config)
        assert schema(database) == before
        assert database.rows("PRAGMA integrity_check") == [["ok"]]
        with serving(tmp_path, "--config", config) as server:
            assert send(server).status_code == 200
            assert scalar(database, "SELECT sum(waits) FROM offcputime") == 20_001
        assert schema(database) != before


def schema(database: SQLiteFile) -> list[list[str]]:
    return database.rows("SELECT name, sql FROM sqlite_schema ORDER BY name")


def test_a_read_only_disk(tmp_path: Path) -> None:
    """Said at the start, with what to do."""
    with tmpfs(tmp_path / "disk", "6m") as disk:
        with serving(tmp_path, "--sqlite", disk / "k.db") as server:
            send(server)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert "must be able to write the file" in fails_to_start("--sqlite", disk / "k.db")


IMPATIENT = """
from kscope.store.backends import sqlite
sqlite._BUSY_SECONDS = 0.5
from kscope.cli import main
main()
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers wait half a second for a lock, not five."""
    monkeypatch.setattr(running, "PROGRAM", (sys.executable, "-c", IMPATIENT))


@pytest.mark.usefixtures("impatient")
def test_a_locked_file(tmp_path: Path) -> None:
    """Another program holds the file: 503 and Retry-After; when it lets go, on it goes."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        send(server)
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = send(server)
        assert answer.status_code == 503
        assert answer.json()["detail"] == "the database is locked by another process"
        assert f"locked by another process (pid {os.getpid()}, " in server.log
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        other.execute("ROLLBACK")
        other.close()
        eventually_stored(server)
        assert scalar(database, COUNT) == 2


@pytest.mark.usefixtures("impatient")
def test_receivers_of_a_locked_file(tmp_path: Path) -> None:
    """503 and Retry-After too, each in the words of its protocol, and counted."""
    with receiving(tmp_path) as server:
        other = sqlite3.connect(tmp_path / "kernelscope.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        said = "the database is locked by another process"
        for path, kind, body in (
            (PUSH, "application/proto", series({"hostname": "a"}, cpu({"main": 1000}).content)),
            (OTLP, "application/x-protobuf", simple("a").content),
        ):
            where, headers = f"{server.ingest}{path}", {"Content-Type": kind}
            answer = server.client.post(where, content=body, headers=headers)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            # A google.rpc.Status: 1 code, 2 message.
            status = written(1, 14) + written(2, said.encode())
            connect = f'{{"code":"unavailable","message":"{said}"}}'.encode()
            assert answer.content == (status if path == OTLP else connect)
        other.close()
        for protocol in ("pyroscope", "otlp"):
            refused = {"protocol": protocol, "reason": "busy"}
            assert counted(server, "profiles_refused_total", **refused) == 1


@pytest.mark.usefixtures("impatient")
def test_a_file_that_is_locked_at_the_start(tmp_path: Path) -> None:
    """The server says who holds it, and waits; when it is let go of, on it goes."""
    database = SQLiteFile(tmp_path / "k.db")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(start, tmp_path, database.options)
        try:
            log = eventually_logged(tmp_path / "server.log", "retrying in 1 s")
            assert f"locked by another process (pid {os.getpid()}" in log
        finally:
            other.close()
        server = starting.result()
    try:
        assert send(server).status_code == 200
        assert "Traceback" not in server.log
    finally:
        stop(server)


def eventually_logged(file: Path, text: str) -> str:
    deadline = time.monotonic() + 60
    while not file.exists() or text not in file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return file.read_text()


@contextmanager
def ext4(folder: Path) -> Iterator[Path]:
    needs.root("mounting a file system")
    needs.program("mke2fs", "e2fsprogs")
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_becomes_read_only(tmp_path: Path) -> None:
    """While a server has it open: 503 with what to do, questions are answered, then on it goes."""
    with ext4(tmp_path) as disk:
        database = SQLiteFile(disk / "k.db")
        with serving(tmp_path, *few(tmp_path), *database.options) as server:
            assert send(server).status_code == 200
            # Not k.db-shm: SQLite maps it, and the kernel ends who cannot write there.
            files = [str(disk / "k.db"), str(disk / "k.db-wal")]
            subprocess.run(["chattr", "+i", *files], check=True)
            try:
                for _ in range(2):
                    answer = send(server)
                    assert answer.status_code == 503
                    assert "read-only" in answer.json()["detail"]
                    assert int(answer.headers["retry-after"]) > 0
                assert_not_ready(server, "read-only", tmp_path)
                listed = server.get("/api/v1/rows/offcputime")
                assert listed.status_code == 200
                assert len(listed.json()["rows"]) == 1
            finally:
                subprocess.run(["chattr", "-i", *files], check=True)
            eventually_stored(server)
            assert scalar(database, COUNT) == 2
            assert "Traceback" not in server.log


def test_files_that_are_no_database(tmp_path: Path) -> None:
    """Text, a folder, a missing folder, the path of a device."""
    (tmp_path / "text").write_text("SQLite is not what this is\n" * 100)
    refused = fails_to_start("--sqlite", tmp_path / "text", code=2)
    assert "text: is not a SQLite database" in refused
    assert (tmp_path / "text").read_text().startswith("SQLite is not")
    assert str(tmp_path) in fails_to_start("--sqlite", tmp_path, code=2)
    missing = fails_to_start("--sqlite", tmp_path / "none" / "k.db")
    assert f"there is no folder {tmp_path}/none" in missing


def test_a_damaged_file(tmp_path: Path) -> None:
    """Overwritten pages: requests get an error, and the server stays up."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        for number in range(20):
            send(server, 500, f"stack {number} {'x' * 3000}")
    page = int(
        database.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'kscope_rows_offcputime'")[
            0
        ][0]
    )
    with database.path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        answer = send(server)
        assert answer.status_code == 503
        assert "restore a backup" in answer.json()["detail"]
        assert_not_ready(server, "restore a backup", tmp_path)
        assert "Traceback" not in server.log


def test_a_file_that_is_overwritten_in_its_place(tmp_path: Path) -> None:
    """`cp` of something else over it: the same file, and nothing of it is right."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        send(server, 500)
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert server.get("/readyz").status_code == 200
        size = database.path.stat().st_size
        with database.path.open("r+b") as file:
            file.write(b"not this" * (size // 8))
        assert_not_ready(server, "restore a backup", tmp_path)
        answer = send(server)
        assert answer.status_code == 503
        assert "restore a backup" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0


def test_a_disk_that_is_full_without_any_rows(tmp_path: Path) -> None:
    """Nothing is written, and /readyz says so all the same."""
    with tmpfs(tmp_path / "disk", "6m") as disk, serving(tmp_path, "--sqlite", disk / "k.db") as up:
        assert up.get("/readyz").status_code == 200
        with filled(disk, 64 * 1024):
            assert_not_ready(up, "the database's disk is full", tmp_path)
        assert up.get("/readyz").status_code == 200


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    """The database, what is beside it, its backup; those of earlier versions too."""
    database = SQLiteFile(tmp_path / "k.db")
    for _ in range(2):
        with serving(tmp_path, *few(tmp_path), *database.options) as server:
            send(server)
            files = [tmp_path / name for name in ("k.db", "k.db-wal", "k.db-shm", "k.db.lock")]
            assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 4
        for file in tmp_path.glob("k.db*"):
            file.chmod(0o644)
    command = running.kscope("backup", tmp_path / "copy.db", *database.options)
    subprocess.run(command, check=True, cwd=tmp_path)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    command = running.kscope("restore", tmp_path / "copy.db", "--sqlite", tmp_path / "new.db")
    subprocess.run(command, check=True, cwd=tmp_path)
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600
