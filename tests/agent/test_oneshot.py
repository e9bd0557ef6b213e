"""The output of a probe without a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.agent.tracing import agent
from tests.probes.acting import actor
from tests.serving import ROOT, kscope
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_events_are_printed_while_the_probe_runs(tmp_path: Path) -> None:
    """With --json an event is there soon after it happened, not when the trace ends."""
    with (
        actor("opens", tmp_path) as opener,
        agent("opensnoop", "--pid", opener.pid, "--json", "--verbose") as running,
    ):
        running.wait_for("probe running")
        opener.go()
        opener.truth()
        assert running.process.stdout
        first = json.loads(running.process.stdout.readline())
        assert running.process.poll() is None
        running.stop()
    assert first["pid"] == opener.pid


def test_what_was_lost_is_said(tmp_path: Path) -> None:
    """Folded stacks come with a warning that names what is missing, and the fix."""
    with workload("pingpong.c", tmp_path, 2500, 500) as busy:
        flags = ("--folded", "--verbose", "--keys", 64)
        with agent("offcputime", "--pid", busy.pid, *flags) as running:
            running.wait_for("probe running")
            busy.go()
            busy.truth()
            lines = running.stop().splitlines()
    (warning,) = (line for line in running.log if "the map was full" in line)
    assert warning.startswith("WARNING offcputime: lost ")
    assert warning.endswith("a larger --keys holds more\n")
    # Drained every second, the map held more than it has places.
    assert len(lines) > 64


def test_a_process_is_one_frame() -> None:
    """A process name with `;` is one frame."""
    napping = "import time\nopen('/proc/self/comm', 'w').write('a;b c')\nwhile 1: time.sleep(0.01)"
    napper = subprocess.Popen([sys.executable, "-c", napping])
    try:
        with agent("offcputime", "--pid", napper.pid, "--folded", "--duration", 1) as running:
            assert running.process.stdout
            stacks = [line for line in running.process.stdout if "nanosleep" in line]
    finally:
        napper.kill()
        napper.wait()
    assert stacks
    assert {stack.partition(";")[0] for stack in stacks} == {"a:b c"}


def test_a_recording_keeps_its_last_interval(tmp_path: Path) -> None:
    """The output includes rows since the last full interval."""
    recording = tmp_path / "opens.ndjson"
    with actor("opens", tmp_path) as opener:
        flags = ("--record", recording, "--interval", 3600, "--verbose")
        with agent("opensnoop", "--pid", opener.pid, *flags) as running:
            running.wait_for("probe running")
            opener.go()
            opener.truth()
            running.stop()
    header, interval = recording.read_text().splitlines()
    assert json.loads(header)["recording"] == "opensnoop"
    assert len(json.loads(interval)["rows"]) == 27


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--json >/dev/full", "standard output: No space left on device"),
        ("--record /dev/full", "/dev/full: cannot be written: No space left on device"),
        ("--record /nosuch/x", "/nosuch/x: cannot be written: No such file or directory"),
    ],
)
def test_an_output_that_takes_nothing_is_told(tmp_path: Path, flags: str, said: str) -> None:
    """A full disk, a folder that is not there: one sentence, and the trace ends."""
    with actor("opens", tmp_path) as opener:
        command = kscope("agent", "opensnoop", "--pid", opener.pid, "--duration", 3, "--verbose")
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {flags}', "sh", *command],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr
        log = [process.stderr.readline()]
        if "probe running" in log[0]:
            opener.go()
            opener.truth()
        log += process.stderr.readlines()
    assert process.wait(30) == 1
    assert [line for line in log if "probe running" not in line] == [f"{said}\n"]


def test_a_reader_that_has_enough_ends_a_trace(tmp_path: Path) -> None:
    """As `| head -1` does: quietly."""
    with (
        actor("opens", tmp_path) as opener,
        agent("opensnoop", "--pid", opener.pid, "--json", "--verbose") as running,
    ):
        running.wait_for("probe running")
        assert running.process.stdout
        running.process.stdout.close()
        opener.go()
        opener.truth()
        assert running.process.wait(30) == 0
    assert not [line for line in running.log if "probe running" not in line]


def test_no_stacks_to_fold_is_said_at_once(tmp_path: Path) -> None:
    """Not after a trace that was for nothing."""
    with actor("opens", tmp_path) as opener:
        running = agent("opensnoop", "--pid", opener.pid, "--folded")
        with running as ended:
            assert ended.process.wait(30) != 0
    assert "opensnoop has no stacks: --folded has nothing to print" in "".join(ended.log)


def test_what_a_probe_says_is_not_lost_while_another_compiles(tmp_path: Path) -> None:
    """Three probes start at once: each one's word that it runs is in the log."""
    (tmp_path / "categories").mkdir()
    (tmp_path / "probes").mkdir()
    with actor("opens", tmp_path) as opener:
        for name in ("one", "two", "three"):
            (tmp_path / f"categories/{name}.yaml").write_text(CATEGORY.format(name=name))
            program = PROGRAM.replace("PID", str(opener.pid))
            (tmp_path / f"probes/{name}.bpf.c").write_text(program)
        (tmp_path / "kernelscope.yaml").write_text("categories: [builtin, ./categories]")
        flags = ("--config", tmp_path / "kernelscope.yaml", "--spool", tmp_path / "spool")
        with agent(*flags, "--server", "http://127.0.0.1:9") as running:
            for name in ("one", "two", "three"):
                running.wait_for(f"{name}: probe running")
            running.signal(signal.SIGTERM)
            running.stop()
    # The first thread imports bcc for all.
    assert not [line for line in running.log if line.startswith("ERROR")]


CATEGORY = """
table: {name}
columns: [{{name: calls, type: count}}]
probe:
  engine: bcc
  program: {name}.bpf.c
  collect: {{map: counts, columns: {{calls: value}}}}
"""
PROGRAM = """
BPF_HASH(counts, u32, u64, 16);
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    if (pid == PID)
        counts.increment(pid);
    return 0;
}
"""
