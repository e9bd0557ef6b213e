"""Data types whose probe is a bpftrace script in their own file, and several probes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kscope.agent.engines import bpftrace_process as bpftraceprocess
from kscope.agent.engines.bpftrace_maps import difference, key_pattern, stack_frames, with_constants
from kscope.declare.files.bpftrace_script import script_map
from kscope.declare.types.kernel import Kind
from kscope.errors import KscopeError
from tests import needs
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.commands import command
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES = 100
WRITER = f"""
import os, time
null = os.open("/dev/null", os.O_WRONLY)
while True:
    os.write(null, b"x" * {BYTES})
    time.sleep(0.02)
"""

WRITES = """
table: writes
prettyname: Writes
columns:
  - {{name: process, type: string, prettyname: Process}}
  - {{name: pid, type: int, prettyname: PID}}
  - {{name: written, type: bytes, prettyname: Written}}
probe:
  engine: bpftrace
  script: |
    tracepoint:syscalls:sys_enter_write /pid == {pid}/ {{ @w[comm, pid] = sum(args->count); }}
  collect: {{map: w, columns: {{process: key.0, pid: key.1, written: value}}}}
"""

# A bpftrace that ends by itself, as one that is killed does.
DIES = """
table: dies
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: 'interval:ms:700 { @n = count(); exit(); }'
  collect: {map: n, columns: {n: value}}
"""

BROKEN = """
table: broken
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: 'tracepoint:sched:sched_nonsense { @n = count(); }'
  collect: {map: n, columns: {n: value}}
"""


@contextmanager
def writer() -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes a hundred bytes fifty times a second."""
    process = subprocess.Popen([sys.executable, "-c", WRITER])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def configured(folder: Path, *categories: str) -> Path:
    """Return a configuration with a separate folder of categories."""
    own = folder / "mine"
    own.mkdir()
    for number, text in enumerate(categories):
        (own / f"c{number}.yaml").write_text(text)
    config = folder / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\ndatabase: {sqlite: rows.db}\n")
    return config


def poll(what: Any, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.mark.bpf
def test_one_dropped_file_is_a_new_data_type_with_its_probe(tmp_path: Path) -> None:
    """While server and agent run, one YAML file makes the table, the probe and the charts. The
    other probe goes on undisturbed, then and when a file with a mistake comes.
    """
    needs.program("bpftrace", "bpftrace")
    config = configured(tmp_path, DIES.replace("dies", "idle").replace("exit();", ""))
    with writer() as process, serving(tmp_path, "--config", config) as server:
        flags = ("--server", server.ingest, "--spool", tmp_path / "spool", "--interval", 1)
        with agent("--config", config, *flags) as running:
            running.wait_for("idle: probe running")
            (tmp_path / "mine" / "writes.yaml").write_text(WRITES.format(pid=process.pid))
            running.wait_for("writes: probe running")
            (tmp_path / "mine" / "bad.yaml").write_text("table: bad\n")
            running.wait_for("bad.yaml:1: needs exactly one of columns, union")
            rows = poll(lambda: rows_of(server.read, "writes"))
            running.stop()
            assert sum("idle: probe running" in line for line in running.log) == 1
        listed = server.get("/api/v1/categories").json()["categories"]
    assert {row["pid"] for row in rows} == {process.pid}
    assert all(row["written"] % BYTES == 0 for row in rows)
    (charts,) = (c["charts"] for c in listed if c["table"] == "writes")
    assert [chart["kind"] for chart in charts].count("timeseries") == 1


def rows_of(url: str, table: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/rows/{table}?from=now-1h&to=now")
    if answer.status_code != 200:
        return []
    body = answer.json()
    return [dict(zip(body["columns"], row, strict=True)) for row in body["rows"]]


@pytest.mark.bpf
def test_no_write_is_counted_twice_or_left_out(tmp_path: Path) -> None:
    """The intervals' sums are together what the process wrote while it was traced."""
    needs.program("bpftrace", "bpftrace")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import os, sys, time
            sys.stdin.readline()
            null = os.open("/dev/null", os.O_WRONLY)
            for n in range(200):
                os.write(null, b"x" * 100)
                time.sleep(0.01)
            sys.stdin.readline()
        """)],
        stdin=subprocess.PIPE,
        text=True,
    ) as process, serving(tmp_path, "--config", configured(
        tmp_path, WRITES.format(pid=process.pid)
    )) as server:  # fmt: skip
        flags = ("--server", server.ingest, "--spool", tmp_path / "spool", "--interval", 0.5)
        with agent("--config", tmp_path / "kernelscope.yaml", *flags) as running:
            running.wait_for("writes: probe running")
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
            poll(lambda: sum(row["written"] for row in rows_of(server.read, "writes")) >= 20_000)
            running.stop()
        rows = rows_of(server.read, "writes")
        process.stdin.close()
    assert sum(row["written"] for row in rows) == 200 * BYTES
    assert len({row["time"] for row in rows}) >= 3


@pytest.mark.bpf
def test_a_probe_that_fails_or_dies_leaves_the_others_alone(tmp_path: Path) -> None:
    """One cannot load, one dies again and again: the third delivers, the rest are reported."""
    needs.program("bpftrace", "bpftrace")
    with writer() as process:
        config = configured(tmp_path, WRITES.format(pid=process.pid), DIES, BROKEN)
        with serving(tmp_path, "--config", config) as server:
            flags = ("--server", server.ingest, "--spool", tmp_path / "spool", "--interval", 0.7)
            with agent("--config", config, *flags) as running:
                running.wait_for("broken: bpftrace ended: ")
                running.wait_for("dies: bpftrace ended: the script called exit(); remove the call")
                poll(lambda: sum("dies: probe running" in line for line in running.log) >= 2)
                before = len(rows_of(server.read, "writes"))
                poll(lambda: len(rows_of(server.read, "writes")) >= before + 2)
                running.stop()
    with sqlite3.connect(tmp_path / "rows.db") as stored:
        states = set(stored.execute("SELECT probe, state FROM agent").fetchall())
        lost = dict(stored.execute("SELECT probe, sum(lost_intervals) FROM agent GROUP BY probe"))
    assert {("broken", "failed"), ("dies", "failed"), ("writes", "running")} <= states
    assert ("writes", "failed") not in states
    assert lost["dies"] >= 1
    assert lost["broken"] == lost["writes"] == 0


def running_bpftraces(agent_pid: int) -> list[int]:
    """Children of the agent, whichever of its threads started them."""
    tasks = Path(f"/proc/{agent_pid}/task").iterdir()
    return [int(n) for task in tasks for n in (task / "children").read_text().split()]


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.bpf
def test_no_bpftrace_outlives_its_agent(tmp_path: Path) -> None:
    """An agent that is killed at once takes its bpftrace with it."""
    needs.program("bpftrace", "bpftrace")
    with writer() as process:
        config = configured(tmp_path, WRITES.format(pid=process.pid))
        with agent("--config", config, "writes", "--json", "--verbose") as running:
            running.wait_for("probe running")
            (bpftrace,) = running_bpftraces(running.process.pid)
            running.process.kill()
            running.process.wait()
            poll(lambda: ended(bpftrace))


def test_a_bpftrace_that_never_attaches_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bpftrace that prints nothing for too long is stopped, and leaves no process behind."""
    silent, said = tmp_path / "bpftrace", tmp_path / "pid"
    silent.write_text(f"#!/bin/sh\necho $$ >{said}\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setattr(bpftraceprocess, "_PATIENCE", 2.0)
    with pytest.raises(KscopeError, match="took more than 2 s to attach"):
        bpftraceprocess.Bpftrace(str(silent), "", 64)
    assert ended(int(said.read_text()))


BLOCK = """
table: wrong
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: |
    BEGIN { printf("x"); }
    interval:s:1 { @n = count(); cont(); }
  collect: {map: n, columns: {n: value}}
"""
LINE = """
table: wrong
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: 'interval:s:1 { @n = count(); cont(); }'
  collect: {map: n, columns: {n: value}}
"""


@pytest.mark.bpf
@pytest.mark.parametrize(("category", "line"), [(BLOCK, 8), (LINE, 6)], ids=["block", "line"])
def test_a_mistake_in_a_script_has_the_line_of_the_category(
    category: str, line: int, tmp_path: Path
) -> None:
    """bpftrace counts the lines of the script alone."""
    needs.program("bpftrace", "bpftrace")
    config = configured(tmp_path, category)
    ran = command("agent", "--config", config, "wrong", "--json", "--duration", "0.2")
    assert ran.returncode == 2
    assert f"mine/c0.yaml:{line}: column 30-34: ERROR: Unknown function: cont" in ran.stderr


# The process alone is taken from a key of two parts; 40 sizes fill a map of 64 keys by half.
SIZES = """
table: sizes
columns:
  - {{name: process, type: string}}
  - {{name: written, type: bytes}}
probe:
  engine: bpftrace
  script: |
    tracepoint:syscalls:sys_enter_write /pid == {pid}/ {{
      @w[comm, @n % 40] = sum(args->count);
      @n++;
    }}
  collect: {{map: "@w", columns: {{process: key.0, written: value}}}}
"""


@pytest.mark.bpf
def test_a_map_that_fills_is_begun_anew(tmp_path: Path) -> None:
    """Rows go on, with the name alone where that is all of the key that was asked for."""
    needs.program("bpftrace", "bpftrace")
    with writer() as process, fake_server() as server:
        config = configured(tmp_path, SIZES.format(pid=process.pid))
        flags = ("--interval", 1, "--keys", 64, "--server", server.url)
        with agent("--config", config, "sizes", *flags, "--spool", tmp_path / "spool") as running:
            running.wait_for("probe running")
            first = running_bpftraces(running.process.pid)
            poll(lambda: set(running_bpftraces(running.process.pid)) - set(first))
            before = len(server.rows("sizes"))
            poll(lambda: len(server.rows("sizes")) > before)
            running.stop()
    assert {row["process"] for row in server.rows("sizes")} == {Path(sys.executable).name[:15]}


def test_what_the_script_says_of_a_map() -> None:
    """Its key's parts, brackets and commas in them; whether its values add up."""
    script = "k:f { @w[comm, str(args->x[0], 8), kstack(3)] = sum(1); @last[pid] = nsecs; @n++; }"
    written = script_map(script, "w")
    assert written.key == ("comm", "str(args->x[0], 8)", "kstack(3)")
    assert written.sums
    assert [part.kind is Kind.KERNEL_STACK for part in written.types] == [False, False, True]
    assert not script_map(script, "@last").sums
    assert script_map(script, "n").sums
    assert script_map(script, "n").key == ()


@pytest.mark.parametrize("function", ["max", "min", "avg"])
def test_what_has_no_interval_is_refused(function: str) -> None:
    """The largest since the script began is not the largest of an interval."""
    with pytest.raises(ValueError, match=rf"@w is made by {function}\(\)"):
        script_map(f"k:f {{ @w[comm] = {function}(arg0); }}", "w")


def test_constants_are_put_in_as_they_are() -> None:
    """A text with backslashes and another constant's name in it; a fraction is refused."""
    text = with_constants("/comm == NAME && pid == PID/", {"NAME": r"a\1 PID", "PID": 7}, "t")
    assert text == r'/comm == "a\\1 PID" && pid == 7/'
    with pytest.raises(KscopeError, match="only whole numbers"):
        with_constants("SHARE", {"SHARE": 0.5}, "t")


def taken_apart(key: str, printed: str) -> tuple[str, ...] | None:
    pattern = key_pattern(script_map(f"k:f {{ @m[{key}] = count(); }}", "m").types)
    found = pattern.fullmatch(printed)
    return found and found.groups()


def test_a_key_is_taken_apart() -> None:
    """Names, numbers and stacks that bpftrace joins by commas, commas in names and frames too."""
    kernel, user = "\n    schedule+5\n    f(int, long)+1\n", "\n    main+0x10\n"
    assert taken_apart("comm, pid", "python3,15930") == ("python3", "15930")
    assert taken_apart("comm, kstack, ustack", f"sh,{kernel},{user}") == ("sh", kernel, user)
    assert taken_apart("comm, pid, kstack", f"a,b,c,7,{kernel}") == ("a,b,c", "7", kernel)
    assert taken_apart("pid, comm", "7,a,8\n  b+1\n") == ("7", "a,8\n  b+1\n")
    assert taken_apart("ntop(arg0), arg1, comm", "::1,-3,9") == ("::1", "-3", "9")
    assert taken_apart("pid, comm", "no number,a") is None
    assert key_pattern(()).fullmatch("")
    assert stack_frames(kernel, "_[k]") == ["schedule_[k]", "f(int, long)_[k]"]
    assert stack_frames("\n    0x7f12\n", "") == ["[unknown]"]


def test_an_interval_is_what_was_added() -> None:
    """Counts, statistics and histograms are cumulative in bpftrace, rows are not."""
    assert difference(50, 45) == 5
    assert difference({"count": 5, "average": 2, "total": 10}, None) == {"count": 5, "total": 10}
    assert not difference({"count": 5, "total": 10}, {"count": 5, "total": 10})
    before = [{"min": 64, "max": 127, "count": 45}]
    added = difference([{"min": 64, "max": 127, "count": 50}], before)
    assert added["slots"][6] == sum(added["slots"]) == 5
    assert not difference(before, before)
