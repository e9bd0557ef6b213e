"""Stacks, histograms and addresses from real tables of bcc."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.host.header_tree import tracepoint_headers
from kscope.agent.host.libbcc import compiled, load_bcc
from kscope.client import KscopeError, address, histogram, histograms, kernel_time, stack
from tests import bcc_tools

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.bpf

PROGRAM = """
struct by_disk { char disk[16]; u64 slot; };
struct by_vector { u32 vector; u64 slot; };
struct inner { u32 a; u8 mac[2]; };
struct by_inner { struct inner in; u64 slot; };
struct by_two { u64 slot; u32 pid; char disk[8]; };
struct key { u32 pid; int user; int kernel; };
BPF_HISTOGRAM(plain);
BPF_HISTOGRAM(disks, struct by_disk);
BPF_HISTOGRAM(vectors, struct by_vector);
BPF_HISTOGRAM(both, struct by_two);
BPF_HISTOGRAM(inner, struct by_inner);
BPF_TABLE("percpu_array", int, u64, each_cpu, 64);
BPF_STACK_TRACE(stacks, 64);
BPF_HASH(calls, struct key);
TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    struct key key = {.pid = bpf_get_current_pid_tgid() >> 32};
    if (key.pid != PID)
        return 0;
    key.user = stacks.get_stackid(args, BPF_F_USER_STACK);
    key.kernel = stacks.get_stackid(args, 0);
    calls.increment(key);
    return 0;
}
"""


@pytest.fixture(scope="module")
def bpf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = tmp_path_factory.mktemp("program") / "tables.bpf.c"
    flags = [f"-DPID={os.getpid()}"]
    made = compiled(program, PROGRAM, flags, tracepoint_headers())
    load_bcc().BPF._trace_autoload(made)
    yield made
    made.cleanup()


def fill(table: Any, counts: dict[Any, int]) -> None:
    table.clear()
    for key, count in counts.items():
        made = table.Key(*key) if isinstance(key, tuple) else table.Key(key)
        table[made] = table.Leaf(count)


def as_bcc_prints(table: Any, **options: Any) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        table.print_log2_hist("usecs", "section", **options)
    return out.getvalue()


def test_a_histogram_is_as_bcc_prints_it(bpf: Any) -> None:
    """Slot 1 of bpf_log2l has 0 and 1, as our slot 0 has; the highest has the top bit."""
    fill(bpf[b"plain"], {0: 2, 1: 3, 2: 5, 5: 1, 63: 4})
    found = histogram(bpf[b"plain"])
    assert (found[0], found[1], found[4], found[62], len(found)) == (5, 5, 1, 4, 63)
    assert sum(found) == 15
    fill(bpf[b"plain"], {})
    assert histogram(bpf[b"plain"]) == []
    assert histograms(bpf[b"plain"]) == {None: []}


def test_sections_are_the_other_member_of_the_key(bpf: Any) -> None:
    """A disk's name, a number in spite of the padding behind it, or two members."""
    fill(bpf[b"disks"], {(b"vda", 1): 2, (b"vda", 3): 1, (b"sdb", 2): 7})
    assert histograms(bpf[b"disks"]) == {b"vda": [2, 0, 1], b"sdb": [0, 7]}
    assert histogram(bpf[b"disks"]) == [2, 7, 1]
    told = as_bcc_prints(bpf[b"disks"], section_print_fn=bytes.decode)
    assert bcc_tools.histograms(told.splitlines()) == {"vda": [2, 0, 1], "sdb": [0, 7]}

    table = bpf[b"vectors"]
    table.clear()
    table[table.Key(vector=3, slot=2)] = table.Leaf(9)
    assert histograms(table) == {3: [0, 9]}

    fill(bpf[b"both"], {(2, 17, b"vda"): 1, (3, 17, b"vda"): 4})
    assert histograms(bpf[b"both"]) == {(17, b"vda"): [0, 1, 4]}

    fill(bpf[b"inner"], {((5, (1, 2)), 1): 8})
    assert histograms(bpf[b"inner"]) == {(5, (1, 2)): [8]}


def test_counts_of_each_cpu_are_added_up(bpf: Any) -> None:
    """A PERCPU table has an array in place of a number."""
    table = bpf[b"each_cpu"]
    leaf = table.Leaf()
    for cpu in range(len(leaf)):
        leaf[cpu] = 3
    table[table.Key(2)] = leaf
    assert histogram(table) == [0, 3 * len(leaf)]


def test_linear_slots_are_numbers(bpf: Any) -> None:
    """Such as the lengths of run queues: 0 and 1 are in slot 0, 2 and 3 in slot 1."""
    fill(bpf[b"disks"], {(b"q", 0): 1, (b"q", 1): 2, (b"q", 2): 3, (b"q", 3): 4, (b"q", 900): 5})
    assert histogram(bpf[b"disks"], linear=True) == [3, 7, 0, 0, 0, 0, 0, 0, 0, 5]
    with pytest.raises(KscopeError, match="slot 900 is not one of bpf_log2l; is the histogram lin"):
        histogram(bpf[b"disks"])


def test_a_stack_is_folded_root_first(bpf: Any) -> None:
    """Functions of the process, of its libraries and of the kernel, without those of BPF."""
    bpf[b"calls"].clear()
    os.getppid()
    ((key, _),) = bpf[b"calls"].items()
    own = Path("/proc/self/exe").readlink().name
    for table in ("stacks", b"stacks", bpf[b"stacks"]):
        text = stack(bpf, table, key.kernel, key.user, key.pid)
        frames = text.split(";")
        assert any("getppid" in frame and "[" not in frame[:1] for frame in frames), text
        assert not any(f"[{own}]" in frame for frame in frames)
        kernel = [frame for frame in frames if frame.endswith("_[k]")]
        assert kernel
        assert frames[-len(kernel) :] == kernel
        assert not any(frame.startswith(("bpf_", "perf_trace")) for frame in kernel)
    assert stack(bpf, "stacks", key.kernel) == ";".join(kernel)
    assert stack(bpf, "stacks", user_id=key.user, pid=key.pid) + ";" + ";".join(kernel) == text


def test_no_stack_and_a_lost_one_differ(bpf: Any) -> None:
    """-EFAULT is none; -EEXIST, -ENOMEM and an id that the table does not have are losses."""
    assert stack(bpf, "stacks", -14, -14, 1) == ""
    assert stack(bpf, "stacks", -1, ctypes.c_int(-14), 1) == ""
    assert stack(bpf, "stacks") == ""
    for lost in (-17, -12, 63, 10**6):
        assert stack(bpf, "stacks", lost, lost, 1) == "[lost stack];[lost stack]_[k]"


def test_addresses_without_a_name_are_unknown(bpf: Any) -> None:
    """Of a process that has ended, and of the kernel."""

    class Walked:
        """A table of stacks whose content is known; the kernel writes to real ones alone."""

        def walk(self, _stack_id: int) -> Iterator[int]:
            return iter([4096] * deep)

    deep = 2
    assert stack(bpf, Walked(), 1, 1, 2**22 - 1) == (
        "[unknown];[unknown];[unknown]_[k];[unknown]_[k]"
    )
    deep = 500
    text = stack(bpf, Walked(), user_id=1, pid=2**22 - 1)
    assert text.split(";") == ["[truncated]", *["[unknown]"] * 127]


def test_a_time_of_the_kernel_becomes_one_of_the_clock() -> None:
    """Nanoseconds since the start of the machine, as bpf_ktime_get_ns returns them."""
    before = time.time()
    now = kernel_time(time.monotonic_ns())
    assert before - 1 < now < time.time() + 1
    earlier = kernel_time(ctypes.c_uint64(time.monotonic_ns() - 10**10))
    assert now - 11 < earlier < now - 9 + (time.time() - before)


def test_mistakes_are_said(bpf: Any) -> None:
    """A table that is not there, a user stack without its process."""
    with pytest.raises(KscopeError, match="the BPF program has no table 'stack_traces'"):
        stack(bpf, "stack_traces", 1)
    with pytest.raises(KscopeError, match="needs its pid"):
        stack(bpf, "stacks", user_id=1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0x0100007F, "127.0.0.1"),
        (ctypes.c_uint32(0x0100007F), "127.0.0.1"),
        (b"\x0a\0\0\1", "10.0.0.1"),
        ((ctypes.c_uint64 * 2)(0, 1 << 56), "::1"),
        ((ctypes.c_uint8 * 16)(*b"\xfe\x80" + bytes(13) + b"\1"), "fe80::1"),
        (bytes(10) + b"\xff\xff\x0a\0\0\2", "10.0.0.2"),
    ],
)
def test_an_address_is_text(value: object, text: str) -> None:
    """In network order, as the kernel has it."""
    assert address(value) == text


@pytest.mark.parametrize("value", [-1, 1 << 32, b"", b"x" * 5, None, "127.0.0.1", 0.5, []])
def test_what_is_no_address_is_refused(value: object) -> None:
    with pytest.raises(KscopeError, match="an IP address is a number of 32 bits"):
        address(value)
