"""Fields of programs and columns: what fits arrives as it is, what does not is an error first."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.host import btf, ksyms
from kscope.agent.rows.convert import Fitting
from kscope.agent.rows.decode import reader
from kscope.agent.rows.interval import LossCounts
from kscope.declare.files.category import read_category
from kscope.declare.model import Source
from kscope.declare.types.kernel import FieldType, Kind
from kscope.errors import KscopeError
from tests import needs
from tests.serving import kscope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kscope.declare.model import Category

KINDS = Path(__file__).parent / "kinds"
PROGRAM = """
struct key { u32 generation; u64 address; char comm[16]; };
BPF_HASH(agg, struct key, u64, 64);
BPF_PERCPU_HASH(each_cpu, struct key, u64, 64);
BPF_RINGBUF_OUTPUT(ring, 1);
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    struct key key = {};
    u64 n = SUMMED;
    if (!ks_wanted())
        return 0;
    key.generation = ks_generation();
    key.address = 0xffffffff81000001ULL;
    agg.update(&key, &n);
    each_cpu.update(&key, &n);
    ring.ringbuf_output(&key, sizeof(key), 0);
    return 0;
}
"""
NAPPER = "import os, time\nwhile True:\n    os.getppid(); time.sleep(0.01)"


@contextmanager
def napper() -> Iterator[int]:
    """A process that makes a system call a hundred times a second."""
    process = subprocess.Popen([sys.executable, "-c", NAPPER])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def made(folder: Path, name: str, columns: str, collect: str, program: str = PROGRAM) -> Path:
    """A folder with one category and its program, or its script if it has no struct."""
    (folder / "categories").mkdir(exist_ok=True)
    (folder / "probes").mkdir(exist_ok=True)
    engine = "bcc" if "BPF_" in program else "bpftrace"
    source = {"program": f"{name}.bpf.c"} if engine == "bcc" else {"script": program}
    (folder / "probes" / f"{name}.bpf.c").write_text(program)
    probe = {"engine": engine, **source}
    lines = [f"  {key}: {json.dumps(value)}" for key, value in probe.items()]
    text = [f"table: {name}", f"columns: {columns}", "probe:", *lines, f"  collect: {collect}"]
    (folder / "categories" / f"{name}.yaml").write_text("\n".join(text) + "\n")
    config = folder / "kernelscope.yaml"
    config.write_text("categories: [categories]\n")
    return config


def traced(
    config: Path, name: str, pid: int, *flags: object
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    command = ("agent", "--config", config, name, "--pid", pid, "--duration", 1, "--json", *flags)
    done = subprocess.run(
        kscope(*map(str, command)),
        cwd=config.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def refused(config: Path, name: str, pid: int = 1, *flags: object) -> str:
    done, rows = traced(config, name, pid, *flags)
    assert (done.returncode, rows) == (2, []), done.stderr
    return done.stderr.replace(f"{config.parent}/", "")


@pytest.mark.bpf
def test_every_kind_of_field_arrives_as_it_is(tmp_path: Path) -> None:
    """Nested structs, unions, bit fields, addresses, signs, enums: one row has all of them."""
    (tmp_path / "probes").symlink_to(KINDS / "probes")
    (tmp_path / "right").symlink_to(KINDS / "right")
    config = tmp_path / "kernelscope.yaml"
    config.write_text(f"categories: [{KINDS}/right]\n")
    with napper() as pid:
        done, rows = traced(config, "kinds", pid)
    assert done.returncode == 0
    expected = json.loads((KINDS / "row.json").read_text())
    for row in rows:
        assert re.fullmatch(r"\w+\+0x1", row.pop("place"))
        assert row.pop("pid") == pid
        assert row == expected
    assert rows


@pytest.mark.bpf
def test_every_kind_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """All of them in one answer, each with its line, its type, and what the column takes."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text(f"categories: [{KINDS}/wrong]\n")
    said = refused(config, "kinds").replace(f"{KINDS}/", "")
    assert said == (KINDS / "stderr.txt").read_text()


COLUMNS = "[{name: process, type: string}, {name: n, type: count}]"


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("collect", "message"),
    [
        ("{events: agg, columns: {process: event.comm, n: event.address}}",
         "collect.events: 'agg' is a map, not a ring buffer; write map: agg"),
        ("{map: ring, columns: {process: key.comm, n: value}}",
         "collect.map: 'ring' is a ring buffer; write events: ring"),
        ("{map: each_cpu, columns: {process: key.comm, n: value}}",
         "collect.map: rows cannot be read from 'each_cpu', a PerCpuHash; use BPF_HASH"),
        ("{map: aggg, columns: {process: key.comm, n: value}}",
         "collect.map: the program has no map 'aggg'. Did you mean 'agg'?"),
        ("{map: agg, columns: {process: event.comm, n: value}}",
         "collect.columns.process: 'event.comm' must start with key or value"),
        ("{events: ring, columns: {process: event.command, n: event.address}}",
         "collect.columns.process: 'event' does not have a field 'command'. Did you mean 'comm'?"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_collected_so_is_refused(
    collect: str, message: str, tmp_path: Path
) -> None:
    """A hash as events, a ring buffer as a map, another name: with the line and the fix."""
    config = made(tmp_path, "told", COLUMNS, collect, PROGRAM.replace("SUMMED", "1"))
    assert refused(config, "told").startswith(f"categories/told.yaml:6: probe.{message}")


@pytest.mark.bpf
def test_a_number_above_the_largest_is_left_out_and_counted(tmp_path: Path) -> None:
    """A sum that no server takes costs its row, and the rest of the batch is sent."""
    collect = "{map: agg, columns: {process: key.comm, n: value}}"
    program = PROGRAM.replace("SUMMED", "~0ULL")
    with napper() as pid:
        done, rows = traced(made(tmp_path, "much", COLUMNS, collect, program), "much", pid)
    assert (done.returncode, rows) == (0, [])
    assert done.stderr.count("n: 18446744073709551615 is not from 0 to 9223372036854775807") == 1
    assert re.search(r"lost [1-9]\d* rows, a value did not fit its column", done.stderr)


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("target", "cheat"),
    [
        *(
            (target, '/* if (!ks_wanted()) return 0; */ if (0 && ks_wanted()) return 0; "KS_PID";')
            for target in ("--pid", "--tid", "--cgroup")
        ),
        ("--pid", "if (!ks_wanted() || 1) return 0;"),
        ("--pid", "if (!ks_wanted() && KS_PID < 0) return 0;"),
    ],
)
def test_a_program_without_a_filter_is_refused_a_target(
    target: str, cheat: str, tmp_path: Path
) -> None:
    """ks_wanted() in a comment, in a string, in code that never runs, or beside a condition that
    decides without it, is no filter. The message says what to write, in which functions.
    """
    program = PROGRAM.replace("SUMMED", "1").replace("if (!ks_wanted())\n        return 0;", cheat)
    collect = "{map: agg, columns: {process: key.comm, n: value}}"
    config = made(tmp_path, "deaf", COLUMNS, collect, program)
    command = ("agent", "--config", config, "deaf", target, "1" if target != "--cgroup" else "/")
    done = subprocess.run(
        kscope(*map(str, command), "--duration", "1", "--json"),
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert f"deaf.yaml:5: probe.program: {target} would not limit deaf.bpf.c: KS_" in done.stderr
    assert "functions (tracepoint__raw_syscalls__sys_enter); start each of them" in done.stderr
    assert "`if (!ks_wanted()) return 0;`, without any other condition" in done.stderr


@pytest.mark.bpf
def test_an_enum_of_a_tracepoint_needs_no_definition(tmp_path: Path) -> None:
    """As in skb:kfree_skb, whose format has no more than its name; the program may define it."""
    own = "enum skb_drop_reason { KS_OWN = 70000 };"
    body = """
struct event { u64 ns; u32 reason; };
BPF_RINGBUF_OUTPUT(events, 4);
TRACEPOINT_PROBE(skb, kfree_skb)
{
    struct event event = {};
    if (!ks_wanted())
        return 0;
    event.reason = args->reason;
    events.ringbuf_output(&event, sizeof(event), 0);
    return 0;
}
"""
    columns = "[{name: reason, type: int}]"
    collect = "{events: events, columns: {reason: event.reason}}"
    with napper() as pid:
        for program in (body, own + body):
            done, _ = traced(made(tmp_path, "drops", columns, collect, program), "drops", pid)
            assert done.returncode == 0, done.stderr


def test_a_script_that_does_not_use_the_pid_is_refused_one(tmp_path: Path) -> None:
    """KS_PID in a comment or in a string is no filter."""
    needs.program("bpftrace", "bpftrace")
    script = 'interval:ms:100 { printf("KS_PID"); /* KS_PID */ @n[comm] = count(); } // KS_PID'
    collect = "{map: n, columns: {process: key.0, n: value}}"
    said = refused(made(tmp_path, "deaf", COLUMNS, collect, script), "deaf")
    assert said.startswith("categories/deaf.yaml:5: probe.script: --pid would not limit the script")
    assert "add /KS_PID == 0 || pid == KS_PID/" in said


@pytest.mark.bpf
def test_a_program_that_is_attached_to_nothing_says_so(tmp_path: Path) -> None:
    """With the functions that it has, and how to attach one."""
    program = "int anything(void *ctx) { return 0; } BPF_HASH(agg, u32, u64);"
    collect = "{map: agg, columns: {process: key, n: value}}"
    said = refused(made(tmp_path, "idle", COLUMNS, collect, program), "idle")
    assert "idle.yaml:5: probe.program: idle.bpf.c is attached to nothing" in said
    assert "its functions are anything" in said


@pytest.mark.bpf
def test_a_script_that_is_attached_to_nothing_says_so(tmp_path: Path) -> None:
    """Where none of its places exists; BEGIN alone does not count."""
    needs.program("bpftrace", "bpftrace")
    program = sys.executable
    script = (
        f"BEGIN {{ }} uprobe:{program}:no_such_function /KS_PID == pid/ {{ @n[comm] = count(); }}"
    )
    collect = "{map: n, columns: {process: key.0, n: value}}"
    said = refused(made(tmp_path, "idle", COLUMNS, collect, script), "idle")
    assert "idle.yaml:5: probe.script: the script is attached to nothing" in said
    assert "no_such_function" in said


SCRIPT = """
interval:ms:100 {
  @n[0, 10, -2, ntop(16777343), "a,b", 18446744071578845185, 2] = count();
  @h = hist(5); @h = hist(100000000000); @alone["x"] = sum(3); @t["y"] = stats(2);
  @w[strftime("%Y", nsecs)] = count();
}
tracepoint:raw_syscalls:sys_enter /pid == KS_PID/ { @s[kstack, args->id] = count(); }
"""


@pytest.mark.bpf
def test_keys_of_bpftrace_are_of_their_column_s_type(tmp_path: Path) -> None:
    """False is false, a signal has its name, an address is one; a key alone is its only part."""
    needs.program("bpftrace", "bpftrace")
    columns = (
        "[{name: process, type: string}, {name: truth, type: bool}, {name: sig, type: label}, "
        "{name: err, type: label}, {name: host, type: ip}, {name: dev, type: string}, "
        "{name: address, type: string}, {name: user_name, type: string}, {name: number, type: int},"
        " {name: n, type: count}]"
    )
    collect = (
        "{map: n, columns: {truth: key.0, sig: {from: key.1, as: signal}, err: {from: key.2, "
        "as: errno}, host: key.3, process: key.4, address: {from: key.5, as: hex}, dev: {from: "
        "key.6, as: device}, user_name: {from: key.0, as: user}, number: key.2, n: value}}"
    )
    with napper() as pid:
        config = made(tmp_path, "parts", columns, collect, SCRIPT)
        done, rows = traced(config, "parts", pid)
    assert done.returncode == 0, done.stderr
    (row,) = rows
    assert row.pop("n") > 0
    assert row == {
        "truth": False, "sig": "SIGUSR1", "err": "ENOENT", "host": "127.0.0.1", "process": "a,b",
        "address": "0xffffffff81000001", "dev": "0:2", "user_name": "root", "number": -2,
    }  # fmt: skip


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("columns", "collect", "expected"),
    [
        ("[{name: l, type: histogram}]", "{map: h, columns: {l: value.slots}}",
         lambda row: [n > 0 for n in row["l"]] == [i in {2, 31} for i in range(32)]),
        ("[{name: a, type: string}, {name: n, type: count}]",
         "{map: alone, columns: {a: key, n: value}}",
         lambda row: row["a"] == "x" and row["n"] % 3 == 0),
        ("[{name: a, type: string}, {name: n, type: count}, {name: total, type: bytes}]",
         "{map: t, columns: {a: key.0, n: value.count, total: value.total}}",
         lambda row: row["total"] == 2 * row["n"]),
        ("[{name: s, type: stack}, {name: made, type: label}, {name: n, type: count}]",
         "{map: s, columns: {s: key.0, made: {from: key.1, as: syscall}, n: value}}",
         lambda row: "_[k]" in row["s"] and re.fullmatch("[a-z_0-9]+", row["made"])),
    ],
)  # fmt: skip
def test_values_of_bpftrace_are_what_the_script_counts(
    columns: str, collect: str, expected: Any, tmp_path: Path
) -> None:
    """Histograms by power of two up to the last bucket, statistics, stacks."""
    needs.program("bpftrace", "bpftrace")
    with napper() as pid:
        done, rows = traced(made(tmp_path, "vals", columns, collect, SCRIPT), "vals", pid)
    assert done.returncode == 0, done.stderr
    assert rows
    assert all(map(expected, rows)), rows


@pytest.mark.bpf
def test_text_that_only_the_kernel_shows_to_be_text_is_refused(tmp_path: Path) -> None:
    """A tracepoint's field has its type in tracefs: known before the script runs."""
    needs.program("bpftrace", "bpftrace")
    script = "tracepoint:sched:sched_switch /pid == KS_PID/ { @n[args->next_comm] = count(); }"
    collect = "{map: n, columns: {p: key.0, n: value}}"
    columns = "[{name: p, type: int}, {name: n, type: count}]"
    said = refused(made(tmp_path, "text", columns, collect, script), "text")
    assert said == (
        "categories/text.yaml:6: probe.collect.columns.p: 'key.0' is text; a column of type int "
        "takes a whole number\n"
    )


def category(columns: str) -> Category:
    read = read_category(f"table: t\ncolumns: {columns}\n", "t.yaml")
    assert read.category, read.problems
    return read.category


def test_a_million_rows_that_do_not_fit_are_one_line_of_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is counted; the rows between them are kept."""
    fitting, loss = (
        Fitting(category("[{name: n, type: count}, {name: h, type: histogram}]")),
        LossCounts(),
    )
    bad = [{"n": 2**63, "h": []}, {"n": -1, "h": []}, {"n": 0, "h": [2**64]}]
    kept = fitting.keep([*bad * 300_000, {"n": 1, "h": [1]}, {"n": 2**63 - 1}], loss)
    assert kept == [{"n": 1, "h": [1]}, {"n": 2**63 - 1}]
    assert loss.values == 900_000
    assert len(caplog.records) == 2


def test_an_enum_is_read_once_and_a_word_more_stays_a_number() -> None:
    """A number that the kernel has no word for is shown as it is."""
    label = category("[{name: n, type: label}]").columns[0]
    read = reader(label, Source(("key.n",), enum="skb_drop_reason"))
    assert read({"key": type("K", (), {"n": 3})}) == "SKB_DROP_REASON_NO_SOCKET"
    assert read({"key": type("K", (), {"n": 999_999})}) == "999999"


@pytest.mark.parametrize("content", [b"", b"\x9f\xeb", b"no BTF at all" * 10, None])
def test_a_kernel_without_btf_is_an_error_with_a_way_out(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing, empty or something else: list the words instead."""
    file = tmp_path / "vmlinux"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(btf, "VMLINUX", file)
    btf.enum_words.cache_clear()
    with pytest.raises(KscopeError, match="list the words under names instead"):
        btf.enum_words("skb_drop_reason")


def made_btf(enums: dict[str, tuple[bool, int, dict[str, int]]], before: bytes = b"\0") -> bytes:
    """BTF of these enums: signed or not, 32 or 64 bits, words. `before` are the kernel's strings,
    which those of a module continue.
    """
    strings, types = b"" if len(before) > 1 else before, b""

    def string(text: str) -> int:
        nonlocal strings
        at = len(strings) + (len(before) if len(before) > 1 else 0)
        strings += text.encode() + b"\0"
        return at

    for name, (signed, bits, words) in enums.items():
        kind = {32: 6, 64: 19}[bits]
        info = signed << 31 | kind << 24 | len(words)
        types += struct.pack("=III", string(name), info, bits // 8)
        for word, number in words.items():
            raw = number & ((1 << bits) - 1)
            parts = (raw,) if bits == 32 else (raw & 0xFFFFFFFF, raw >> 32)
            types += struct.pack(f"={1 + len(parts)}I", string(word), *parts)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


@pytest.fixture
def own_btf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of /sys/kernel/btf, with a kernel of one enum."""
    (tmp_path / "vmlinux").write_bytes(made_btf({"of_kernel": (False, 32, {"ONE": 1})}))
    monkeypatch.setattr(btf, "VMLINUX", tmp_path / "vmlinux")
    btf.enum_words.cache_clear()
    yield tmp_path
    btf.enum_words.cache_clear()


def test_an_enum_of_a_module_has_its_words(own_btf: Path) -> None:
    """A module's BTF continues the kernel's strings; what the kernel has itself goes first."""
    before = (own_btf / "vmlinux").read_bytes()
    strings = before[before.index(b"\0of_kernel\0") :]
    enums = {"of_kernel": (False, 32, {"OTHER": 1}), "of_module": (False, 32, {"A": 0, "B": 70})}
    (own_btf / "some_module").write_bytes(made_btf(enums, strings))
    assert btf.enum_words("of_module") == {0: "A", 70: "B"}
    assert btf.enum_words("of_kernel") == {1: "ONE"}
    with pytest.raises(KscopeError, match=r"enum 'of_modul'\..*Did you mean 'of_module'\?"):
        btf.enum_words("of_modul")
    with pytest.raises(KscopeError, match="List the words under names instead, or load its module"):
        btf.enum_words("zzz")


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("stated", [True, False])
def test_a_negative_word_is_found_whatever_the_signs_are(
    size: int, bits: int, own_btf: Path, *, stated: bool
) -> None:
    """Old kernels do not say that an enum is signed; a program's field may be unsigned."""
    number = -1 if stated else (1 << bits) - 1
    words = {"of_kernel": (stated, bits, {"BAD": number, "GOOD": 1})}
    (own_btf / "vmlinux").write_bytes(made_btf(words))
    label = category("[{name: n, type: label}]").columns[0]
    for unsigned in (False, True):
        kind = FieldType(Kind.NUMBER, "a number", size=size, unsigned=unsigned)
        read = reader(label, Source(("key.n",), enum="of_kernel"), kind)
        for given, word in ((-1, "BAD"), (1, "GOOD"), (2, "2")):
            value = given % (1 << 8 * size) if unsigned else given
            assert read({"key": type("K", (), {"n": value})}) == word


def test_no_thread_finds_the_names_of_addresses_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one of them reads the table again, the others use the last one or wait; it is read once
    for all that ask.
    """
    file = tmp_path / "kallsyms"
    file.write_text("ffffffff81000000 T first\n")
    monkeypatch.setattr(ksyms, "KALLSYMS", file)
    monkeypatch.setattr(ksyms.KernelNames, "_REREAD", -1.0)
    read = ksyms._read
    reads = []

    def slow(path: Path) -> list[tuple[int, str]]:
        reads.append(path)
        time.sleep(0.02)
        return read(path)

    monkeypatch.setattr(ksyms, "_read", slow)
    named = ksyms.KernelNames()
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(named, [7, 0xFFFFFFFF81000000] * 100))
    assert found == {"0x7", "first"}
    assert len(reads) <= 101


def test_addresses_have_names_as_the_kernel_s_own_traces_do(tmp_path: Path) -> None:
    """name+0xOFFSET; hex outside all symbols; a kernel that hides addresses is an error."""
    file = tmp_path / "kallsyms"
    file.write_text(
        "ffffffff81000100 t second\n0000000000000000 A hidden\nffffffff81000000 T first\n"
    )
    table = ksyms.Ksyms(file)
    assert table.name(0xFFFFFFFF81000000) == "first"
    assert table.name(0xFFFFFFFF8100001A) == "first+0x1a"
    assert table.name(0xFFFFFFFF81000101 - 2**64) == "second+0x1"
    assert table.name(7) == "0x7"
    file.write_text("0000000000000000 T first\n")
    with pytest.raises(KscopeError, match="does not show addresses; run as root"):
        ksyms.Ksyms(file)
    with pytest.raises(KscopeError, match="cannot be read"):
        ksyms.Ksyms(tmp_path / "none")
