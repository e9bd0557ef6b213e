"""The SQLite file is moved, replaced or deleted under a running server: no row is lost unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.databases import SQLiteFile, scalar
from tests.serving import few, serving
from tests.store.faults import COUNT, eventually_stored, send, until_not_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOVED = "was moved or deleted while the server runs"
REPLACED = "was replaced by another file while the server runs"


def move(file: Path) -> Callable[[], object]:
    away = file.rename(file.with_name("away.db"))
    return lambda: away.rename(file)


def move_folder(file: Path) -> Callable[[], object]:
    away = file.parent.rename(file.parent.with_name("away"))
    return lambda: away.rename(file.parent)


def replace_by_copy(file: Path) -> Callable[[], object]:
    """As an editor saves, or a restore by hand."""
    kept, copy = file.with_name("kept.db"), file.with_name("copy.db")
    os.link(file, kept)
    shutil.copy(file, copy)
    copy.replace(file)
    return lambda: kept.replace(file)


def replace_by_another(file: Path) -> Callable[[], object]:
    kept = file.rename(file.with_name("kept.db"))
    file.write_bytes(b"")
    return lambda: kept.replace(file)


WAYS = [
    (move, MOVED),
    (move_folder, MOVED),
    (replace_by_copy, REPLACED),
    (replace_by_another, REPLACED),
]


@pytest.mark.parametrize(("way", "said"), WAYS)
def test_nothing_is_acknowledged_until_the_file_is_back(
    tmp_path: Path, way: Callable[[Path], Callable[[], object]], said: str
) -> None:
    """503 to writes and reads, /readyz and one line of the log say why; then all goes on."""
    database = SQLiteFile(tmp_path / "data/k.db")
    database.path.parent.mkdir()
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert send(server, 10).status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        back = way(database.path)
        for _ in range(20):
            answer = send(server)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert said in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
        for path in ("/readyz", "/api/v1/rows/offcputime"):
            answer = server.get(path)
            assert answer.status_code == 503
            assert said in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
        assert server.get("/healthz").status_code == 200
        assert server.log.count(said) == 1
        back()
        eventually_stored(server)
        assert server.get("/readyz").status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        assert scalar(database, COUNT) == 11
        assert "is in its place again" in server.log
        assert "Traceback" not in server.log
    assert scalar(database, COUNT) == 11


def test_a_deleted_file_is_not_made_again(tmp_path: Path) -> None:
    """The server stops acknowledging; a restart makes a new one."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert send(server).status_code == 200
        for file in tmp_path.glob("k.db*"):
            file.unlink()
        assert send(server).status_code == 503
        assert MOVED in until_not_ready(server)
        assert not database.path.exists()
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert send(server).status_code == 200


@pytest.mark.parametrize("lost", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_the_files_beside_it_are_deleted(tmp_path: Path, lost: tuple[str, ...]) -> None:
    """Acknowledged rows are in the file by the next answer, and survive a kill."""
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert send(server, 10).status_code == 200
        assert server.get("/api/v1/rows/offcputime").status_code == 200
        for suffix in lost:
            (tmp_path / f"k.db{suffix}").unlink()
        eventually_stored(server)
        server.process.kill()
        server.process.wait()
        assert "lost its -wal or -shm file" in server.log
    assert scalar(database, COUNT) == 11
    assert database.rows("PRAGMA integrity_check") == [["ok"]]


def test_they_are_deleted_while_only_questions_come(tmp_path: Path) -> None:
    database = SQLiteFile(tmp_path / "k.db")
    with serving(tmp_path, *few(tmp_path), *database.options) as server:
        assert send(server, 10).status_code == 200
        (tmp_path / "k.db-wal").unlink()
        answer = server.get("/api/v1/rows/offcputime")
        # The file is not opened again while the background work reads: ask later.
        while answer.status_code == 503 and answer.headers["Retry-After"]:
            time.sleep(0.2)
            answer = server.get("/api/v1/rows/offcputime")
        assert len(answer.json()["rows"]) == 10
        assert scalar(database, COUNT) == 10


def test_a_file_behind_a_symbolic_link(tmp_path: Path) -> None:
    """The link is followed; one that leads elsewhere is noticed."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "k.db"
    link.symlink_to(tmp_path / "real/k.db")
    with serving(tmp_path, "--sqlite", link) as server:
        for _ in range(3):
            assert send(server).status_code == 200
        other = tmp_path / "other.db"
        other.write_bytes(b"")
        link.unlink()
        link.symlink_to(other)
        assert REPLACED in send(server).json()["detail"]
        link.unlink()
        link.symlink_to(tmp_path / "real/k.db")
        eventually_stored(server)
        assert scalar(SQLiteFile(tmp_path / "real/k.db"), COUNT) == 4


def test_a_file_in_a_bind_mount(tmp_path: Path) -> None:
    """A container's volume: the same file by another path is the same file."""
    needs.root("mounting a file system")
    for name in ("real", "mounted"):
        (tmp_path / name).mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "real", tmp_path / "mounted"], check=True)
    try:
        with serving(tmp_path, "--sqlite", tmp_path / "mounted/k.db") as server:
            assert send(server).status_code == 200
            assert server.get("/readyz").status_code == 200
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)
