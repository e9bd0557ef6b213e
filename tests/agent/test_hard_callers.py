"""Callers behind more than the usual rules: large frames, vfork, posix_spawn, a cut in Python."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.agent.test_ends import needs_unwinding
from tests.agent.tracing import tracing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf

PROGRAM = """
#define _GNU_SOURCE
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern char **environ;
static char *const command[] = {"/bin/true", 0};
__attribute__((noinline)) int nap(char *buffer)
{
    struct timespec t = {0, 10 * 1000 * 1000};
    return nanosleep(&t, 0) + buffer[3] + 1;
}
#define WITH_BUFFER(name, size) \\
    __attribute__((noinline)) int name(void) \\
    { \\
        char buffer[size]; \\
        memset(buffer, 1, size); \\
        return nap(buffer) + 1; \\
    }
WITH_BUFFER(large, 40000)
WITH_BUFFER(huge, 3000000)
__attribute__((noinline)) int by_vfork(void)
{
    pid_t child = vfork();
    if (!child) {
        execv(command[0], command);
        _exit(1);
    }
    return waitpid(child, 0, 0) + 1;
}
__attribute__((noinline)) int by_spawn(void)
{
    pid_t child;
    int failed = posix_spawn(&child, command[0], 0, 0, command, environ);
    return waitpid(child, 0, 0) + failed;
}
int main(void)
{
    for (int sum = 0;; sum++)
        sum += large() + huge() + by_vfork() + by_spawn();
}
"""
WAITS = {
    "large": ";main;large;nap;",
    "huge": ";main;huge;nap;",
    "vfork": ";main;by_vfork;vfork [libc.so.6];",
    "posix_spawn": ";main;by_spawn;",
}


def test_large_frames_and_new_processes(tmp_path: Path) -> None:
    """Each wait has its callers, down to the thread's start."""
    needs_unwinding()
    (tmp_path / "app.c").write_text(PROGRAM)
    flags = ("-O1", "-fomit-frame-pointer", "-fno-optimize-sibling-calls")
    subprocess.run([needs.gcc(), *flags, "app.c", "-o", "app"], cwd=tmp_path, check=True)
    with subprocess.Popen([tmp_path / "app"]) as process:
        with tracing("offcputime", "--pid", process.pid, "--interval", 60) as rows:
            time.sleep(2)
        process.kill()
    waits = [row for row in rows if row["reason"] == "blocked" or "vfork" in row["stack"]]
    late = [row["stack"] for row in waits if row["count"] > 1]  # once its rules were there
    for name, calls in WAITS.items():
        assert any(calls in stack for stack in late), (name, late)
    assert all(stack.startswith("_start;") for stack in late), late


DEEP = """
import time
def deep(n):
    if n:
        return deep(n - 1)
    while True:
        time.sleep(0.01)
deep(150)
"""


def test_a_cut_among_python_functions_is_where_it_is(tmp_path: Path) -> None:
    """The C functions around them are whole, and nothing seems to call what it does not."""
    needs_unwinding()
    (tmp_path / "app.py").write_text(DEEP)
    with subprocess.Popen([sys.executable, tmp_path / "app.py"]) as process:
        with tracing("offcputime", "--pid", process.pid) as rows:
            time.sleep(1)
        process.kill()
    late = [row["stack"] for row in rows if row["count"] > 10]
    assert late
    for stack in late:
        assert stack.startswith("_start;")
        assert ";[truncated];deep app.py:3;" in stack
        assert "<module>" not in stack
