"""Constants that describe the kernel, and probes on a kernel without the features they need."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT, kscope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bpf

CATEGORY = """
table: mine
columns:
  - {name: field, type: int}
  - {name: no_field, type: int}
  - {name: no_tracepoint, type: int}
  - {name: calls, type: count}
probe:
  engine: bcc
  program: mine.bpf.c
  detect:
    FIELD: tracepoint:raw_syscalls:sys_enter:args
    NO_FIELD: tracepoint:raw_syscalls:sys_enter:arg
    NO_TRACEPOINT: tracepoint:raw_syscalls:sys_leave
  collect:
    map: counts
    columns:
      {field: key.field, no_field: key.no_field, no_tracepoint: key.no_tracepoint, calls: value}
"""
PROGRAM = """
struct key { u32 field; u32 no_field; u32 no_tracepoint; };
BPF_HASH(counts, struct key, u64, 16);
TRACEPOINT_PROBE(%s, sys_enter)
{
    struct key key = { FIELD, NO_FIELD, NO_TRACEPOINT };
    if (ks_wanted())
        counts.increment(key);
    return 0;
}
"""


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that makes a system call now and then."""
    code = "import os, time\nwhile True: os.getppid(); time.sleep(0.01)"
    process = subprocess.Popen([sys.executable, "-c", code])
    yield process.pid
    process.kill()
    process.wait()


def run(
    folder: Path, program: str, pid: int, category: str = CATEGORY, duration: str = "0.3"
) -> subprocess.CompletedProcess[str]:
    for name, text in (
        ("categories/mine.yaml", category),
        ("probes/mine.bpf.c", program),
        ("kernelscope.yaml", "categories: [./categories]"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    arguments = ("--config", folder / "kernelscope.yaml", "mine")
    target = ("--pid", str(pid), "--json", "--duration", duration)
    return subprocess.run(
        kscope("agent", *arguments, *target), cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_program_finds_out_what_the_kernel_has(tmp_path: Path, busy: int) -> None:
    """A tracepoint, and one of its fields, are 1 in the program where the kernel has them."""
    ran = run(tmp_path, PROGRAM % "raw_syscalls", busy)
    assert ran.returncode == 0, ran.stderr
    for line in ran.stdout.splitlines():
        row = json.loads(line)
        assert (row["field"], row["no_field"], row["no_tracepoint"]) == (1, 0, 0)
    assert ran.stdout


def test_a_length_beyond_the_last_slot_is_in_the_last(tmp_path: Path, busy: int) -> None:
    """A wait of more than an hour is the longest there is, and not one of no length."""
    program = PROGRAM.replace("{ FIELD,", "{ ks_slot(bpf_ktime_get_ns() | 1ULL << 40),")
    ran = run(tmp_path, program % "raw_syscalls", busy)
    assert ran.returncode == 0, ran.stderr
    assert {json.loads(line)["field"] for line in ran.stdout.splitlines()} == {31}


DOCUMENTED = """
table: mine
columns:
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: calls, type: count}
probe:
  engine: bcc
  program: mine.bpf.c
  collect: {map: agg, columns: {process: key.comm, pid: key.tgid, calls: value}}
"""


def test_the_documented_program_runs(tmp_path: Path, busy: int) -> None:
    """The user's own program in docs/probes.md works."""
    blocks = re.findall(r"```c\n(.*?)```", (ROOT / "docs/probes.md").read_text(), re.DOTALL)
    (program,) = (block for block in blocks if "TRACEPOINT_PROBE" in block)
    ran = run(tmp_path, program, busy, DOCUMENTED)
    assert ran.returncode == 0, ran.stderr
    (row,) = map(json.loads, ran.stdout.splitlines())
    assert row["pid"] == busy
    assert row["calls"] > 0


def test_what_the_kernel_lacks_is_said_before_starting(tmp_path: Path, busy: int) -> None:
    """A tracepoint that is not there is named, without a compiler's or a kernel's messages."""
    ran = run(tmp_path, PROGRAM % "raw_sycalls", busy)
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert ran.stderr.splitlines()[-1].endswith(
        "mine: this kernel does not offer tracepoint:raw_sycalls:sys_enter"
    )


def test_a_program_that_does_not_compile_says_where(tmp_path: Path, busy: int) -> None:
    """The compiler's message with the file and the words that are wrong, and no traceback."""
    ran = run(tmp_path, PROGRAM.replace("increment(key)", "increment(kee)") % "raw_syscalls", busy)
    assert ran.returncode != 0
    assert "mine.bpf.c:" in ran.stderr
    assert "kee" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_mistake_beside_the_tracepoint_has_its_line(tmp_path: Path, busy: int) -> None:
    """A program of one line, too, and what comes after it."""
    one_line = "TRACEPOINT_PROBE(raw_syscalls, sys_enter) { return kee; }\nint after = koo;\n"
    ran = run(tmp_path, f"BPF_HASH(counts, u32, u64, 16);\n\n{one_line}", busy)
    assert re.search(r"mine\.bpf\.c:3:\d+: error: .*kee", ran.stderr), ran.stderr
    assert re.search(r"mine\.bpf\.c:4:\d+: error: .*koo", ran.stderr), ran.stderr


def test_programs_share_what_they_include(tmp_path: Path, busy: int) -> None:
    """Maps and programs of a file beside it count as its own, and a mistake has the file's line."""
    struct, shared, action = PROGRAM.partition("BPF_HASH(counts, struct key, u64, 16);\n")
    header = tmp_path / "probes/shared.h"
    header.parent.mkdir()
    header.write_text(struct + shared)
    including = f'#include "shared.h"\n{action % "raw_syscalls"}'
    ran = run(tmp_path, including, busy)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout

    wrong = run(tmp_path, including.replace("increment(key)", "increment(kee)"), busy)
    assert "mine.bpf.c:6:" in wrong.stderr
    header.write_text(f"{struct}{shared}int mistake = kee;\n")
    assert "shared.h:4:" in run(tmp_path, including, busy).stderr
    header.unlink()
    assert f"{header}: cannot be read: No such file" in run(tmp_path, including, busy).stderr


# A thread sleeps across drains with its stack in the map `waiting`; each return is a row.
WAITS = """
table: mine
columns:
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: waits, type: count}
probe:
  engine: bcc
  program: mine.bpf.c
  collect:
    map: agg
    columns: {pid: key.tgid, stack: [key.kstack, key.ustack], waits: value}
"""
WAITS_PROGRAM = """
struct key { u32 tgid; int kstack; int ustack; u32 generation; };
struct parked { struct key key; };
%s
BPF_HASH(agg, struct key, u64, KS_KEYS);
TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 zero = 0, *n;
    u32 prev = bpf_get_current_pid_tgid(), next = args->next_pid;
    struct parked parked = {}, *back;
    if (ks_wanted()) {
        parked.key.tgid = bpf_get_current_pid_tgid() >> 32;
        parked.key.kstack = ks_stack(args, 0);
        parked.key.ustack = ks_stack(args, BPF_F_USER_STACK);
        waiting.update(&prev, &parked);
    }
    back = waiting.lookup(&next);
    if (!back)
        return 0;
    struct key key = back->key;
    key.generation = ks_generation();
    n = agg.lookup_or_try_init(&key, &zero);
    if (n)
        __sync_fetch_and_add(n, 1);
    waiting.delete(&next);
    return 0;
}
"""
WAITING = "KS_WAITING(struct parked)"
PROVIDES = "  provides: [waiting]\n  collect:"


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process that sleeps for longer than two drains."""
    code = "import time\nwhile True: time.sleep(2.5)"
    process = subprocess.Popen([sys.executable, "-c", code])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("declared", "category"),
    [
        (WAITING, WAITS.replace("  collect:", PROVIDES)),
        ('BPF_TABLE( "hash",u32, struct parked, waiting, KS_KEYS);', WAITS),
    ],
    ids=["contract", "no-contract"],
)
def test_a_waiting_thread_keeps_its_stack(
    declared: str, category: str, tmp_path: Path, sleeper: int
) -> None:
    """A drain keeps the stacks in the map `waiting`, however the program declares it."""
    ran = run(tmp_path, WAITS_PROGRAM % declared, sleeper, category, duration="7")
    assert ran.returncode == 0, ran.stderr
    stacks = [json.loads(line)["stack"] for line in ran.stdout.splitlines()]
    assert any("nanosleep" in stack for stack in stacks), ran.stdout
    assert not any("[lost stack]" in stack for stack in stacks), ran.stdout


@pytest.mark.parametrize(
    ("declared", "category", "message"),
    [
        (
            "BPF_HASH(waiting, u32, struct parked, KS_KEYS);",
            WAITS.replace("  collect:", PROVIDES),
            (
                ":10: probe.provides: mine.bpf.c does not fulfil 'waiting'; "
                "add KS_WAITING(STRUCT), or remove it here"
            ),
        ),
        (
            WAITING,
            WAITS,
            ":9: probe.program: mine.bpf.c has KS_WAITING(STRUCT); add 'waiting' to provides",
        ),
        (
            f"{WAITING}\nKS_PROVIDES(threshold)",
            WAITS.replace("  collect:", PROVIDES),
            (
                ":9: probe.program: mine.bpf.c has KS_THRESHOLD(MICROSECONDS); "
                "add 'threshold' to provides"
            ),
        ),
    ],
    ids=["not-fulfilled", "not-listed", "one-not-listed"],
)
def test_a_category_and_its_program_name_the_same_contracts(
    declared: str, category: str, message: str, tmp_path: Path, busy: int
) -> None:
    """A contract that only one of them names is an error with the file and the line."""
    ran = run(tmp_path, WAITS_PROGRAM % declared, busy, category)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == f"{tmp_path}/categories/mine.yaml{message}"
