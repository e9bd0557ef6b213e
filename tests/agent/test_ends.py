"""Where walks of user stacks end, on a real kernel: at the root, at the limit, or with a reason."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.stacks.unwinder import constants
from tests import needs
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent, tracing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent.fakeserver import Server

pytestmark = pytest.mark.bpf

# `down` calls itself, then `rest` sleeps without the help of a library, with any number in the
# register of the frame pointer if there is none.
PROGRAM = """
#include <stdlib.h>
#include <time.h>
#ifndef POINTER
#define ANY "mov $9, %%rbp;"
#define CHANGED , "rbp"
#else
#define ANY
#define CHANGED
#endif
__attribute__((noinline)) void rest(void)
{
    struct timespec t = {0, 10 * 1000 * 1000};
    long number = 35; /* nanosleep */
    __asm__ volatile(ANY "syscall"
                     : "+a"(number) : "D"(&t), "S"(0) : "rcx", "r11", "memory" CHANGED);
}
__attribute__((noinline)) int down(int n)
{
    if (n)
        return down(n - 1) + 1;
    for (;;)
        rest();
}
int main(int argc, char **argv) { return down(atoi(argv[1])); }
"""
# Fifty thousand functions, whose rules take more than one megabyte.
MANY_RULES = """
.rept 50000
.cfi_startproc
nop
.cfi_def_cfa_offset 16
nop
.cfi_def_cfa_offset 8
ret
.cfi_endproc
.endr
"""
FLAGS = ("-O1", "-fno-optimize-sibling-calls")
NO_POINTER = (*FLAGS, "-fomit-frame-pointer")


def built(folder: Path, name: str, *flags: str, more: str = "") -> Path:
    source, assembly, program = folder / f"{name}.c", folder / f"{name}-more.s", folder / name
    source.write_text(PROGRAM)
    assembly.write_text(more + '.section .note.GNU-stack,"",@progbits\n')
    subprocess.run([needs.gcc(), *flags, source, assembly, "-o", program], check=True)
    return program


def without_rules(folder: Path, name: str) -> Path:
    """Build the program without .eh_frame, also of the code that gcc adds."""
    program = built(folder, name, *NO_POINTER, "-fno-asynchronous-unwind-tables")
    strip = ["objcopy", "--remove-section=.eh_frame", "--remove-section=.eh_frame_hdr"]
    subprocess.run([*strip, program], check=True)
    return program


@contextmanager
def running(*commands: object) -> Iterator[int]:
    """Run the commands below one shell; the process id is the shell's."""
    script = "".join(f"{command} & " for command in commands) + "wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True) as shell:
        try:
            yield shell.pid
        finally:
            subprocess.run(["pkill", "-P", str(shell.pid)], check=True)


def rows_of(server: Server, name: str) -> list[dict[str, Any]]:
    return [row for row in server.rows("offcputime") if row["process"] == name]


def faults(server: Server) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows about binaries, by binary and reason."""
    rows = [row for row in server.rows("agent") if row["state"] == "stacks"]
    return {(row["binary_name"], row["reason"]): row for row in rows}


def traced(server: Server, folder: Path, pid: int, *flags: object) -> list[str]:
    """Trace a process and its children until there are rows of some intervals; return the log."""
    to = ("--server", server.url, "--spool", folder / "spool", "--interval", 0.5)
    with agent("offcputime", "--pid", pid, "--children", *to, *flags) as probe:
        probe.wait_for("probe running")
        server.wait_for(6)
        probe.stop()
    return probe.log


def test_a_walk_that_does_not_reach_the_root_says_so(tmp_path: Path) -> None:
    """Deeper than the limit it keeps the leaf side; without rules it has the reason."""
    needs_unwinding()
    deep = built(tmp_path, "deep", *NO_POINTER)
    unruly = without_rules(tmp_path, "unruly")
    with fake_server() as server, running(f"{deep} 400", f"{unruly} 3") as pid:
        traced(server, tmp_path, pid)
    cut = {row["stack"].partition(";rest;")[0] for row in rows_of(server, "deep")}
    assert cut == {";".join(["[truncated]", *["down"] * 126])}
    assert sum(row["lost_stacks_truncated"] for row in server.intervals()) >= 2
    broken = {row["stack"].partition("rest;")[0] for row in rows_of(server, "unruly")}
    assert broken == {"[broken];"}
    row = faults(server)["unruly", "no rules and no frame pointer"]
    assert row["broken_stacks"] >= 1
    assert not [name for name, _ in faults(server) if name == "deep"]


def test_four_hundred_frames_have_a_root(tmp_path: Path) -> None:
    """With --depth 512. A file whose rules have no room is named, in the log once."""
    needs_unwinding()
    deep = built(tmp_path, "deep", *NO_POINTER)
    wide = built(tmp_path, "wide", *NO_POINTER, more=MANY_RULES)
    with fake_server() as server, running(f"{deep} 400", f"{wide} 3") as pid:
        log = traced(server, tmp_path, pid, "--depth", 512, "--unwind-memory", 1)
    for stack in {row["stack"] for row in rows_of(server, "deep")}:
        frames = stack.partition(";rest;")[0].split(";")
        assert frames[0] == "_start"
        assert frames.count("down") == 401
    assert {row["stack"].partition("rest;")[0] for row in rows_of(server, "wide")} == {"[broken];"}
    assert faults(server)["wide", "table not loaded"]["broken_stacks"] >= 1
    (said,) = [line for line in log if "do not fit" in line]
    assert "the rules of wide do not fit" in said


def test_without_memory_frame_pointers_are_used(tmp_path: Path) -> None:
    """As on kernels that cannot do more. With the same text of frames."""
    needs_unwinding()
    calls = built(tmp_path, "calls", *FLAGS, "-fno-omit-frame-pointer", "-DPOINTER")
    with subprocess.Popen([calls, "20"]) as process:
        flags = ("--pid", process.pid, "--unwind-memory", 0)
        with tracing("offcputime", *flags) as rows:
            time.sleep(0.5)
        process.kill()
    # Not where it was interrupted before it had saved the pointer.
    blocked = [row["stack"] for row in rows if row["reason"] == "blocked"]
    stacks = [stack for stack in blocked if ";rest;" in stack]
    assert stacks
    expected = ";".join(["main", *["down"] * 21, "rest"])
    assert all(expected in stack for stack in stacks)


def test_a_trace_says_where_stacks_broke(tmp_path: Path) -> None:
    """One line on standard error for each of the worst binaries, whatever bytes are in a name."""
    needs_unwinding()
    unruly = without_rules(tmp_path, "unruly").rename(tmp_path / "un\x1bruly\udcff")
    with subprocess.Popen([unruly, "3"]) as process:
        with agent("offcputime", "--pid", process.pid, "--folded", "--duration", 1) as probe:
            probe.process.wait(90)
            probe.stop()
        process.kill()
    (said,) = [line for line in probe.log if line.startswith("WARNING")]
    assert said.startswith("WARNING offcputime: ")
    assert r"broke in un\x1bruly?: no rules and no frame pointer" in said


def needs_unwinding() -> None:
    if not constants()["KS_UNWIND"]:
        needs.lacking("unwinding", "this kernel cannot read user registers")
