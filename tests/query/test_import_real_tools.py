"""The output of tools about a process that the test started, imported: the same totals are stored.

All tools run at the same time, once, each with a filter of the process.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests import bcc_headers, needs
from tests.commands import command
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.bpf, pytest.mark.xdist_group("tools")]
_PATIENCE = 90.0
_NAME = "kscope test"
# Opens, waits, computes and starts programs until it is killed.
_WORK = """
import os, subprocess, sys, time
with open("/proc/self/comm", "w") as file:
    file.write("kscope test")
print("ready", flush=True)
turn = 0
while True:
    with open("work.tmp", "w") as file:
        file.write("x")
    time.sleep(0.002)
    sum(range(20000))
    turn += 1
    if turn % 20 == 0:
        subprocess.run([sys.argv[1], "a  b"], stdout=subprocess.DEVNULL)
"""
_SCRIPT = """
profile:hz:99 /pid == PID/ { @samples[kstack, ustack, comm, pid] = count(); }
tracepoint:raw_syscalls:sys_enter /pid == PID/ { @start[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /@start[tid]/ {
  $us = (nsecs - @start[tid]) / 1000;
  @length[comm] = hist($us);
  @calls[comm, pid] = stats($us);
  @printed[comm, pid] = count();
  delete(@start[tid]);
}
interval:ms:300 { time("%H:%M:%S "); print(@printed); clear(@printed); }
interval:ms:1000 { exit(); }
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the output of each tool."""
    folder = tmp_path_factory.mktemp("recorded")
    headers = bcc_headers.headers(folder / "headers")
    program = folder / "kscopetestecho"
    shutil.copy("/bin/echo", program)
    with working(folder, program) as pid:
        script = folder / "script.bt"
        script.write_text(_SCRIPT.replace("PID", str(pid)))
        bcc = {"BCC_KERNEL_SOURCE": str(headers)}
        running = {
            "bpftrace": start(["bpftrace", script]),
            "bpftrace-json": start(["bpftrace", "-f", "json", script]),
            "profile-bpfcc": start(["profile-bpfcc", "-F", 99, "-p", pid, 1], **bcc),
            "syscount-bpfcc": start(["syscount-bpfcc", "-L", "-p", pid, "-d", 1], **bcc),
            "offcputime": start(["offcputime", "-p", pid, 1]),
            "runqlat": start(["runqlat", "-P", "-p", pid, 1, 2]),
            "syscount": start(["syscount", "-P", "-L", "-p", pid, "-d", 1]),
            "opensnoop": start(["opensnoop", "-p", pid]),
            "execsnoop": start(["execsnoop", "-t", "-n", "kscopetestecho"]),
        }
        yield {name: finished(name, process) for name, process in running.items()}


@contextmanager
def working(folder: Path, program: Path) -> Iterator[int]:
    arguments = [sys.executable, "-c", _WORK, program]
    with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


def start(command: list[object], **environment: str) -> subprocess.Popen[str]:
    name, *arguments = map(str, command)
    package = {"bpftrace": "bpftrace"}.get(name, "bpfcc-tools")
    path = needs.program(name, package if name.endswith(("bpfcc", "bpftrace")) else "libbpf-tools")
    return subprocess.Popen(
        [path, *arguments],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def finished(name: str, process: subprocess.Popen[str]) -> str:
    if name in ("opensnoop", "execsnoop"):
        # They print until they are stopped; by now all others have run.
        process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=_PATIENCE)
    finally:
        process.kill()
    assert out, f"{name}: {err}"
    return out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


def stored(server: Serving, table: str, text: str, *options: str) -> list[dict[str, Any]]:
    """Import into a separate host; return the rows."""
    host = f"{table} {len(text)} {' '.join(options)}"
    given = ("import", table, "-", "--hostname", host, "--server", server.ingest, *options)
    done = command(*given, stdin=text.encode())
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stderr
    path = f"/api/v1/rows/{table}"
    answer = server.get(path, **{"from": "now-1d", "to": "now+1h"}, hostname=host, limit=10_000)
    found = answer.raise_for_status().json()
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def total(rows: list[dict[str, Any]], column: str) -> int:
    return sum(row[column] for row in rows)


def maps(text: str, name: str) -> list[Any]:
    """Return the last value of a map in bpftrace's JSON, as the JSON has it."""
    found = [json.loads(line) for line in text.splitlines() if f'"{name}"' in line]
    return [each["data"][name] for each in found]


def test_stacks_of_bpftrace(server: Serving, printed: dict[str, str]) -> None:
    """Each sample of the map is stored, whether it is printed as text or as JSON."""
    options = ("--event", "@samples", "--frequency", "99")
    text = re.findall(rf", {_NAME}, \d+\]: (\d+)$", printed["bpftrace"], re.MULTILINE)
    rows = stored(server, "profile", printed["bpftrace"], *options)
    assert total(rows, "samples") == sum(map(int, text)) > 0
    (values,) = maps(printed["bpftrace-json"], "@samples")
    found = stored(server, "profile", printed["bpftrace-json"], *options)
    assert total(found, "samples") == sum(values.values()) > 0
    assert {row["process"] for row in rows + found} == {_NAME}
    assert len({row["pid"] for row in rows + found}) == 1


def test_histograms_of_bpftrace(server: Serving, printed: dict[str, str]) -> None:
    """Each bucket is a slot."""
    text = printed["bpftrace"].partition("@length[")[2].partition("\n\n")[0]
    counts = [int(each) for each in re.findall(r" (\d+) \|", text)]
    (row,) = stored(server, "syscalls", printed["bpftrace"], "--event", "length")
    assert row["count"] == sum(row["latency"]) == sum(counts) > 0
    (values,) = maps(printed["bpftrace-json"], "@length")
    (row,) = stored(server, "syscalls", printed["bpftrace-json"], "--event", "length")
    assert sum(row["latency"]) == sum(each["count"] for each in values[_NAME]) > 0


def test_stats_and_intervals_of_bpftrace(server: Serving, printed: dict[str, str]) -> None:
    """A map that is printed and cleared in intervals has the sum of one that is not."""
    for name in ("bpftrace", "bpftrace-json"):
        (calls,) = stored(server, "syscalls", printed[name], "--event", "@calls")
        (whole,) = re.findall(r"@calls\D+\d+\D+?(\d+)", printed[name])
        assert calls["count"] == int(whole) > 0
        # Where numbers only grew, nothing in the output shows that the map was cleared.
        options = ("--event", "@printed", "--printed", "increases")
        cleared = stored(server, "syscalls", printed[name], *options)
        parts = re.findall(rf"@printed.*{_NAME}, ?\d+\D+(\d+)", printed[name])
        assert total(cleared, "count") == sum(map(int, parts)) > 0
        assert len(cleared) == len(parts) > 1
    (values,) = maps(printed["bpftrace-json"], "@calls")
    assert [each["total"] for each in values.values()] == [calls["elapsed"]]


def test_stacks_of_profile(server: Serving, printed: dict[str, str]) -> None:
    """The numbers count samples."""
    text = printed["profile-bpfcc"]
    counts = re.findall(r"^ {8}(\d+)$", text, re.MULTILINE)
    rows = stored(server, "profile", text, "--frequency", "99")
    assert total(rows, "samples") == sum(map(int, counts)) > 0
    assert {row["process"] for row in rows} == {_NAME}
    assert total(rows, "elapsed") == pytest.approx(total(rows, "samples") * 1e6 / 99, abs=1)


def test_stacks_of_offcputime(server: Serving, printed: dict[str, str]) -> None:
    """The tracer's own frames are left out."""
    rows = stored(server, "offcputime", printed["offcputime"])
    counts = re.findall(r"^ {8}(\d+)$", printed["offcputime"], re.MULTILINE)
    assert total(rows, "elapsed") == sum(map(int, counts)) > 0
    assert "bpf_prog_" in printed["offcputime"]
    assert not any("bpf_" in row["stack"] for row in rows)
    assert any("_[k]" in row["stack"] for row in rows)


def test_histograms_of_runqlat(server: Serving, printed: dict[str, str]) -> None:
    """One row for each interval."""
    text = printed["runqlat"]
    rows = stored(server, "runqlat", text)
    counts = [int(each) for each in re.findall(r": (\d+) +\|", text)]
    assert total(rows, "count") == sum(counts) > 0
    assert {row["process"] for row in rows} == {_NAME}
    assert len(rows) == text.count("distribution")


def test_tables_of_syscount(server: Serving, printed: dict[str, str]) -> None:
    """By system call or by process, microseconds are rounded."""
    calls = stored(server, "syscalls", printed["syscount-bpfcc"])
    lines = re.findall(r"^(\w+) +(\d+) +([\d.]+)$", printed["syscount-bpfcc"], re.MULTILINE)
    assert {(row["syscall"], row["count"], row["elapsed"]) for row in calls} == {
        (name, int(count), round(float(time))) for name, count, time in lines
    }
    processes = stored(server, "syscalls", printed["syscount"])
    line = re.search(rf"^\d+ +{_NAME} +(\d+) +([\d.]+)$", printed["syscount"], re.MULTILINE)
    assert line
    (row,) = processes
    assert (row["process"], row["count"]) == (_NAME, int(line[1]))
    assert row["elapsed"] == round(float(line[2]))


def test_tables_of_events(server: Serving, printed: dict[str, str]) -> None:
    """Each line of opensnoop and execsnoop is a row."""
    opened = stored(server, "opensnoop", printed["opensnoop"])
    assert len(opened) == len(printed["opensnoop"].splitlines()) - 1 > 0
    assert "work.tmp" in {row["path"] for row in opened}
    started = stored(server, "execsnoop", printed["execsnoop"])
    assert len(started) == len(printed["execsnoop"].splitlines()) - 1 > 0
    assert {row["process"] for row in started} == {"kscopetestecho"}
    assert all(row["arguments"].endswith("/kscopetestecho a  b") for row in started)
