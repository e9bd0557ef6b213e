"""`kscope import` of what `perf script` prints, whatever its fields, events and warnings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.days import MOMENT, SPAN
from tests.serving import ROOT, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDINGS = ROOT / "tests/query/recordings"
MISSES = """\
table: misses
columns:
  - {name: process, type: string}
  - {name: stack, type: stack}
  - {name: cache_misses, type: count}
  - {name: samples, type: count}
  - {name: event, type: string, default: ""}
  - {name: cpu, type: int, default: -1}
charts:
  - {kind: flamegraph, stack: stack, value: cache_misses, by: process}
"""


@pytest.fixture(scope="module")
def categories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("categories")
    (folder / "misses.yaml").write_text(MISSES)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, categories: Path) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served"), "--categories", categories) as running:
        yield running


@dataclass
class Imported:
    """A recording on the server: its stacks, its rows, and what the command said."""

    server: Serving
    table: str
    host: str
    said: str

    def stacks(self, value: str = "samples") -> dict[str, int]:
        path = f"/api/v1/flamegraph/{self.table}"
        answer = self.server.get(path, **SPAN, hostname=self.host, value=value, format="folded")
        assert answer.status_code == 200, answer.text
        lines = (line.rpartition(" ") for line in answer.text.splitlines())
        return {stack: int(number) for stack, _, number in lines}

    def total(self, value: str = "samples") -> int:
        return sum(self.stacks(value).values())

    def rows(self) -> list[dict[str, object]]:
        path = f"/api/v1/rows/{self.table}"
        answer = self.server.get(path, hostname=self.host, order="time", **SPAN).json()
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


@dataclass
class Importing:
    server: Serving
    categories: Path
    number: int = 0

    def __call__(
        self, content: str | bytes, *options: str, table: str = "profile", moment: bool = True
    ) -> Imported:
        """Import a recording for a host that has no other."""
        self.number += 1
        host = f"host-{self.number}"
        done = self.run(content, *options, "--hostname", host, table=table, moment=moment)
        assert done[0] == 0, done[1]
        return Imported(self.server, table, host, done[1])

    def refused(self, content: str | bytes, *options: str, table: str = "profile") -> str:
        code, said = self.run(content, *options, table=table)
        assert code in {1, 2}, said
        assert "Traceback" not in said
        return said

    def run(
        self, content: str | bytes, *options: str, table: str, moment: bool = True
    ) -> tuple[int, str]:
        raw = content.encode() if isinstance(content, str) else content
        given = ("import", table, "-", *options, *(MOMENT if moment else ()))
        ends = ("--categories", self.categories, "--server", self.server.ingest)
        done = command(*given, *ends, stdin=raw)
        return done.returncode, done.stderr


@pytest.fixture(scope="module")
def importing(server: Serving, categories: Path) -> Importing:
    return Importing(server, categories)


CLOCK = "app  4152/4152 [000] 10.000001:     250000 cpu-clock:u: \n"
WORK = "\t    55d0c0de1000 work+0x10 (/opt/app/bin/app)\n"


@pytest.mark.parametrize(
    ("name", "stacks", "said"),
    [
        ("01-cycles-default", {"app;__libc_start_main [libc.so.6];work": 1}, "1 samples is not"),
        ("02-two-events", {"app;work": 1}, "left out are page-faults:u (1 sample)"),
        (
            "05-jit-cache",
            {"com.example.app;syscall [libc.so];java.lang.String.hashCode": 1},
            "",
        ),
        ("07-ipt-error", {"app;work": 2}, "1 line skipped: an error of the trace"),
        ("10-mem-loads", {"app;work": 1}, "the time of 1 samples is not known"),
        ("11-no-dso", {"app;__libc_start_main;work": 1}, ""),
        (
            "14-vmlinux-debug",
            {
                "swapper;nft_do_chain_[k];bpf_prog_2b956549c660136a_lb_[k];irq_exit_[k];"
                "net_rx_action_[k]": 1
            },
            "",
        ),
        ("18-mmap-lines", {"app;work": 1}, "(PERF_RECORD_MMAP) (the first is line 1)"),
        ("25-uid-misc", {"app;work": 1}, ""),
        ("29-empty-symbol", {"app;work;[unknown] [libc.so.6]": 1}, ""),
        ("46-tid-only", {"thr;w": 6}, "print both with `perf script -F +pid`"),
    ],
)
def test_recordings_of_every_kind_arrive(
    importing: Importing, name: str, stacks: dict[str, int], said: str
) -> None:
    """Each sample counts one, and the user reads what was left out or is not known."""
    done = importing((RECORDINGS / f"{name}.perf").read_bytes())
    assert done.stacks() == stacks
    assert said in done.said


def test_threads_and_processes_are_told_apart(importing: Importing) -> None:
    """perf prints a lone thread, or PID/TID; -1 means none."""
    alone = importing((RECORDINGS / "46-tid-only.perf").read_bytes())
    assert {(row["pid"], row["tid"]) for row in alone.rows()} == {(0, 27062), (0, 27063)}
    head = "thr {}  10.5: 250000 cpu-clock: \n\t    1164 w (/opt/thr)\n\n"
    both = importing(head.format("27062/27063"))
    assert [(row["pid"], row["tid"]) for row in both.rows()] == [(27062, 27063)]
    assert both.said == ""
    for none in ("-1/-1", "4294967295/4294967295"):
        rows = importing(head.format(none)).rows()
        assert [(row["pid"], row["tid"]) for row in rows] == [(0, 0)]


HEADS = [
    "app 4152/4153 [000] 10.000001:     250000 cpu-clock:u: ",
    "app 4152/4153 10.000001:     250000 cpu-clock:u: ",
    "app 4152/4153 10.000001: cpu-clock: ",
    "app 4152/4153 cpu-clock:",
    "app 4152/4153     250000 cpu-clock:",
    "app 4152/4153 [000] 10.000001: ",
    "app 4152/4153 10.000001:     250000 ",
    "             app  4152/4153  10.000001000: cpu-clock: ",
    "app 4152/4153 [000]     0.000001: cpu-clock: ",
    "app 4152/4153 [000] 10: 250000 cpu-clock: ",
    "app 4152/4153 [000] 10,000001: 250000 cpu-clock: ",
    "app 4152/4153 [007] K      10.000001: 250000 cpu-clock: ",
    "app 4152/4153 [007] UE     10.000001: 250000 cpu-clock: ",
    "VM:7 VCPU:1 app 4152/4153 [007] 10.000001: 250000 cpu-clock: ",
    "app 4152/4153 [000] 10.000001: 1 page-faults:     561e6157b018 x+0x0 (/opt/app/bin/app)",
    "app 4152/4153 [000] 10.000001: 1 cycles:P:                0",
    "app 4152/4153 [000] 10.000001: 1 cycles:       1e05080021 |OP N/A|LVL N/A|BLK  N/A  5 ",
    "app 4152/4153 [000] 10.000001: 1 branches:   tr strt              0 [unknown] ([unknown]) ",
    "app 4152/4153 [000] 10.000001: 1 cpu_core/cycles/P: ",
    "app 4152/4153 [000] 10.000001: 1 cpu/mem-loads,ldlat=30/P:  7f1234567890  66810 |OP LOAD| ",
    "app 4152/4153 [000] 10.000001: 1 r1a8: ",
    "app 4152/4153 [000] 2026-11-23 12:00:00.123456    10.000001: 1 cycles: ",
    "app 4152/4153 [000] 10.000001: 1 raw 0x1a8: ",
    "app 4152/4153 [000] 10.000001: 1 mem:0x55d0c0de1000:rw: ",
    "app 4152/4153 [000] 10.000001: probe:foo: (55d0c0de1000)",
    "app 4152/4153 [000] 10.000001: probe_libc:malloc: (7f0000000058) bytes=0x10",
    "app 4152/4153 [000] 10.000001: sched:sched_switch: prev_comm=a b: prev_state=D ==> next_pid=0",
    "app 4152/4153 [000] 10.000001: syscalls:sys_enter_read: fd: 0x00000003, buf: 0x7ffc (x)",
]


@pytest.mark.parametrize("head", HEADS)
def test_the_fields_of_a_sample_may_be_any(importing: Importing, head: str) -> None:
    """Process, thread and stack are found, also if period, time, event or CPU are missing."""
    done = importing(f"{head}\n{WORK}\n" * 2)
    assert done.stacks() == {"app;work": 2}
    assert {(row["pid"], row["tid"]) for row in done.rows()} == {(4152, 4153)}
    assert "skipped" not in done.said


PROCESSES = [
    "tmux: server",
    "kworker/0:1-eve",
    "Web Content 12",
    "7zip",
    "dd",
    "cafe",
    ":4152",
    "[bracket]",
    "(sd-pam)",
    "a [003] b",
    "V8 WorkerThread",
    "PERF cycles:",
    "perf",
    "1/2 done",
]


def test_the_name_of_a_process_may_be_anything(importing: Importing) -> None:
    """With blanks, brackets, colons, digits and slashes, and one that reads as a number."""
    done = importing(
        "".join(
            f"{comm}  4152/4153 [000] 10.000001:     250000 cpu-clock:u: \n{WORK}\n"
            f"{comm}  4153 10.000002:     250000 cpu-clock:u: \n{WORK}\n"
            f"{comm:>16}  4153 10.000002: 250000 cpu-clock:u:      55d0c0de1000 work (/bin/app)\n"
            for comm in PROCESSES
        )
    )
    assert done.stacks() == {f"{comm};work": 3 for comm in PROCESSES}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\n\t    55d0c0de1000 work\n\tffffffff8177539a read\n\n", {"[unknown];read_[k];work": 3}),
        ("     55d0c0de1000 work\n", {"[unknown];work": 3}),
        ("     55d0c0de1000 work (/opt/app/bin/libx.so)\n", {"[unknown];work [libx.so]": 3}),
        ("app \n\t    55d0c0de1000 work\n\n", {"app;work": 3}),
        ("tmux: server 4153 \n\t    55d0c0de1000 work\n\n", {"tmux: server;work": 3}),
        ("             app      55d0c0de1000 work\n", {"app;work": 3}),
        (" 4153 \n\t    55d0c0de1000 work\n\n", {"[unknown];work": 3}),
        (" 4153      55d0c0de1000 work\n", {"[unknown];work": 3}),
        ("[001] \n\t    55d0c0de1000 work\n\n", {"[unknown];work": 3}),
        ("   5025125 \n\t    55d0c0de1000 work\n\n", {"[unknown];work": 3}),
        ("67157.909721: \n\t    55d0c0de1000 work\n\n", {"[unknown];work": 3}),
        ("67157.909721:      55d0c0de1000 work\n", {"[unknown];work": 3}),
        ("cpu-clock: \n\t    55d0c0de1000 work\n\n", {"[unknown];work": 3}),
        ("cpu-clock:      55d0c0de1000 work\n", {"[unknown];work": 3}),
        ("app 10.000001: cpu-clock: \n\t    55d0c0de1000 work\n\n", {"app;work": 3}),
        (
            "\n\t    55d0c0de1000\n\tffffffff8177539a\n\n",
            {"[unknown];0xffffffff8177539a_[k];0x55d0c0de1000": 3},
        ),
        ("\n\t    55d0c0de1000 (/lib/libx.so)\n\n", {"[unknown];0x55d0c0de1000 [libx.so]": 3}),
        ("java 19983 cycles:\nffffffff8103d0ca msr ([kernel.kallsyms])\n\n", {"java;msr_[k]": 3}),
    ],
)
def test_samples_with_few_fields_are_found(
    importing: Importing, content: str, expected: dict[str, int]
) -> None:
    """Also without a head, where blank lines separate samples, and a line each without -g."""
    assert importing(content * 3).stacks() == expected


MAPS = [
    ("ffffffff81a2e0f1", "[kernel.kallsyms]", "f_[k]"),
    ("ffffffff81a2e0f1", "[kernel.kallsyms].init.text", "f_[k]"),
    ("ffffffff81a2e0f1", "[kernel.vmlinux]", "f_[k]"),
    ("ffffffff81a2e0f1", "[guest.kernel.kallsyms.123]", "f_[k]"),
    ("ffff800010081a2c", "[kernel.kallsyms]", "f_[k]"),
    ("c0103b1c", "[kernel.kallsyms]", "f_[k]"),
    ("414b3b", "/lib/modules/4.1.0-virtual/build/vmlinux", "f_[k]"),
    ("ffffffff81a2e0f1", "/usr/lib/debug/boot/vmlinux-5.4.14", "f_[k]"),
    ("ffffffff81a2e0f1", "/usr/lib/debug/lib/modules/6.1.0/vmlinux.debug", "f_[k]"),
    ("ffffffff81a2e0f1", "/proc/kcore", "f_[k]"),
    ("ffffffff81a2e0f1", "/root/.debug/.build-id/aa/bb/elf", "f_[k]"),
    ("ffffffffc0310aaa", "[btrfs]", "f_[k]"),
    ("7d8", "[nf_conntrack_ipv4]", "f_[k]"),
    ("bf0007d8", "[usb-storage]", "f_[k]"),
    ("ffffffffc0310aaa", "/lib/modules/6.1/kernel/fs/btrfs/btrfs.ko", "f_[k]"),
    ("7d8", "/lib/modules/6.1/kernel/fs/btrfs/btrfs.ko.xz", "f_[k]"),
    ("7d8", "/usr/lib/debug/lib/modules/6.1/kernel/btrfs.ko.zst.debug", "f_[k]"),
    ("ffffffffc09ace93", "bpf_prog_2b956549c660136a_lb", "f_[k]"),
    ("ffffffffc09ace93", "bpf_trampoline_6442", "f_[k]"),
    ("ffffffff81a2e0f1", "[unknown]", "f_[k]"),
    ("ffffffffffffffff", "[unknown]", "f"),
    ("fffd8118e8240489", "[unknown]", "f"),
    ("7ffd24bfa5f0", "[vdso]", "f [vdso]"),
    ("f7f1c5f0", "[vdso32]", "f [vdso32]"),
    ("ffffffffff600000", "[vsyscall]", "f [vsyscall]"),
    ("7ffd24bfa5f0", "[uprobes]", "f [uprobes]"),
    ("55d0c0de1000", "[heap]", "f [heap]"),
    ("7ffd24bfa5f0", "[stack]", "f [stack]"),
    ("9c51fd34", "[JIT app cache]", "f"),
    ("9c51fd34", "[anon:dalvik-jit-code-cache]", "f"),
    ("7f00dead0000", "/memfd:jit-cache (deleted)", "f"),
    ("7f00dead0000", "/memfd:doublemapper (deleted)", "f"),
    ("7f00dead0000", "//anon", "f"),
    ("7f00dead0000", "/tmp/perf-4152.map", "f"),
    ("7f00dead0000", "/tmp/jitted-31714-4145673320.so", "f"),
    ("7f00dead0000", "[unknown]", "f"),
    ("7f00dead0000", "inlined", "f"),
    ("7f00dead0000", "/usr/lib/libc.so.6", "f [libc.so.6]"),
    ("7f00dead0000", "/usr/lib/libc.so.6 (deleted)", "f [libc.so.6]"),
    ("7f00dead0000", "/usr/lib/libc.so.6+0x2a3f", "f [libc.so.6]"),
    ("7f00dead0000", "/opt/My (new) App/libx.so", "f [libx.so]"),
    ("ffff804d8598", "/usr/lib/aarch64-linux-gnu/libc.so.6", "f [libc.so.6]"),
    ("7f00dead0000", "/usr/bin/python3.11", "f"),
    ("7f00dead0000", "/usr/bin/other2.0", "f [other2.0]"),
    ("7f00dead0000", "/usr/sbin/mysqld", "f"),
]


def test_frames_are_told_apart_by_address_and_map(importing: Importing) -> None:
    """The kernel's are marked, a library's name it; compiled code and the program's own do not."""
    head = "python3 4152/4152 10.000001: 250000 cpu-clock:u: \n"
    done = importing(
        "".join(
            f"{head}\t{address:>16} f+0x10 ({place})\n\t{at:16x} case {at} (inlined)\n\n"
            for at, (address, place, _) in enumerate(MAPS)
        )
    )
    expected = {f"python3;case {at};{name}" for at, (_, _, name) in enumerate(MAPS)}
    assert set(done.stacks()) == expected


NAMES = [
    ("Lorg/a/B;::c->Lorg/d/E$1;::f+0x4b", "/tmp/perf-1.map", "org/a/B:::c;org/d/E$1:::f"),
    ("org.a.B::c->org.d.E::f", "/tmp/perf-1.map", "org.a.B::c;org.d.E::f"),
    ("Lorg/a/B;.c(Ljava/lang/Object;)V", "/tmp/perf-1.map", "org/a/B:.c(Ljava/lang/Object:)V"),
    ("LazyCompile:~body_0 a.<b>:1", "/tmp/perf-1.map", "LazyCompile:~body_0 a.<b>:1"),
    ("RegExp:[&<>\\\"\\']", "/tmp/perf-1.map", "RegExp:[&<>\\\"\\']"),
    ("Ptr<A>::operator->()+0x4", "/bin/app", "Ptr<A>::operator->()"),
    ("f(A (*)(B), C->D) const", "/lib/l.so", "f(A (*)(B), C->D) const [l.so]"),
    ("(anonymous namespace)::f(int)", "/bin/app", "(anonymous namespace)::f(int)"),
    (
        "std::function<void (int)>::operator()(int) const+0x1",
        "/bin/app",
        "std::function<void (int)>::operator()(int) const",
    ),
    ("a;b c", "/bin/app", "a:b c"),
    ("net/http.(*Client).Do", "/bin/app", "net/http.(*Client).Do"),
    ("<A as B<C>>::d::{{closure}}", "/bin/app", "<A as B<C>>::d::{{closure}}"),
    ("[unknown]", "/lib/libc.so.6", "[unknown] [libc.so.6]"),
    ("[unknown]", "/bin/app", "[unknown] [app]"),
    ("", "/lib/libc.so.6", "[unknown] [libc.so.6]"),
    ("free@plt+0x4", "/bin/app", "free@plt"),
]


def test_names_of_functions_are_whole(importing: Importing) -> None:
    """Those that a Java compiler inlined are separate frames; those of C++ are not split."""
    done = importing(
        "".join(
            f"{CLOCK}\t    7f00dead0000 {symbol} ({place})\n\t{at:16x} case {at} (inlined)\n\n"
            for at, (symbol, place, _) in enumerate(NAMES)
        )
    )
    assert set(done.stacks()) == {
        f"app;case {at};{frames}" for at, (*_, frames) in enumerate(NAMES)
    }


def test_a_function_that_is_cut_off_keeps_its_name(importing: Importing) -> None:
    """A copy of a terminal cuts long lines."""
    done = importing(f"{CLOCK}\t    7f00dead0000 f (/lib/x86_64-lin\n{WORK}\n")
    assert done.stacks() == {"app;work;f": 1}


def test_extra_fields_of_frames_are_no_frames(importing: Importing) -> None:
    """Source lines, registers, branches, physical addresses and sizes of pages."""
    content = (
        f"{CLOCK}\t            119c hot+0x13 (app)\n  app.c:5\n"
        "\t           27304 start_impl+0x84\n  libc-start.c:360 (inlined)\n"
        "\t            10c0 _start+0x20 (app)\n  ??:0\n"
        "        1a2b3c4d\n"
        " ABI:2    AX:0x7f00dead0000    BX:0x1\n"
        " 0x55d0c0de1000/0x55d0c0de1010/P/-/-/1  0x55d0c0de1020/0x55d0c0de1030/M/-/-/0 \n"
        " 4K 2M\n"
        "|5        for (;;)\n"
        "      BPF output: 0000: 17 00 00 00 00 00 00 00  ........\n"
        "                  0008: 17 00 00 00              ....\n\n"
    )
    done = importing(content)
    assert done.stacks() == {"app;_start;start_impl;hot": 1}
    assert done.said == ""


NOISE = [
    ("Warning:\nProcessed 100 events and lost 1 chunks!\n\nCheck IO/CPU overload!\n", 3),
    ("[ perf record: Captured and wrote 0.045 MB perf.data (12 samples) ]\n", 1),
    ("addr2line: DWARF error: could not find variable specification at offset 1a2\n", 1),
    (
        " instruction trace error type 1 time 10.744123981 cpu 0 pid 4152 tid 4152 ip 0\n",
        1,
    ),
    ("swapper     0     0.000000: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x1000)]: x k\n", 1),
    ("app  4152 [000]     9.000001: PERF_RECORD_SWITCH OUT preempt\n", 1),
    ("app  4152/4152     9.000001: PERF_RECORD_LOST lost 12\n", 1),
    ("app  4152/4152 [000 10.0\n\t    55d0c0de1000 work+0x10 (/opt/app/bin/app)\n", 2),
    ("\x00\x01\x02 binary \ufffd\n", 1),
    ("what is this\n", 1),
    ("\tno address (x)\n", 1),
    ("# a comment\n", 0),
]


@pytest.mark.parametrize(("noise", "lines"), NOISE)
def test_lines_that_are_no_samples_are_skipped_and_counted(
    importing: Importing, noise: str, lines: int
) -> None:
    """In front of samples, between them, and inside of one; all samples are stored."""
    sample = f"{CLOCK}{WORK}\n"
    done = importing(f"{noise}\n{sample}{noise}\n{sample}")
    assert done.stacks() == {"app;work": 2}
    counts = re.findall(r"(\d+) lines? skipped: ", done.said)
    assert sum(map(int, counts)) == 2 * lines, done.said


def test_a_message_in_a_sample_does_not_end_it(importing: Importing) -> None:
    """Programs that perf starts print while it does."""
    message = "addr2line: ./app: could not read\n"
    done = importing(f"{CLOCK}{WORK}{message}\t    55d0c0de2000 main (/opt/app/bin/app)\n\n")
    assert done.stacks() == {"app;main;work": 1}
    assert "1 line skipped: a message of perf (the first is line 3)" in done.said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello\n", "-:1: is neither a sample nor a frame: 'hello'"),
        ("# ========\n# perf version : 6.1\n", "-:1: has no samples"),
        ("\n\nWarning:\nProcessed 1 events\n\nhello you\n", "-:6: is neither a sample nor"),
        ("app 1 9.0: PERF_RECORD_EXIT(1:1):(1:1)\n", "-:1: has no samples"),
    ],
)
def test_a_text_without_samples_is_refused(importing: Importing, content: str, said: str) -> None:
    """With its first line that is none."""
    assert said in importing.refused(content, "--format", "perf")


def events(*names: str) -> str:
    """Return a recording that has one sample of the first event, two of the second, and so on."""
    heads = [name for at, name in enumerate(names, 1) for _ in range(at)]
    return "".join(
        f"app 4152/4152 [000] {10 + at}.0: 1000 {name}: \n"
        f"\t    55d0c0de1000 {re.sub(r'[^a-z]', '_', name)} (/bin/app)\n\n"
        for at, name in enumerate(heads)
    )


def test_one_of_several_events_is_read(importing: Importing) -> None:
    """The first, unless --event names another, with its modifiers or without."""
    content = events("cycles:P", "cache-misses:u", "sched:sched_switch")
    first = importing(content)
    assert first.stacks() == {"app;cycles__": 1}
    others = "cache-misses:u (2 samples), sched:sched_switch (3 samples): choose with --event"
    assert f"event cycles:P is read; left out are {others}" in first.said
    for wanted, stack, count in (
        ("cache-misses", "app;cache_misses_u", 2),
        ("cache-misses:u", "app;cache_misses_u", 2),
        ("cache-misses:k", "app;cache_misses_u", 2),
        ("sched:sched_switch", "app;sched_sched_switch", 3),
    ):
        assert importing(content, "--event", wanted).stacks() == {stack: count}
    said = importing.refused(content, "--event", "cycle")
    assert "--event cycle: the recording has cycles:P, cache-misses:u, sched:sched_switch" in said


def test_modifiers_do_not_make_another_event(importing: Importing) -> None:
    """perf adds some where the machine has no finer counter; a name with them is that one alone."""
    content = events("cycles:u", "cycles", "cycles:ppp")
    assert importing(content).total() == 6
    assert importing(content, "--event", "cycles:u").total() == 1
    assert importing(content, "--event", "cycles:HG").total() == 6


def test_an_event_of_two_kinds_of_cores_is_one(importing: Importing) -> None:
    """As a machine with big and small cores counts it."""
    hybrid = events("cpu_core/cycles/P", "cpu_atom/cycles/P")
    assert importing(hybrid).total() == 1
    assert importing(hybrid, "--event", "cpu_atom/cycles/").total() == 2
    assert importing(hybrid, "--event", "cycles").total() == 3
    assert "no names of events" in importing.refused("app 1 1.0: \n" + WORK, "--event", "cycles")


def cycles(times: list[float], head: str = "", event: str = "cycles:P") -> str:
    return head + "".join(
        f"app 4152/4152 [000] {time:.6f}: 1000 {event}: \n{WORK}\n" for time in times
    )


def every(milliseconds: float, samples: int) -> list[float]:
    return [10 + at * milliseconds / 1000 for at in range(samples)]


HEADER = (
    "# ========\n# cmdline : /usr/bin/perf record -e cycles -F 49 -g ./app -F 7\n"
    "# event : name = cycles:P, , id = { 2670, 2671 }, type = 0, size = 128, "
    "{ sample_period, sample_freq } = 99, sample_type = IP|TID|TIME, disabled = 1, freq = 1\n#\n"
)


@pytest.mark.parametrize(
    ("content", "options", "elapsed", "said"),
    [
        (f"{CLOCK}{WORK}\n" * 3, (), 750, ""),
        (cycles(every(10, 20)), ("--frequency", "50"), 400_000, ""),
        (cycles(every(10, 20), HEADER), (), 202_020, "10.1 ms, by the 99 Hz in its header"),
        (
            cycles(every(10, 20), HEADER.replace("# event : name", "# other")),
            (),
            408_163,
            "20.4 ms, by the 49 Hz in its header",
        ),
        (
            cycles(every(10, 20), HEADER.replace(", freq = 1", "")),
            (),
            200_000,
            "time is samples x 10 ms, the recording's own interval; --frequency says another",
        ),
        (cycles([*every(10, 20), 11.5, 15.0, 15.01]), (), 230_000, "x 10 ms"),
        (
            cycles([10.000001, 10.000004, 10.000009, 10.00003, *every(4, 40)[1:]]),
            (),
            172_000,
            "x 4 ms",
        ),
        (cycles([10.0]), (), 0, "the time of 1 samples is not known"),
        (cycles(every(10, 20), event="page-faults"), (), 0, "the time of 20 samples is not known"),
        (cycles(every(10, 20), event="probe:f"), (), 0, "the time of 20 samples is not known"),
        (cycles(every(10, 20), event="task-clock:u"), (), 20, ""),
        (
            f"app 1/1 1.0: sched:sched_stat_iowait: comm=a pid=1 delay=2000000 [ns]\n{WORK}\n",
            (),
            2000,
            "",
        ),
    ],
)
def test_time_comes_from_the_period_the_rate_or_the_interval(
    importing: Importing, content: str, options: tuple[str, ...], elapsed: int, said: str
) -> None:
    """A clock's period, --frequency, the header, or the usual gap between samples; else 0."""
    done = importing(content, *options)
    assert abs(done.total("elapsed") - elapsed) <= 1
    assert said in done.said
    assert bool(said) == ("time" in done.said)


def test_the_interval_is_that_of_a_cpu_or_a_thread(importing: Importing) -> None:
    """Samples of four CPUs, or of two threads without CPUs, are 10 ms apart on each of them."""
    cpus = "".join(
        f"swapper 0 [{cpu:03}] {time + cpu / 400:.6f}: 1 cycles: \n{WORK}\n"
        for time in every(10, 12)
        for cpu in range(4)
    )
    assert "x 10 ms, the recording's own interval" in importing(cpus).said
    threads = "".join(
        f"app 1/{tid} {time + tid / 300:.6f}: 1 cycles: \n{WORK}\n"
        for time in every(10, 12)
        for tid in (1, 2)
    )
    assert "x 10 ms, the recording's own interval" in importing(threads).said


def test_a_time_that_no_event_tells_is_refused_with_what_helps(importing: Importing) -> None:
    """A category whose times are not counted samples; both ways out of the message work."""
    content = cycles(every(10, 20))
    said = importing.refused(content, table="offcputime")
    assert "-:1: event cycles:P does not say how much elapsed there was" in said
    assert "name the rate with --frequency, or choose a count with --value count" in said
    counted = importing(content, "--value", "count", table="offcputime")
    assert counted.total("count") == 20
    assert importing(content, "--frequency", "100", table="offcputime").total("elapsed") == 200_000
    clock = importing.refused(f"app 1/1 1.0: cpu-clock: \n{WORK}\n", table="offcputime")
    assert "has no period" in clock
    assert "`perf script -F +period`" in clock


def test_a_column_of_the_events_name_takes_its_period(importing: Importing) -> None:
    """`cache_misses` sums the misses, beside it `samples` counts the samples."""
    done = importing(events("cache-misses:u", "cycles"), table="misses")
    assert done.total("cache_misses") == 1000
    assert done.total("samples") == 1
    assert [(row["event"], row["cpu"]) for row in done.rows()] == [("cache-misses:u", 0)]
    without = "app 1/1 1.0: cache-misses: \n" + WORK
    assert "has no cache_misses" in importing.refused(without, table="misses")
    assert importing(without, "--value", "samples", table="misses").total("samples") == 1


def test_rows_have_the_times_of_their_samples(importing: Importing) -> None:
    """Also in nanoseconds; without times they have that of the recording."""
    done = importing(
        "".join(f"app 1/1 {t}: 1 cpu-clock: \n{WORK}\n" for t in ("9.5", "9.750000000"))
    )
    first, last = [row["time"] for row in done.rows()]
    assert last - first == 250_000  # type: ignore[operator]
    none = importing(f"app 1/1 cpu-clock: \n{WORK}\n" * 2)
    assert len({row["time"] for row in none.rows()}) == 1


LONG = [
    *("(", " (", "(a) ", ")", "1 ", "12345 ", " ", "a: ", "1.0: ", "->", "0", "[000] ", "=> "),
    *("/P/", "x/y/P/-/-/", "+0x1", "Lx/", "perf: ", "sample_freq } = 1,", "delay=1 [ns] ", "é"),
]


def test_long_lines_take_no_longer_than_short_ones(importing: Importing) -> None:
    """Brackets, digits and blanks without end, as a head, as a frame and behind one."""
    sample = f"{CLOCK}{WORK}\n"
    lines = []
    for each in LONG:
        long = each * (100_000 // len(each)) + "x"
        lines += [
            f"{long}\n",
            f"{CLOCK.rstrip()} {long}\n",
            f"app 1/1 1.0: sched:sched_stat_wait: {long}\n",
            f"\t    55d0c0de1000 {long} (/lib/x.so)\n",
            f"\t    55d0c0de1000 f ({long})\n",
            f"  {long}\n",
            f"app 12 {long}\n",
            f"# cmdline : {long}\n",
            f"# event : name = {long}\n",
        ]
    done = importing(sample + "\n".join(f"{CLOCK}{line}" for line in lines) + "\n" + sample)
    assert done.total() >= len(lines)


BEHIND = (
    "",
    " =>     55d0c0de2000 main+0x0 (/bin/app)",
    "  0x55d0c0de1000/0x55d0c0de1010/P/-/-/1  0x55d0c0de1020/0x55d0c0de1030/M/-/-/0 ",
    "  work+0x10/main+0x20/P/-/-/0 ",
    " ABI:2    AX:0x7f00dead0000    BX:0x1",
    " ilen: 2 insn: 75 f0",
    "         1a2b3c4d",
)
IN_FRONT = (
    " ",
    "     7f1234567890 buffer+0x8 ([heap])        668100842 |OP LOAD|BLK  N/A         5 ",
    "   call                 ",
    "                0 ",
)


def test_a_sample_without_a_call_chain_has_the_frame_of_its_line(importing: Importing) -> None:
    """Other fields come in front of it and behind it."""
    frame = "    55d0c0de1000 work+0x10 (/lib/libx.so)"
    lines = [
        f"app 1/1 [000] 1.0: 7 branches:uH:{front}{frame}{behind}\n"
        for front in IN_FRONT
        for behind in BEHIND
    ]
    assert importing("".join(lines)).stacks() == {"app;work [libx.so]": len(lines)}


def test_a_stack_without_end_is_cut_at_its_root(importing: Importing) -> None:
    """A recording that lost its blank lines takes no more memory than another."""
    frame = "\t    55d0c0de1000 work+0x10 (/opt/app/bin/app)\n"
    done = importing(CLOCK + frame * 20_000)
    assert done.total() == 1
    assert "3617 lines skipped: a sample of more than 16384 lines" in done.said


def test_names_without_end_are_not_kept(importing: Importing) -> None:
    """Events, threads and processes that no two samples share."""
    content = "".join(
        f"app-{at} {at}/{at} [000] {at}.0: 1 event-{at}: \n\t {at:x} f{at} (/lib/x.so)\n\n"
        for at in range(1, 3000)
    )
    done = importing(content)
    assert done.total() == 1
    assert "left out are event-2 (1 sample)" in done.said
    assert len(done.said) < 2000
