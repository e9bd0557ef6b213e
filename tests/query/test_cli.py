"""`kscope query` as a person types it, on a database and over HTTP."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.databases import SQLiteFile
from tests.query.world import waits
from tests.serving import ROOT, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.query.world import World

DAY = ("--from", "2026-11-23", "--to", "2026-11-24")


@pytest.fixture
def file(world: World) -> Path:
    """Six off-CPU waits, see `world.waits`."""
    world.insert("offcputime", waits())
    assert isinstance(world.database, SQLiteFile)
    return world.database.path


def ask(*arguments: str | Path, code: int = 0) -> str:
    """Give what is printed, or on a mistake what is said about it."""
    run = subprocess.run(
        kscope("query", *arguments), cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert run.returncode == code, run.stderr.decode()
    assert b"Traceback" not in run.stderr
    return (run.stderr if code else run.stdout).decode()


def test_a_flame_graph_is_drawn_in_the_terminal(file: Path) -> None:
    """Boxes are as wide as their share, root at the top; --color paints instead of bars."""
    options = ("offcputime", "--sqlite", file, *DAY, "--width", "80", "process=mysqld")
    lines = ask(*options).splitlines()
    assert lines[0].startswith("|all 15 ms")
    *_, last = lines
    assert last.index("|io_schedule_") == 64
    painted = ask(*options, "--color")
    assert "\x1b[38;5;16;48;5;215mfutex_wait_[k] 12 ms" in painted


def test_top_is_a_table(file: Path) -> None:
    """The columns of --top, the value, its share, and how many rows."""
    lines = ask("offcputime", "--sqlite", file, *DAY, "--top", "process").splitlines()
    assert lines[0].split() == ["process", "elapsed", "share", "rows"]
    assert lines[1].split() == ["mysqld", "15000", "0.9357", "3"]


def test_names_cannot_steer_the_terminal(world: World, file: Path) -> None:
    """An escape sequence in a process' name is shown, not obeyed."""
    row = waits()[0] | {"process": "\x1b[2Jgone\u202e"}
    world.insert("offcputime", [row])
    for arguments in (("--top", "process"), ()):
        assert "\x1b" not in ask("offcputime", "--sqlite", file, *DAY, *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("proces=x",), 2, "Did you mean 'process'?"),
        (("process",), 1, "not NAME=VALUE"),
        (("-q", "top", "--format", "svg"), 1, "top has table, json, csv, ndjson"),
        (("--server", "http://x", "--sqlite", "y"), 1, "either a --server or a database"),
        (("--server", "ftp://x"), 1, "http:// or https://"),
        (("--server", "http://127.0.0.1:9"), 1, "is `kscope serve` running there?"),
        (("--sqlite", "no/such.db"), 1, "there is no such database"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    file: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """What is wrong and what would be right, with an exit code."""
    own = () if {"--server", "--sqlite"} & set(arguments) else ("--sqlite", str(file))
    assert said in ask("offcputime", *own, *arguments, code=code)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        for row in waits():
            times = {"time": f"2026-11-23T00:00:{row['pid'] // 100:02}Z"}
            kept = {name: value for name, value in row.items() if name != "hostname"}
            running.post({"hostname": row["hostname"], "offcputime": [kept | times]})
        yield running.read


def test_a_server_is_asked_the_same_questions(server: str) -> None:
    """Folded text, JSON and a table over HTTP; a column in the path."""
    options = ("offcputime", "--server", server, *DAY)
    assert "mysqld;main;do_command;futex_wait_[k] 12000\n" in ask(*options, "--format", "folded")
    assert json.loads(ask(*options, "--format", "json"))["total"] == 16031
    assert ask(*options, "-q", "values", "column=hostname").split()[:4] == [
        "value",
        "rows",
        "web-001",
        "3",
    ]
    assert "Did you mean 'process'?" in ask(*options, "proces=x", code=1)
