"""How programs that walk stacks are loaded, and what they make of files that change."""

from __future__ import annotations

import errno
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kscope.agent.engines import program
from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.bcc import BccEngine
from kscope.agent.host import header_tree, kernel, subprograms
from kscope.agent.host.libbcc import compiled
from kscope.agent.stacks import unwinder
from kscope.declare.files.catalog import load_catalog
from tests import needs
from tests.agent.tracing import tracing
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.bpf

CONSTANTS = {
    "KS_PID": 1,
    "KS_TID": 0,
    "KS_CHILDREN": 0,
    "KS_CGROUP": 0,
    "KS_KEYS": 64,
    "KS_STACKS": 64,
    "KS_DEPTH": 127,
    "KS_KERNEL_DEPTH": 127,
    "KS_MAP_BYTES": 1 << 30,
    "KS_CPUS": 1,
}
WALKS = """
TRACEPOINT_PROBE(sched, sched_switch)
{
    return ks_stack(args, BPF_F_USER_STACK) == 7;
}
"""


def test_the_rules_of_arm64_compile() -> None:
    """The walk compiles for arm64, and this kernel's verifier accepts it; it has run nowhere."""
    kernel.mount_tracefs()
    folder = ROOT / "kscope" / "agent"
    texts = [folder / "engines" / "kscope.h", folder / "stacks" / "stacks.h"]
    text = "\n".join(map(program.read, texts)) + WALKS
    constants = CONSTANTS | dict(unwinder.constants())
    assert constants["KS_UNWIND"]
    for machine in (0, 1):
        constants["KS_ARM64"] = machine
        flags = [f"-D{name}={number}" for name, number in constants.items()]
        bpf = compiled(Path("walks.c"), text, flags, header_tree.tracepoint_headers())
        bpf.load_func("tracepoint__sched__sched_switch", bpf.TRACEPOINT)
        bpf.cleanup()


def refuse_once(load: Callable[..., int]) -> Callable[..., int]:
    refused: list[str] = []

    def loading(program: subprograms.Linked, kind: int, name: str) -> int:
        if not refused:
            refused.append(name)
            raise OSError(errno.EACCES, "combined stack size of 3 calls is 544. Too large")
        return load(program, kind, name)

    return loading


def test_a_program_that_is_refused_with_the_walk_runs_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on older kernels, where the variables of a program and of the walk share 512 bytes."""
    category = load_catalog().get("offcputime")
    assert category

    with subprocess.Popen(["/usr/bin/sleep", "60"]) as sleeper:
        engine = BccEngine(category, {}, TraceFilter(pid=sleeper.pid))
        # Without the walk a program calls one function, which the kernel accepts.
        with monkeypatch.context() as patched:
            patched.setattr(subprograms, "load", refuse_once(subprograms.load))
            engine.start()
        engine.close()
        sleeper.kill()
    (said,) = [r.message for r in caplog.records if "walked by frame pointers" in r.message]
    assert "Too large" in said


OVERWRITTEN = """
#include <time.h>
__attribute__((noinline)) void FUNCTION(void)
{
    struct timespec t = {0, 100 * 1000 * 1000};
    nanosleep(&t, 0);
    __asm__ volatile("");
}
int main(void)
{
    for (int i = 0; i < 5; i++)
        FUNCTION();
    return 0;
}
"""
NAMED = ("nap_in_", "program+0x")
RUNS = """
read go
{folder}/program
cat {folder}/second > {folder}/program
{folder}/program
"""


def test_a_file_that_is_overwritten_in_place(tmp_path: Path) -> None:
    """A program that another takes the place of, in the same inode, has its own names."""
    for name in ("first", "second"):
        source = tmp_path / f"{name}.c"
        source.write_text(OVERWRITTEN.replace("FUNCTION", f"nap_in_{name}"))
        subprocess.run([needs.gcc(), "-O2", source, "-o", tmp_path / name], check=True)
    shutil.copy(tmp_path / "first", tmp_path / "program")
    # The time of its change has no fractions of a second in the kernel's key.
    time.sleep(1)
    shell = ["/bin/sh", "-c", RUNS.format(folder=tmp_path)]
    with (
        subprocess.Popen(shell, stdin=subprocess.PIPE) as running,
        tracing("offcputime", "--pid", running.pid, "--children") as rows,
    ):
        assert running.stdin
        running.stdin.write(b"go\n")
        running.stdin.close()
        running.wait(60)
    naps = Counter[str]()
    for row in rows:
        leaf = next((f for f in row["stack"].split(";") if f.startswith(NAMED)), "")
        if "nanosleep" in row["stack"] and row["reason"] == "blocked":
            naps[leaf] += row["count"]
    assert naps["nap_in_second"] == 5, naps
    # The first program's names are gone if no drain was between its end and the other's start.
    assert naps["nap_in_first"] in {0, 5}, naps
    assert naps.total() == 10, naps
