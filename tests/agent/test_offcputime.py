"""The off-CPU probe on a real kernel, against a workload that measures its own waits."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import needs
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent, tracing
from tests.probes.test_target import cgroup
from tests.serving import kscope, serving
from tests.workloads import workload

if TYPE_CHECKING:
    from tests.agent.fakeserver import Server

pytestmark = pytest.mark.bpf

WAITS = {
    "wait_sleep": ("sleep", "nanosleep"),
    "wait_pipe": ("pipe", "read"),
    "wait_futex": ("futex", "futex"),
    "wait_fsync": ("fsync", "fsync"),
}


def test_each_wait_has_its_frames_and_its_time(tmp_path: Path) -> None:
    """Futex, pipe, fsync and sleep each show their stack, their time within 10 % of the truth."""
    with workload("waiter.c", tmp_path, 2000) as waiter:
        with tracing("offcputime", "--pid", waiter.pid) as rows:
            waiter.go()
            truth = waiter.truth()
        for frame, (kind, kernel_frame) in WAITS.items():
            found = [row for row in rows if f";{frame};" in row["stack"]]
            assert any(kernel_frame in row["stack"].partition(frame)[2] for row in found)
            assert {row["pid"] for row in found} == {waiter.pid}
            measured = sum(row["elapsed"] for row in found)
            assert waiter.agrees(measured, truth[kind]["us"])


def test_rows_arrive_over_http(tmp_path: Path) -> None:
    """The server's flame graph shows the agent's stacks, with the same times."""
    with serving(tmp_path) as server, workload("waiter.c", tmp_path, 2000) as waiter:
        arguments = ["--server", server.ingest, "--spool", tmp_path / "spool"]
        with agent(
            "offcputime", "--pid", waiter.pid, "--interval", 0.7, *arguments, "--threshold", 100
        ) as running:
            running.wait_for("probe running")
            waiter.go()
            truth = waiter.truth()
            running.stop()
    stored = sqlite3.connect(tmp_path / "kernelscope.db")
    for frame, (kind, _) in WAITS.items():
        total = "SELECT sum(elapsed) FROM offcputime WHERE stack LIKE ? AND pid = ?"
        (measured,) = stored.execute(total, (f"%;{frame};%", waiter.pid)).fetchone()
        assert waiter.agrees(measured, truth[kind]["us"])


def test_the_threshold_leaves_out_shorter_waits(tmp_path: Path) -> None:
    """With a threshold above a wait's length nothing of it is recorded, longer ones are."""
    with workload("waiter.c", tmp_path, 1000) as waiter:
        with tracing("offcputime", "--pid", waiter.pid, "--threshold", 10_000) as rows:
            waiter.go()
            waiter.truth()
        assert all(row["elapsed"] >= 10_000 * row["count"] for row in rows)
        assert any("wait_sleep" in row["stack"] for row in rows)


def test_the_reason_tells_a_disk_from_a_lock(tmp_path: Path) -> None:
    """Waiting for the disk is uninterruptible, waiting for a lock is not."""
    with workload("waiter.c", tmp_path, 1000) as waiter:
        with tracing("offcputime", "--pid", waiter.pid) as rows:
            waiter.go()
            waiter.truth()
        # A thread that others push off the CPU waits for neither.
        waits = [row for row in rows if row["reason"] != "preempted"]
        reasons = {
            frame: max(
                (row for row in waits if frame in row["stack"]), key=lambda row: row["elapsed"]
            )["reason"]
            for frame in WAITS
        }
    assert reasons == {
        "wait_sleep": "blocked",
        "wait_pipe": "blocked",
        "wait_futex": "blocked",
        "wait_fsync": "uninterruptible",
    }


def libbpf_totals(output: str) -> Counter[str]:
    """Microseconds by the frames of WAITS, from what libbpf-tools' offcputime prints."""
    totals: Counter[str] = Counter()
    for block in re.split(r"\n\s*\n", output):
        frames = [line.strip() for line in block.splitlines()]
        if frames and frames[-1].isdigit():
            totals.update({frame: int(frames[-1]) for frame in WAITS if frame in frames})
    return totals


def wait_until_attached(pid: int) -> None:
    """It says that it traces only when it ends: what it holds open tells before."""
    end = time.monotonic() + 60
    while not any("bpf_link" in name or "perf_event" in name for name in held_open(pid)):
        assert time.monotonic() < end
        time.sleep(0.05)


def held_open(pid: int) -> list[str]:
    names = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            names.append(str(file.readlink()))
    return names


def test_it_agrees_with_libbpf_tools(tmp_path: Path) -> None:
    """Both trace one process at one time: their totals by wait are within 5 % of each other."""
    offcputime = needs.program("offcputime", "libbpf-tools")
    with workload("waiter.c", tmp_path, 2000) as waiter:
        with (
            subprocess.Popen(
                [offcputime, "-p", str(waiter.pid)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as theirs,
            tracing("offcputime", "--pid", waiter.pid) as rows,
        ):
            wait_until_attached(theirs.pid)
            waiter.go()
            waiter.truth()
            theirs.send_signal(signal.SIGINT)
            printed, said = theirs.communicate(timeout=30)
        totals = libbpf_totals(printed)
        ours: Counter[str] = Counter()
        for row in rows:
            frames = row["stack"].split(";")
            ours.update({frame: row["elapsed"] for frame in WAITS if frame in frames})
    # Their map of stacks has no place for two stacks of one hash, and they say so.
    missed = "[Missed User Stack]" in said
    assert set(totals) == set(WAITS) or (missed and totals)
    for frame in totals:
        assert ours[frame] == pytest.approx(totals[frame], rel=0.05)


def test_the_lengths_of_waits_are_kept(tmp_path: Path) -> None:
    """Each row has as many lengths as waits, where their times say they must be."""
    with workload("waiter.c", tmp_path, 1000) as waiter:
        with tracing("offcputime", "--pid", waiter.pid) as rows:
            waiter.go()
            waiter.truth()
        for row in rows:
            assert sum(row["lengths"]) == row["count"]
            least = sum(n << slot for slot, n in enumerate(row["lengths"]) if slot)
            assert least <= row["elapsed"] + row["count"]
            assert row["elapsed"] < 2 * least + 2 * row["count"]
        sleeps = [r for r in rows if "wait_sleep" in r["stack"] and r["reason"] == "blocked"]
        # 15 ms are between 2**13 and 2**14 us; on a busy machine they become more, not less.
        long = sum(sum(row["lengths"][13:]) for row in sleeps)
        assert long >= 0.9 * sum(row["count"] for row in sleeps) > 0


def test_folded_stacks_need_no_server(tmp_path: Path) -> None:
    """One shot, as the bcc tool does it: process, stack and microseconds, one line each."""
    with workload("waiter.c", tmp_path, 800) as waiter:
        with agent("offcputime", "--pid", waiter.pid, "--folded", "--verbose") as running:
            running.wait_for("probe running")
            waiter.go()
            truth = waiter.truth()
            lines = running.stop().splitlines()
        sleep = [line.rpartition(" ") for line in lines if ";wait_sleep;" in line]
        assert all(re.fullmatch(r".+;.+ \d+", line) for line in lines)
        assert {text.partition(";")[0] for text, _, _ in sleep} == {"sleep"}
        assert waiter.agrees(sum(int(us) for _, _, us in sleep), truth["sleep"]["us"])


def frames_of(row: dict[str, Any]) -> int:
    """The frames of a row's stack, without those that say where it was cut."""
    return sum(not frame.startswith("[truncated]") for frame in row["stack"].split(";"))


FLAGS_AND_WHAT_HOLDS = {
    "user-only": (["--user-only"], lambda row: "_[k]" not in row["stack"]),
    "kernel-only": (["--kernel-only"], lambda row: "repeat" not in row["stack"].split(";")),
    "reason": (["--reason", "uninterruptible"], lambda row: row["reason"] == "uninterruptible"),
    "longest": (["--longest", "5000"], lambda row: row["elapsed"] <= 5000 * row["count"]),
    "per-thread": (["--per-thread"], lambda row: row["tid"] >= row["pid"] > 0),
    "threads": (["--threads", "user"], lambda row: not row["stack"].split(";")[0].endswith("_[k]")),
    "depth": (["--depth", "3"], lambda row: frames_of(row) <= 6),
}


@pytest.mark.parametrize("name", FLAGS_AND_WHAT_HOLDS)
def test_flags_narrow_what_is_recorded(name: str, tmp_path: Path) -> None:
    """Each flag leaves out what it says, and something is left."""
    flags, holds = FLAGS_AND_WHAT_HOLDS[name]
    with workload("waiter.c", tmp_path, 500) as waiter:
        with tracing("offcputime", "--pid", waiter.pid, *flags) as rows:
            waiter.go()
            waiter.truth()
        assert rows
        assert all(holds(row) for row in rows)


def test_no_thread_of_a_program_is_the_kernels(tmp_path: Path) -> None:
    """With --threads kernel nothing is recorded of a process, all of whose threads are its own."""
    with workload("waiter.c", tmp_path, 500) as waiter:
        with tracing("offcputime", "--pid", waiter.pid, "--threads", "kernel") as rows:
            waiter.go()
            waiter.truth()
        # A thread that is preempted while it exits has no user memory any more, by which
        # kernel threads are distinguished from others.
        assert [row for row in rows if "do_exit_[k]" not in row["stack"]] == []


def test_one_thread_in_its_cgroup(tmp_path: Path) -> None:
    """With --tid only that thread is recorded, and the row names the cgroup that it is in."""
    with workload("napper.c", tmp_path, 500, 3, 5000) as napper, cgroup(napper.pid) as folder:
        threads = sorted(int(path.name) for path in Path(f"/proc/{napper.pid}/task").iterdir())
        one = threads[2]
        flags = ("--per-thread", "--tid", one)
        with tracing("offcputime", "--pid", napper.pid, *flags) as rows:
            napper.go()
            napper.truth()
        assert {row["tid"] for row in rows} == {one}
        assert {row["cgroup"] for row in rows} == {f"/{folder.name}"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--depth", "513"], "513 is more than 512"),
        (["--keys", "8"], "8 is less than 64"),
        (["--stacks", "0"], "0 is less than 64"),
    ],
)
def test_sizes_have_bounds(flags: list[str], said: str) -> None:
    """A number that no map can hold is refused before the probe starts."""
    command = kscope("agent", "offcputime", *flags, "--folded")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_a_program_that_another_took_the_place_of(tmp_path: Path) -> None:
    """After an execve frames have the names of the program that runs, at addresses it shares with
    the one before.
    """
    sources = {"first": "first_nap", "second": "second_nap"}
    for name, function in sources.items():
        (tmp_path / f"{name}.c").write_text(REPLACED.replace("FUNCTION", function))
        command = [needs.gcc(), "-O1", "-fno-omit-frame-pointer", "-no-pie", "-static"]
        subprocess.run([*command, tmp_path / f"{name}.c", "-o", tmp_path / name], check=True)
    command = [tmp_path / "first", tmp_path / "second"]
    with fake_server() as server, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 0.5)
        with agent("offcputime", "--pid", process.pid, *flags) as running:
            first = naps_of("first", server)
            assert process.stdin
            process.stdin.write(b"x")
            process.stdin.flush()
            second = naps_of("second", server)
            running.stop()
        process.kill()
    # Addresses become names when an interval ends; the one in between has the new names alone.
    assert any("first_nap" in stack for stack in first)
    assert all("second_nap" in stack for stack in second)


def naps_of(program: str, server: Server) -> list[str]:
    """Wait until naps of a program have come in, and give their stacks."""
    end = time.monotonic() + 60
    while True:
        rows = [row for row in server.rows("offcputime") if row["process"] == program]
        if naps := [row["stack"] for row in rows if "nanosleep" in row["stack"]]:
            return naps
        assert time.monotonic() < end
        time.sleep(0.1)


REPLACED = """
#define _GNU_SOURCE
#include <poll.h>
#include <time.h>
#include <unistd.h>
__attribute__((noinline)) int FUNCTION(void)
{
    struct timespec t = {0, 10 * 1000 * 1000};
    register long number __asm__("rax") = 35; /* nanosleep */
    __asm__ volatile("syscall" : "+r"(number) : "D"(&t), "S"(0) : "rcx", "r11", "memory");
    return number;
}
int main(int argc, char **argv)
{
    struct pollfd input = {0, POLLIN, 0};
    char c;
    for (;;) {
        if (argc > 1 && poll(&input, 1, 0) > 0 && read(0, &c, 1) == 1)
            execl(argv[1], argv[1], (char *)0);
        FUNCTION();
    }
}
"""
