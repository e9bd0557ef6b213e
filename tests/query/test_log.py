"""`kscope log`: a pipe in, rows out while it runs."""

from __future__ import annotations

import gzip
import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from kscope.agent.host.kernel import cgroup_root
from tests import needs
from tests.commands import Ran, command
from tests.serving import ROOT, Serving, free_port, kscope, serving, start, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0
MAP = """
table: logmap
prettyname: Written
columns:
  - {name: process, type: string, prettyname: Process}
  - {name: written, type: bytes, prettyname: Written}
"""
WRITER = """
import os, time
null = os.open("/dev/null", os.O_WRONLY)
while True:
    os.write(null, b"x" * 100)
    time.sleep(0.1)
"""
PRINTS = """
tracepoint:syscalls:sys_enter_write /pid == PID/ {
  printf("{\\"process\\": \\"%s\\", \\"written\\": %d}\\n", comm, args->count);
}
"""
SUMS = """
tracepoint:syscalls:sys_enter_write /pid == PID/ { @[comm] = sum(args->count); }
interval:ms:500 { print(@); clear(@); }
"""
ROW = {"kind": "deploy", "message": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@dataclass
class Logging:
    """A `kscope log` that runs; `said` is what it wrote on standard error so far."""

    process: subprocess.Popen[bytes]
    error: Path
    spool: Path

    @property
    def said(self) -> str:
        return self.error.read_text()

    def write(self, *lines: object) -> None:
        assert self.process.stdin
        for line in lines:
            text = line if isinstance(line, str) else json.dumps(line)
            self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def end(self, code: int = 0) -> str:
        """Close the pipe, and return the summary."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == code, self.said
        return out.decode()


@contextmanager
def logging(folder: Path, ingest: str, *arguments: str, **more: Any) -> Iterator[Logging]:
    """Run `kscope log` with these arguments, and a pipe to write into."""
    spool, error = folder / "spool", folder / "error"
    given = kscope("log", *arguments, "--server", ingest, "--spool", spool)
    with error.open("wb") as said:
        process = subprocess.Popen(
            given,
            cwd=ROOT,
            stderr=said,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} | more,
        )
    try:
        yield Logging(process, error, spool)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in filter(None, (process.stdin, process.stdout)):
            with suppress(BrokenPipeError):
                stream.close()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows(server: Serving, host: str, table: str = "marker") -> list[dict[str, Any]]:
    """Return the rows of a host, oldest first."""
    path = f"/api/v1/rows/{table}"
    given = {"from": "now-1h", "order": "time", "limit": 1000, "hostname": host}
    answer = server.get(path, **given).json()
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def piped(server: Serving, tmp_path: Path, *arguments: str, stdin: bytes) -> Ran:
    """Run `kscope log` in this process, with a file in place of the pipe."""
    file = tmp_path / "stdin"
    file.write_bytes(stdin)
    before, given = os.dup(0), os.open(file, os.O_RDONLY)
    try:
        os.dup2(given, 0)
        spool = ("--spool", tmp_path / "spool")
        return command("log", arguments[0], "--server", server.ingest, *spool, *arguments[1:])
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(given)


def test_each_row_has_the_time_of_its_line(server: Serving, tmp_path: Path) -> None:
    """A row is there while the pipe is open, without a second line; and its time is that of its
    arrival, unless it has its own.
    """
    with logging(tmp_path, server.ingest, "marker", "--hostname", "timed") as live:
        moments = []
        for number in (1, 2):
            moments.append(time.time())
            live.write("", ROW | {"message": str(number)})
            until(lambda wanted=number: len(rows(server, "timed")) == wanted)
            moments.append(time.time())
        live.write(
            ROW | {"message": "3", "time": "2020-01-01T00:00:00Z"}, ROW | {"time": moments[0]}
        )
        assert "4 rows sent, 0 lines skipped, 0 rows in the spool" in live.end()
    found = rows(server, "timed")
    assert [row["message"] for row in found] == ["1", "1", "2"]
    assert abs(found[0]["time"] - moments[0] * 10**6) <= 1
    assert moments[0] < found[1]["time"] / 10**6 < moments[1]
    assert moments[2] < found[2]["time"] / 10**6 < moments[3]


def test_lines_that_cannot_be_read_do_not_end_the_pipe(server: Serving, tmp_path: Path) -> None:
    """The first one is said at once, all are counted, and the other lines arrive."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "damaged") as live:
        live.write(ROW, "{damaged", "[1]")
        until(lambda: "line 2 skipped: is not JSON" in live.said)
        live.write("", "x" * 2_000_000, "\x1b[1m", ROW, '{"cut off')
        assert "2 rows sent, 5 lines skipped, 0 rows in the spool" in live.end()
    assert len(rows(server, "damaged")) == 2
    assert "1 line skipped: longer than 1 MiB (the first is line 5)" in live.said
    assert "\x1b" not in live.said


def test_rows_that_do_not_fit_are_said_with_the_row(server: Serving, tmp_path: Path) -> None:
    """At once, with the line and the column; the others arrive, and the exit code is 1."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "unfit") as live:
        live.write(ROW, ROW | {"message": 5}, ROW)
        until(lambda: "line 2 refused: message: 5 is not of type text" in live.said)
        assert '(the row is {"kind": "deploy", "message": 5' in live.said
        live.write(ROW | {"mesage": "x"}, {"kind": "x"}, ROW | {"time": "noon"}, ROW)
        assert "3 rows sent, 0 lines skipped, 4 rows refused" in live.end(code=1)
    assert len(rows(server, "unfit")) == 3
    assert "4 rows do not fit marker" in live.said


def test_a_row_keeps_its_host_and_options_win(server: Serving, tmp_path: Path) -> None:
    """As with `kscope import`: the row's own host, a fixed column, and --hostname over all."""
    own = "".join(json.dumps(ROW | {"hostname": f"own-{n}"}) + "\n" for n in (1, 2)).encode()
    assert piped(server, tmp_path, "marker", "--set", "kind=set", stdin=own).returncode == 0
    assert [row["kind"] for row in rows(server, "own-1") + rows(server, "own-2")] == ["set", "set"]
    assert piped(server, tmp_path, "marker", "--hostname", "forced", stdin=own).returncode == 0
    assert len(rows(server, "forced")) == 2


def test_folded_stacks_are_read_live(server: Serving, tmp_path: Path) -> None:
    """Their unit is said once, and the format is found by the first line."""
    with logging(tmp_path, server.ingest, "offcputime", "--hostname", "folded") as live:
        live.write("app;main;read 5")
        until(lambda: rows(server, "folded", "offcputime"))
        live.write("app;main;write 7")
        live.end()
    assert [row["elapsed"] for row in rows(server, "folded", "offcputime")] == [5, 7]
    assert live.said.count("the numbers are taken as microseconds") == 1


def test_rows_wait_while_the_server_restarts(tmp_path: Path) -> None:
    """They arrive when it is back, each once and at its own time."""
    port = free_port(1)
    given = ("--read", f"127.0.0.1:{port}", "--ingest", f"127.0.0.1:{port + 1}")
    server = start(tmp_path, given)
    with logging(tmp_path, server.ingest, "marker", "--hostname", "away") as live:
        live.write(ROW)
        until(lambda: len(rows(server, "away")) == 1)
        stop(server)
        for number in range(2):
            live.write(ROW | {"message": f"away {number}"})
            until(lambda known=number: len([*live.spool.rglob("*-marker-*")]) > known)
        with serving(tmp_path, *given) as again:
            until(lambda: len(rows(again, "away")) == 3)
            assert "3 rows sent, 0 lines skipped, 0 rows in the spool" in live.end()
            found = rows(again, "away")
    assert len({row["time"] for row in found}) == len(found) == 3


def test_rows_outlive_the_command(server: Serving, tmp_path: Path) -> None:
    """Without a server they are kept, which is no error, and `kscope spool send` sends them."""
    line = json.dumps(ROW).encode()
    given = ("marker", "--hostname", "kept", "--server", "http://127.0.0.1:9")
    done = piped(server, tmp_path, *given, stdin=line)
    assert done.returncode == 0
    assert done.stdout == "0 rows sent, 0 lines skipped, 1 rows in the spool\n"
    again = piped(server, tmp_path, *given, stdin=line)
    assert "1 rows that an earlier command left in the spool are sent, too" in again.stderr
    assert "2 rows in the spool" in again.stdout
    spool = ("--spool", tmp_path / "spool")
    assert command("spool", "send", "--all", *spool, "--server", server.ingest).returncode == 0
    assert len(rows(server, "kept")) == 2


def test_a_signal_sends_what_is_in_the_pipe(server: Serving, tmp_path: Path) -> None:
    """Ctrl-C reaches both programs: the writer's last rows arrive too, and the exit code is 0."""
    with ExitStack() as stack:
        running = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            (tmp_path / number.name).mkdir()
            given = ("marker", "--hostname", number.name)
            running[number] = stack.enter_context(
                logging(tmp_path / number.name, server.ingest, *given)
            )
        for number, live in running.items():
            live.write(ROW)
            until(lambda number=number: rows(server, number.name))
            live.write(*[ROW] * 100)
            live.process.send_signal(number)
        for live in running.values():
            live.write(ROW)
            assert "102 rows sent" in live.end()


def test_a_pipe_that_stays_open_does_not_hold_up_the_end(server: Serving, tmp_path: Path) -> None:
    """SIGTERM ends the command also if the writer runs on."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "open") as live:
        live.write(ROW)
        until(lambda: rows(server, "open"))
        live.process.terminate()
        live.write(ROW)
        assert live.process.wait(PATIENCE) == 0
        assert live.process.stdout
        assert b"2 rows sent" in live.process.stdout.read()


def test_two_signals_end_it_at_once(server: Serving, tmp_path: Path) -> None:
    """The rows so far are sent or kept."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "twice") as live:
        live.write(ROW)
        until(lambda: rows(server, "twice"))
        live.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(PATIENCE) == 0
    assert "Traceback" not in live.said


def test_a_flood_arrives_whole_in_bounded_memory(server: Serving, tmp_path: Path) -> None:
    """Rows that come faster than they are sent wait on disk and in the pipe, not in memory."""
    count = 100_000
    line = '{"kind": "flood", "message": "%d"}\n'
    bounds = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))}
    with logging(tmp_path, server.ingest, "marker", "--hostname", "flood", **bounds) as live:
        assert live.process.stdin
        for first in range(0, count, 10_000):
            numbers = range(first, first + 10_000)
            live.process.stdin.write("".join(line % number for number in numbers).encode())
        assert f"{count} rows sent, 0 lines skipped, 0 rows in the spool" in live.end()
    given = {"from": "now-1h", "hostname": "flood", "by": "kind", "value": "rows"}
    assert server.get("/api/v1/top/marker", **given).json()["total"] == count


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (b"x" * 1_000_000, "longer than 1 MiB"),
        (b"}\n" * 100_000, "is not JSON"),
        (b'{"message":1}\n' * 10_000, "'kind' is missing"),
    ],
)
def test_floods_of_other_lines_are_bounded(
    server: Serving, tmp_path: Path, piece: bytes, said: str
) -> None:
    """A line without end, damaged lines, rows that do not fit."""
    bounds = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))}
    given = ("marker", "--format", "ndjson")
    with logging(tmp_path, server.ingest, *given, **bounds) as live:
        assert live.process.stdin
        for _ in range(64 if b"\n" not in piece else 2):
            live.process.stdin.write(piece)
        live.end(code=1 if b"message" in piece else 0)
    assert said in live.said
    assert len(live.said) < 10_000


def test_a_full_spool_lets_the_writer_wait(tmp_path: Path) -> None:
    """No row is lost: the pipe is not read further, and all arrive when the server is there."""
    port = free_port(1)
    ingest = f"http://127.0.0.1:{port + 1}"
    config = tmp_path / "kernelscope.yaml"
    config.write_text("agent: {spool_bytes: 64KiB}\n")
    read, write = os.pipe()
    os.set_blocking(write, False)
    given = ("marker", "--hostname", "full", "--config", str(config))
    with logging(tmp_path, ingest, *given, stdin=read) as live:
        os.close(read)
        written, text = 0, b""
        while "no more fit" not in live.said:
            if not text:
                text = f"{json.dumps(ROW | {'message': os.urandom(400).hex()})}\n".encode()
                written += 1
            with suppress(BlockingIOError):
                text = text[os.write(write, text) :]
        with serving(tmp_path, "--read", f"127.0.0.1:{port}", "--ingest", f"127.0.0.1:{port + 1}"):
            os.set_blocking(write, True)
            os.write(write, text)
            os.close(write)
            assert f"{written} rows sent, 0 lines skipped, 0 rows in the spool" in live.end()


@pytest.mark.parametrize(
    ("arguments", "stdin", "ends"),
    [
        (("offcputme",), b"", ("there is no table 'offcputme'. Did you mean 'offcputime'", 2)),
        (("marker", "--format", "perf"), b"", ("'perf' is not one of", 2)),
        (("marker", "--set", "x=1"), b"", ("--set x=1: must be COLUMN=VALUE", 2)),
        (("marker", "--server", "ftp://x"), b"", ("write it as http://host:8081", 2)),
        (("marker", "--format", "folded"), b"a;b 1\n", ("marker has no stack column", 1)),
        (("offcputime", "--format", "folded", "--value", "x"), b"", ("has elapsed, count", 1)),
        (
            ("offcputime", "--unit", "ms"),
            b'{"elapsed": 1}\n',
            ("--unit does not fit the format", 2),
        ),
        (("marker",), b"hello\nworld\n", ("in no format that is known: 'hello'", 2)),
        (("marker",), b"no\n" * 1000, ("name it with --format bpftrace|", 2)),
        (("marker",), gzip.compress(b"{}\n" * 3), ("standard input is compressed", 1)),
        (("marker",), b"PERFILE2\n", ("is perf's own file", 1)),
        (
            ("profile",),
            b"dd 1 [000] 1.0: 7 cycles:\n\t1 main (/bin/dd)\n",
            ("the format perf is read as a whole", 2),
        ),
    ],
)
def test_a_mistake_is_said(
    server: Serving, tmp_path: Path, arguments: tuple[str, ...], stdin: bytes, ends: tuple[str, int]
) -> None:
    """In a sentence that says how to fix it."""
    said, code = ends
    done = piped(server, tmp_path, *arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_mistake_does_not_wait_for_the_end(server: Serving, tmp_path: Path) -> None:
    """A user does not write an hour's rows into a pipe that takes none."""
    given = ("marker", "--format", "folded")
    with logging(tmp_path, server.ingest, *given) as live:
        assert live.process.wait(PATIENCE) == 1
    assert "marker has no stack column" in live.said


def test_first_words_of_a_tool_do_not_hide_the_format(server: Serving, tmp_path: Path) -> None:
    """Lines before the first one that is known are counted; a silence after them is said."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "preamble") as live:
        live.write("Collecting events", "")
        until(lambda: "no format is known yet" in live.said)
        live.write(ROW)
        until(lambda: rows(server, "preamble"))
        assert "1 rows sent, 1 lines skipped" in live.end()


def test_a_writer_that_keeps_lines_back_is_said(server: Serving, tmp_path: Path) -> None:
    """Its rows come late, in blocks, and a user cannot see why."""
    with logging(tmp_path, server.ingest, "marker", "--hostname", "late") as live:
        live.write(ROW)
        until(lambda: rows(server, "late"))
        time.sleep(1)
        text = f"{json.dumps(ROW)}\n".encode() * 200
        assert live.process.stdin
        live.process.stdin.write(text[:4096])
        live.process.stdin.flush()
        until(lambda: "the writer keeps its lines back" in live.said)
        live.process.stdin.write(text[4096:])
        assert "201 rows sent" in live.end()


@pytest.mark.parametrize("stdin", [b"", b"\n\n"])
def test_a_pipe_without_rows_is_no_error(server: Serving, tmp_path: Path, stdin: bytes) -> None:
    """A script that saw nothing has nothing to send."""
    done = piped(server, tmp_path, "marker", stdin=stdin)
    assert done.returncode == 0
    assert done.stdout == "0 rows sent, 0 lines skipped, 0 rows in the spool\n"


def test_a_closed_standard_input_is_said(server: Serving, tmp_path: Path) -> None:
    """It has no end to wait for."""
    closed = {"stdin": None, "preexec_fn": lambda: os.close(0)}
    with logging(tmp_path, server.ingest, "marker", **closed) as live:
        live.end(code=1)
    assert "standard input is closed" in live.said


def test_rows_arrive_though_nobody_reads_what_is_said(server: Serving, tmp_path: Path) -> None:
    """Neither the summary nor the lines on standard error."""
    read, write = os.pipe()
    os.close(read)
    given = kscope("log", "marker", "--server", server.ingest, "--spool", tmp_path)
    process = subprocess.Popen(
        [*given, "--hostname", "mute"], cwd=ROOT, stdin=subprocess.PIPE, stdout=write, stderr=write
    )
    os.close(write)
    process.communicate(f"{json.dumps(ROW)}\nx\n{json.dumps(ROW)}\n".encode(), timeout=PATIENCE)
    assert len(rows(server, "mute")) == 2


def test_a_terminal_is_told_that_it_is_read(server: Serving, tmp_path: Path) -> None:
    """A user who gave no pipe learns what to do, and types rows."""
    own, theirs = pty.openpty()
    with logging(tmp_path, server.ingest, "marker", "--hostname", "typed", stdin=theirs) as live:
        until(lambda: "rows are read from the terminal" in live.said)
        os.write(own, json.dumps(ROW).encode() + b"\n\x04")
        assert "1 rows sent" in live.end()
    os.close(own)
    os.close(theirs)
    assert len(rows(server, "typed")) == 1


def test_a_table_is_read_below_its_header(server: Serving, tmp_path: Path) -> None:
    """As execsnoop prints it: words first, then a header, and rows whenever a program starts."""
    given = ("execsnoop", "--hostname", "table")
    with logging(tmp_path, server.ingest, *given) as live:
        live.write("Tracing... Hit Ctrl-C to end.", "PCOMM            PID    PPID   RET ARGS")
        for number in (1, 2):
            live.write(f"true             {number}      10421    0 /bin/true {number} ")
            until(lambda wanted=number: len(rows(server, "table", "execsnoop")) == wanted)
        live.write("not a row", "true             3      10421    0 /bin/true")
        assert "3 rows sent" in live.end()
    found = rows(server, "table", "execsnoop")
    assert [(row["process"], row["pid"], row["parent_pid"]) for row in found] == [
        ("true", number, 10421) for number in (1, 2, 3)
    ]
    assert found[0]["time"] < found[1]["time"] < found[2]["time"]


def test_a_damaged_line_of_bpftrace_does_not_count_a_map_twice(
    server: Serving, tmp_path: Path
) -> None:
    """A map that is printed again holds totals, also behind a line that cannot be read."""
    lines = (
        {"type": "attached_probes", "data": {"probes": 2}},
        {"type": "map", "data": {"@w": {"mysqld": 5}}},
        {"type": "map", "data": {"@w": {"mysqld,1": 7}}},
        "cut off",
        {"type": "map", "data": {"@w": {"mysqld": 12}}},
    )
    (tmp_path / "map.yaml").write_text(MAP)
    given = ("logmap", "--categories", str(tmp_path), "--server", "http://127.0.0.1:9")
    text = "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)
    done = piped(server, tmp_path, *given, stdin=text.encode())
    assert "2 lines skipped, 2 rows in the spool" in done.stdout, done.stderr
    (kept,) = (tmp_path / "spool").rglob("*-2-logmap-*")
    body = zstandard.ZstdDecompressor().decompressobj().decompress(kept.read_bytes())
    assert [row["written"] for row in json.loads(body)["logmap"]] == [5, 7]


@pytest.mark.bpf
@pytest.mark.xdist_group("tools")
@pytest.mark.parametrize(
    ("options", "script"),
    [
        (
            "-f json",
            PRINTS,
        ),
        (
            "",
            SUMS,
        ),
    ],
)
def test_bpftrace_is_logged_while_it_runs(tmp_path: Path, options: str, script: str) -> None:
    """One line in a shell, into a category of the user's own; Ctrl-C ends both, and the numbers
    are those of the traced process.
    """
    needs.program("bpftrace", "bpftrace")
    (tmp_path / "map.yaml").write_text(MAP)
    writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE)
    with serving(tmp_path, "--categories", tmp_path) as server:
        name = Path(f"/proc/{writer.pid}/comm").read_text().strip()
        (tmp_path / "script.bt").write_text(script.replace("PID", str(writer.pid)))
        given = ("--categories", tmp_path, "--server", server.ingest, "--spool", tmp_path / "spool")
        log = shlex.join(kscope("log", "logmap", "--hostname", "bpf", *given))
        line = f"bpftrace {options} {tmp_path}/script.bt | {log}"
        shell = subprocess.Popen(
            ["bash", "-c", line], cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE
        )
        try:
            until(lambda: len(rows(server, "bpf", "logmap")) >= 3)
        finally:
            os.killpg(shell.pid, signal.SIGINT)
            writer.kill()
            writer.communicate()
        _, said = shell.communicate(timeout=PATIENCE)
        found = rows(server, "bpf", "logmap")
    assert shell.returncode == 0, said
    assert {row["process"] for row in found} == {name}
    assert all(row["written"] % 100 == 0 for row in found)
    assert len({row["time"] for row in found}) > 1


@pytest.mark.bpf
@pytest.mark.xdist_group("tools")
def test_execsnoop_is_logged_while_it_runs(server: Serving, tmp_path: Path) -> None:
    """One of libbpf-tools, which sees only the programs of a cgroup of this test."""
    execsnoop = needs.program("execsnoop", "libbpf-tools")
    root = cgroup_root()
    assert root
    group = root / f"kscope-log-{os.getpid()}"
    group.mkdir()
    try:
        with subprocess.Popen(
            ["stdbuf", "-oL", execsnoop, "-c", str(group)], stdout=subprocess.PIPE
        ) as snoop:
            given = ("execsnoop", "--hostname", "snooped")
            with logging(tmp_path, server.ingest, *given, stdin=snoop.stdout) as live:
                for number in range(100):
                    join = f"echo $$ > {group}/cgroup.procs; exec /bin/echo {number}"
                    subprocess.run(["sh", "-c", join], check=True, stdout=subprocess.DEVNULL)
                    time.sleep(0.2)
                    if rows(server, "snooped", "execsnoop"):
                        break
                snoop.terminate()
                assert "0 lines skipped" in live.end()
    finally:
        group.rmdir()
    found = rows(server, "snooped", "execsnoop")
    assert {row["process"] for row in found} == {"echo"}
    assert found[0]["arguments"].startswith("/bin/echo ")
