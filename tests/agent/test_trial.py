"""A program that the compiler cannot take ends its own probe, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from kscope.agent.engines import bcc, trial
from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.trial import Trial, Tried, tried
from kscope.agent.host import header_tree
from kscope.declare.files.catalog import read_catalog
from kscope.errors import KscopeError
from tests.agent.test_kinds import PROGRAM, made, napper, traced
from tests.agent.tracing import agent
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COLLECT = "{map: agg, columns: {process: key.comm, n: value}}"
COLUMNS = "[{name: process, type: string}, {name: n, type: count}]"
GOOD = PROGRAM.replace("SUMMED", "1")
CRASHES = """
struct key { u32 generation; char comm[16]; };
BPF_HASH(agg, struct key, u64, KS_KEYS);
TRACEPOINT_PROBE(sched, sched_switch)
{
    struct key key = {};
    u64 one = 1;
    if (!ks_wanted())
        return 0;
    if (args->prev_state / args->prev_prio > 300)
        return 0;
    agg.update(&key, &one);
    return 0;
}
"""


ENDLESS = """
#define TEN(x) x x x x x x x x x x
int f(void *c) { int y; TEN(TEN(TEN(TEN(TEN(TEN(TEN(TEN(y;)))))))) return 0; }
"""


def with_own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    return folder / "kernelscope"


@pytest.mark.bpf
def test_a_crash_of_the_compiler_ends_one_probe(tmp_path: Path) -> None:
    """A signed division aborts LLVM: that probe says so, with file and line; another one runs."""
    with napper() as pid:
        for name, program in (("boom", CRASHES), ("fine", GOOD)):
            own = program.replace("!ks_wanted()", f"bpf_get_current_pid_tgid() >> 32 != {pid}")
            config = made(tmp_path, name, COLUMNS, COLLECT, own)
        flags = ("--server", "127.0.0.1:9", "--spool", tmp_path / "spool")
        with agent("--config", config, *flags) as running:
            running.wait_for("boom.bpf.c: the compiler crashed (SIGABRT)")
            running.wait_for("fine: probe running")
            running.stop()
    said = "".join(running.log)
    # The line is that of the text as bcc has rewritten it, which can be one more.
    assert re.search(r"boom\.bpf\.c:1[01]:\d+", said)
    assert "divide unsigned ones" in said


@pytest.mark.bpf
def test_a_mistake_has_its_file_and_line(tmp_path: Path) -> None:
    """clang's own words, on the line of the file as a person sees it."""
    config = made(tmp_path, "typo", COLUMNS, COLLECT, GOOD.replace("return 0;", "retrun 0;", 1))
    with napper() as pid:
        done, rows = traced(config, "typo", pid)
    assert (done.returncode, rows) == (2, [])
    line = GOOD.splitlines().index("        return 0;") + 1
    assert f"typo.bpf.c:{line}:" in done.stderr
    assert "retrun" in done.stderr


@pytest.mark.bpf
@pytest.mark.parametrize(
    "declared",
    ["BPF_HASH(huge, u64, u64, 1 << 30);", "BPF_ARRAY(huge, struct key, 500000000);",
     "BPF_PERCPU_HASH(huge, u64, struct key, 1 << 29);",
     "struct big { char all[1 << 30]; }; BPF_ARRAY(huge, struct big, 64);",
     "BPF_QUEUE(huge, struct key, 400000000);", "BPF_STACK(huge, struct key, 400000000, 0);",
     'BPF_QUEUESTACK("stack", huge, struct key, 400000000, 0);',
     "BPF_STACK_TRACE(huge, 1 << 27);"],
)  # fmt: skip
def test_a_map_larger_than_memory_is_refused(declared: str, tmp_path: Path) -> None:
    """Before the kernel allocates it; the message names the map."""
    config = made(tmp_path, "huge", COLUMNS, COLLECT, f"{GOOD}\n{declared}\n")
    with napper() as pid:
        done, rows = traced(config, "huge", pid)
    assert (done.returncode, rows) == (2, [])
    assert "the map huge is larger than a quarter of the memory" in done.stderr
    assert f"huge.bpf.c:{len(GOOD.splitlines()) + 2}:" in done.stderr


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("pages", "message"),
    [
        (1 << 15, "the ring buffer huge is larger than 64 MiB or than a quarter of the memory"),
        (1 << 20, "the ring buffer huge is larger than 64 MiB or than a quarter of the memory"),
        (48, "the pages of the ring buffer huge must be a power of two, such as 64"),
    ],
)
def test_a_ring_buffer_has_a_bound(pages: int, message: str, tmp_path: Path) -> None:
    """Before the kernel allocates it, with the line."""
    declared = f"BPF_RINGBUF_OUTPUT(huge, {pages});"
    config = made(tmp_path, "huge", COLUMNS, COLLECT, f"{GOOD}\n{declared}\n")
    with napper() as pid:
        done, rows = traced(config, "huge", pid)
    assert (done.returncode, rows) == (2, [])
    assert message in done.stderr
    assert f"huge.bpf.c:{len(GOOD.splitlines()) + 2}:" in done.stderr


@pytest.mark.bpf
def test_queues_and_ring_buffers_within_the_bound_work(tmp_path: Path) -> None:
    """The bounded forms of bcc's macros are as usable as its own."""
    program = GOOD.replace(
        "    agg.update",
        "    struct key got = {}; own.push(&key, 0); own.pop(&got);"
        " stack.push(&key, 0); stack.peek(&got); agg.update",
    )
    declared = "BPF_QUEUE(own, struct key, 64);\nBPF_STACK(stack, struct key, 64, 0);\n"
    program = program.replace("BPF_HASH(agg", f"{declared}BPF_HASH(agg")
    config = made(tmp_path, "fine", COLUMNS, COLLECT, program)
    with napper() as pid:
        done, rows = traced(config, "fine", pid)
    assert (done.returncode, done.stderr) == (0, "")
    assert rows


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("limit", "most", "message"),
    [
        ("CPU_SECONDS", 2, "it compiles for more than 2 s; make its code shorter"),
        ("MEMORY_BYTES", 1 << 30, r"the compiler crashed \(SIG\w+\).*more than 1024 MiB"),
    ],
)
def test_a_program_that_takes_the_compiler_too_much_is_given_up(
    limit: str, most: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler has a bound of CPU time and one of memory, whatever the program is."""
    with_own_cache(tmp_path, monkeypatch)
    monkeypatch.setattr(trial, limit, most)
    endless = Trial("endless.bpf.c", ENDLESS, {}, (), str(header_tree.tracepoint_headers()))
    with pytest.raises(KscopeError, match=rf"endless\.bpf\.c: {message}"):
        tried(endless)


@pytest.mark.bpf
def test_what_was_tried_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that starts again compiles each program once; a changed one is tried again."""
    cache = with_own_cache(tmp_path / "cache", monkeypatch)
    (tmp_path / "cache").mkdir()
    config = made(tmp_path, "fine", COLUMNS, COLLECT, GOOD)
    with napper() as pid:
        for _ in range(2):
            assert traced(config, "fine", pid)[1]
            assert len(list(cache.glob("tried-*.json"))) == 1
    with napper() as pid:
        assert traced(config, "fine", pid)[1]
        assert len(list(cache.glob("tried-*.json"))) == 1
        made(tmp_path, "fine", COLUMNS, COLLECT, f"{GOOD}\n")
        assert traced(config, "fine", pid)[1]
    assert len(list(cache.glob("tried-*.json"))) == 2


@pytest.mark.bpf
def test_a_shipped_program_is_not_tried_and_a_copy_of_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's tests try its own programs on several kernels; a user's file may be changed,
    whatever its name and text.
    """
    seen: list[str] = []

    def spied(chosen: Trial) -> Tried:
        seen.append(chosen.program)
        return tried(chosen)

    monkeypatch.setattr(bcc, "tried", spied)
    with_own_cache(tmp_path, monkeypatch)
    for folder in ("categories", "probes"):
        shutil.copytree(ROOT / folder, tmp_path / "mine" / folder)
    with napper() as pid:
        for categories in ("builtin", tmp_path / "mine/categories"):
            category = read_catalog([categories]).catalog.get("hardirqs")
            assert category
            engine = bcc.BccEngine(category, {}, TraceFilter(pid=pid))
            engine.start()
            engine.close()
    assert seen == [str(tmp_path / "mine/probes/hardirqs.bpf.c")]


def test_the_cache_of_trials_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go when many programs were tried."""
    cache = with_own_cache(tmp_path, monkeypatch)
    cache.mkdir(mode=0o700)
    for n in range(1000):
        (cache / f"tried-{n}.json").write_text("{}")
        os.utime(cache / f"tried-{n}.json", (n, n))
    trial._keep(cache / "tried-new.json", "{}")
    kept = {path.name for path in cache.glob("tried-*.json")}
    assert len(kept) <= 257
    assert {"tried-new.json", "tried-999.json"} <= kept
