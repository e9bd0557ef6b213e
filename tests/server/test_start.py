"""A server starts whatever a person did to the category files, and loses nothing by it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.databases import Database, SQLiteFile, scalar
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = """\
table: locks
prettyname: Waits for locks
columns:
  - {name: mutex, type: string}
  - {name: waited, type: elapsed}
  - {name: mode, type: label, default: w}
retention: 30d
rollup: {1h: 90d, 1d: 1y}
charts:
  - {kind: top, title: Worst, value: waited, by: mutex}
"""
LOCK = {"hostname": "h", "locks": [{"mutex": "inode", "waited": 7}]}
OTHER = "table: extras\ncolumns:\n  - {name: n, type: count}\n"
ROWS = "SELECT mutex, waited, mode FROM locks"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    return made


def locks(server: Serving) -> dict[str, object]:
    found = server.get("/api/v1/categories").json()["categories"]
    (category,) = (each for each in found if each["table"] == "locks")
    del category["has_probe"]
    return dict(category)


def problems(server: Serving) -> list[str]:
    found = server.get("/api/v1/categories").json()["problems"]
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in found]


def mistyped(file: Path) -> None:
    file.write_text(FILE.replace("elapsed", "elapsd"))


def not_yaml(file: Path) -> None:
    file.write_text("table: [locks")


def not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere.yaml")


def folder_moved(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


def other_type(file: Path) -> None:
    file.write_text(FILE.replace("{name: waited, type: elapsed}", "{name: waited, type: bytes}"))


def column_without_default(file: Path) -> None:
    file.write_text(FILE.replace("mode, type: label, default: w", "mode, type: label"))
    file.write_text(FILE.replace("retention", "  - {name: n, type: count}\nretention"))


def column_taken_out(file: Path) -> None:
    file.write_text(FILE.replace("  - {name: mode, type: label, default: w}\n", ""))


MISTAKES = [
    (mistyped, "locks.yaml:5: unknown type 'elapsd'"),
    (not_yaml, "locks.yaml"),
    (not_text, "locks.yaml"),
    (folder_in_its_place, "locks.yaml"),
    (dangling, "locks.yaml"),
    (folder_moved, "mine:0: there is no such folder"),
    (other_type, "locks.yaml:5: column 'waited' is stored as elapsed and cannot become bytes"),
    (column_without_default, "locks.yaml:7: column 'n' is new in a table that exists"),
    (column_taken_out, "kscope migrate --drop locks.mode"),
]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES)
def test_a_bad_file_keeps_its_shape_over_a_start(
    tmp_path: Path, folder: Path, mistake: Callable[[Path], None], said: str
) -> None:
    """The server starts with all good categories, and the bad one takes rows as before."""
    file = folder / "locks.yaml"
    file.write_text(FILE)
    with serving(tmp_path, "--categories", folder) as server:
        server.post(LOCK)
        before = locks(server)
    mistake(file)
    if folder.exists():
        (folder / "extras.yaml").write_text(OTHER)
    with serving(tmp_path, "--categories", folder) as server:
        assert locks(server) == before
        assert any(said in each for each in problems(server)), problems(server)
        assert said.partition(":")[0] in server.log
        server.post(LOCK)
        if folder.exists():
            server.post({"hostname": "h", "extras": [{"n": 1}]})
        rows = SQLiteFile(tmp_path / "kernelscope.db").rows(ROWS)
        assert rows == [["inode", "7", "w"]] * 2


def test_a_start_that_would_lose_data_keeps_the_old_shape(
    tmp_path: Path, folder: Path, database: Database
) -> None:
    """On each engine; the corrected file is taken up at the next start."""
    file = folder / "locks.yaml"
    options = [*few(tmp_path), *database.options, "--categories", folder]
    file.write_text(FILE)
    with serving(tmp_path, *options) as server:
        server.post(LOCK)
    other_type(file)
    with serving(tmp_path, *options) as server:
        assert "cannot become bytes" in problems(server)[0]
        server.post(LOCK)
    file.write_text(FILE.replace("retention", "  - {name: n, type: count, default: 1}\nretention"))
    with serving(tmp_path, *options) as server:
        assert problems(server) == []
        server.post(LOCK)
    assert scalar(database, "SELECT sum(n) FROM locks") == 3


def test_two_files_declare_one_table_at_the_start(tmp_path: Path, folder: Path) -> None:
    """The file that had the table keeps it, in whatever order their names are."""
    (folder / "locks.yaml").write_text(FILE)
    with serving(tmp_path, "--categories", folder) as server:
        server.post(LOCK)
    (folder / "a.yaml").write_text(FILE.replace("elapsed", "bytes"))
    with serving(tmp_path, "--categories", folder) as server:
        assert "already declared in" in problems(server)[0]
        assert f"{folder}/a.yaml" in problems(server)[0]
        server.post(LOCK)


def test_a_server_without_any_good_category_starts(tmp_path: Path, folder: Path) -> None:
    """Its page says why, and a good file is taken up while it runs."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("categories: [mine]\n")
    not_yaml(folder / "locks.yaml")
    with serving(tmp_path, "--config", config, "--sqlite", tmp_path / "k.db") as server:
        assert problems(server)
        assert server.get("/readyz").status_code == 200
        assert server.get("/api/v1/categories").json()["categories"] == []
        (folder / "locks.yaml").write_text(FILE)
        server.post(LOCK)


def test_a_fifo_among_the_files_holds_no_start(tmp_path: Path, folder: Path) -> None:
    """Opening a FIFO without a writer would block indefinitely."""
    (folder / "locks.yaml").write_text(FILE)
    os.mkfifo(folder / "pipe.yaml")
    with serving(tmp_path, "--categories", folder) as server:
        server.post(LOCK)
        assert any("pipe.yaml" in each for each in problems(server))


def test_an_older_database_remembers_the_types(tmp_path: Path, folder: Path) -> None:
    """One from before the shapes were kept: the columns and the sums stay."""
    file = folder / "locks.yaml"
    file.write_text(FILE)
    database = SQLiteFile(tmp_path / "kernelscope.db")
    with serving(tmp_path, "--categories", folder) as server:
        server.post(LOCK)
    database.run("DELETE FROM kscope_meta WHERE name LIKE 'shape %'")
    mistyped(file)
    with serving(tmp_path, "--categories", folder) as server:
        row = LOCK["locks"][0] | {"mode": "w"}  # type: ignore[index, operator]
        server.post({"hostname": "h", "locks": [row]})
        found = locks(server)["rollup"]
        assert [each["bucket"] for each in found] == [3600, 86400]  # type: ignore[attr-defined]
    assert database.rows(ROWS) == [["inode", "7", "w"]] * 2


def test_a_bad_file_of_a_listed_probe_is_no_reason_not_to_serve(
    tmp_path: Path, folder: Path
) -> None:
    """The probe is unknown, and that is no mistake of the configuration."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\nagent: {probes: {locks: {}}}\n")
    not_yaml(folder / "locks.yaml")
    with serving(tmp_path, "--config", config) as server:
        assert "locks.yaml" in problems(server)[0]
