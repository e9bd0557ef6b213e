"""`kscope query` as a person types it, on a database and over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.databases import SQLiteFile
from tests.query import minutes
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
    """Return the output, or the message after a mistake."""
    run = command("query", *arguments)
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    return run.stderr if code else run.stdout


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


def test_a_stack_format_of_top_groups_is_a_flame_graph(file: Path) -> None:
    """`--top process --format folded`: each process' stacks, the process first."""
    options = ("offcputime", "--sqlite", file, *DAY, "--format", "folded", "--top")
    assert "nginx;main;epoll_wait_[k] 1000\n" in ask(*options, "process")
    assert "web-001;nginx;main;epoll_wait_[k] 1000\n" in ask(*options, "hostname,process")


def test_a_narrow_box_has_its_colour(file: Path) -> None:
    """A frame one cell wide is painted, not left out."""
    painted = ask("offcputime", "--sqlite", file, *DAY, "--width", "20", "--color", "by=process")
    cells = re.sub(r"\x1b\[38;5;16;48;5;\d+m([^\x1b]+)\x1b\[0m", lambda m: "#" * len(m[1]), painted)
    first, second, *_ = cells.splitlines()
    assert first.rstrip() == "#" * 19
    assert second.rstrip().endswith("#")
    assert len(second.rstrip()) == 20


def test_a_time_series_has_a_column_for_each_group(file: Path) -> None:
    """A line for each step."""
    lines = ask("offcputime", "--sqlite", file, *DAY, "-q", "timeseries", "points=1").splitlines()
    assert lines[0].split() == ["time", "mysqld", "nginx", "a;b"]
    assert lines[1].split()[1:] == ["15000", "1020", "11"]


def test_a_table_without_stacks_shows_its_rows(world: World) -> None:
    """Where there is no flame graph to draw."""
    marker = {"time": waits()[0]["time"], "hostname": "web-001", "kind": "deploy", "message": ""}
    world.insert("marker", [marker])
    assert isinstance(world.database, SQLiteFile)
    lines = ask("marker", "--sqlite", world.database.path, *DAY).splitlines()
    assert lines[0].split()[:2] == ["time", "hostname"]
    assert "web-001" in lines[1]


def test_a_reader_that_has_enough_ends_it_quietly(file: Path) -> None:
    """A closed pipe, as `| head` leaves it, causes no message and no traceback."""
    with closing(sqlite3.connect(file)) as database, database:
        names = [
            row[0] for row in database.execute(f"SELECT name FROM pragma_table_info('{TABLE}')")
        ]
        columns = ", ".join("seq + i" if name == "seq" else f'"{name}"' for name in names)
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 10 FROM n WHERE i < 20000)"
            f" INSERT INTO {TABLE} SELECT {columns} FROM {TABLE}, n"
        )
    options = ("offcputime", "--sqlite", file, *DAY, "--format", "csv")
    process = subprocess.Popen(
        kscope("query", *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"time,")
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == (b"", 0)


TABLE = "kscope_rows_offcputime"


@pytest.mark.parametrize(
    ("form", "to", "said"),
    [
        ("csv", "/dev/full", "standard output: No space left on device\n"),
        ("table", "/dev/full", "standard output: No space left on device\n"),
        ("table", "&-", "standard output is closed\n"),
    ],
)
def test_an_output_that_takes_nothing_is_told(file: Path, form: str, to: str, said: str) -> None:
    """A result that could not be written is not a success, and one sentence says so."""
    asked = kscope("query", "offcputime", "--sqlite", file, *DAY, "--format", form)
    run = subprocess.run(
        ["sh", "-c", f'exec "$@" >{to}', "sh", *asked],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (run.stderr, run.returncode) == (said, 1)


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
        (("process",), 2, "not NAME=VALUE"),
        (("-q", "top", "--format", "svg"), 2, "top has table, json, csv, ndjson"),
        (("--server", "http://x", "--sqlite", "y"), 2, "either a --server or a database"),
        (("--server", "ftp://x"), 2, "http:// or https://"),
        (("--server", "http://127.0.0.1:9"), 1, "is `kscope serve` running there?"),
        (("--sqlite", "no/such.db"), 1, "there is no such database"),
        (("-q", "values"), 2, "values needs column=..."),
        (("-q", "values", "--server", "http://127.0.0.1:9"), 2, "values needs column=..."),
        (("--token-file", "/bin/true"), 2, "/bin/true: holds no token"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    file: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A mistake is answered with the problem, the fix and an exit code."""
    own = (
        () if {"--server", "--sqlite", "--token-file"} & set(arguments) else ("--sqlite", str(file))
    )
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
    found = ask(*options, "-q", "values", "column=hostname").split()
    assert found[:6] == ["value", "rows", "amount", "web-001", "3", "9000"]
    assert "Did you mean 'process'?" in ask(*options, "proces=x", code=2)
    assert ask("tcplife", "--server", server, *DAY).split()[:2] == ["time", "hostname"]
    assert "unknown table 'nosuch'" in ask("nosuch", "--server", server, code=2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("agnt",), 2, "there is no command 'agnt'. Did you mean 'agent'?"),
        (("agent", "offcputim"), 2, "'offcputim' is not a category. Did you mean 'offcputime'?"),
        (("agent", "marker"), 2, "'marker' has no probe. Those with a probe: biolatency"),
        (("agent", "offcputime", "--pdi", "3"), 2, "--pid"),
        (("agent", "offcputime", "--pid", "999999999"), 2, "there is no process 999999999"),
        (("doctor", "--servr", "x"), 2, "--server"),
        (("spool", "lst"), 2, "Did you mean 'list'?"),
        (("serve", "--read", "::1:8080"), 2, "write [::1]:8080"),
        (("serve", "--mysql", "db:x"), 2, "--mysql: is not an address"),
        (("serve", "--mysql", "db:3307", "--dbport", "3308"), 2, "leave one out"),
        (("serve", "--dbuser", "x"), 2, "require --mysql HOST"),
        (("import", "offcputim", "x.folded"), 2, "Did you mean 'offcputime'?"),
        (("import", "offcputime", "x.bin"), 1, "x.bin: cannot be read"),
        (("--help",), 0, ""),
        (("--version",), 0, ""),
    ],
)
def test_each_command_has_the_documented_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """2 for a mistake in a name, an option or an argument, with what may be meant."""
    run = command(*arguments, folder=tmp_path)
    assert (run.returncode, "Traceback" in run.stderr) == (code, False), run.stderr
    assert said in " ".join(run.stderr.split())


def test_ctrl_c_has_a_code_of_its_own(tmp_path: Path) -> None:
    """130, as a shell has it, and no traceback."""
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "a.folded")
    process = subprocess.Popen(
        kscope("import", "offcputime", "a.folded", "--server", "127.0.0.1:9"),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "a.folded").open("w"):  # it reads now
        process.send_signal(signal.SIGINT)
        assert process.stderr
        said = process.stderr.read()
    assert process.wait(30) == 130
    assert said.strip() == "interrupted"


def test_changes_are_sentences_in_the_terminal(world: World) -> None:
    """A list with its evidence, or the paragraph for a ticket; mistakes have exit code 2."""
    minutes.fill(world)
    assert isinstance(world.database, SQLiteFile)
    source = ("--sqlite", world.database.path)
    span = ("--from", "2026-11-23T02:54", "--to", "2026-11-23T03:00")

    def changes(*more: str | Path, code: int = 0) -> str:
        run = command("changes", *source, *span, *more)
        assert run.returncode == code, run.stderr
        return run.stderr if code else run.stdout

    first, *_ = changes().splitlines()
    assert first.startswith("On db-2, mysqld in jbd2_log_wait_commit: 0.02 to 2.7 threads waiting")
    assert changes("--format", "ticket").startswith("2026-11-23 02:54 to 03:00 UTC: on db-2")
    assert json.loads(changes("--format", "json"))["done"]
    assert changes("hostname=db-1").startswith("Nothing unusual.")
    assert "NAME=VALUE" in changes("hostname", code=2)
    assert "base.from" in changes("--baseline", "range", code=2)
