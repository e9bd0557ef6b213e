"""`kscope import` of the tools' own output: the totals that a tool prints are in the database."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from kscope.readers.formats import FORMATS
from kscope.readers.reading.base import Head
from tests.commands import command
from tests.days import MOMENT, NOON_SECONDS, SPAN, TWO_DAYS
from tests.profiles.made import Making, cpu
from tests.query import tool_outputs as outputs
from tests.query.pprof_program import pprof
from tests.serving import ROOT, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands import Ran

OWN = """\
table: {table}
columns:
- {{name: what, type: string}}
- {{name: number, type: int, default: 0}}
- {{name: took, type: elapsed}}
- {{name: ok, type: bool, default: false}}
- {{name: lengths, type: histogram, unit: us, default: []}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "mine").mkdir()
    (made / "mine/own.yaml").write_text(OWN.format(table="own"))
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with serving(folder, "--categories", "builtin", "--categories", folder / "mine") as running:
        yield running


class Import:
    """Imports into a separate host, so that no other rows are counted."""

    def __init__(self, server: Serving, folder: Path, host: str) -> None:
        self.server, self.folder, self.host = server, folder, host

    def run(self, table: str, content: str | bytes, *options: str | Path) -> Ran:
        stdin = content.encode() if isinstance(content, str) else content
        categories = ("--categories", self.folder / "mine")
        given = ("import", table, "-", "--hostname", self.host, *categories, *options)
        return command(*given, "--server", self.server.ingest, stdin=stdin, folder=ROOT)

    def done(self, table: str, content: str | bytes, *options: str | Path) -> str:
        ran = self.run(table, content, *MOMENT, *options)
        assert ran.returncode == 0, ran.stderr
        return ran.stderr

    def rows(self, table: str, span: dict[str, str] = SPAN) -> list[dict[str, Any]]:
        path = f"/api/v1/rows/{table}"
        answer = self.server.get(path, **span, hostname=self.host, order="time", limit=5000)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]

    def sums(self, table: str, by: str, *values: str) -> dict[Any, Any]:
        """Return the sums of the values by a column; histograms are lists of counts."""
        sums: dict[Any, list[Any]] = defaultdict(lambda: [0] * len(values))
        for row in self.rows(table):
            for place, value in enumerate(values):
                sums[row[by]][place] += row[value]
        return {key: found[0] if len(values) == 1 else tuple(found) for key, found in sums.items()}

    def folded(self, table: str, value: str = "", **more: str) -> list[str]:
        span = SPAN | more
        path = f"/api/v1/flamegraph/{table}"
        answer = self.server.get(path, **span, hostname=self.host, value=value, format="folded")
        assert answer.status_code == 200, answer.text
        return sorted(answer.text.splitlines())


@pytest.fixture
def imported(server: Serving, folder: Path, request: pytest.FixtureRequest) -> Import:
    return Import(server, folder, request.node.name)


def _samples() -> list[tuple[str, bytes]]:
    texts = [(name, text.encode()) for name, all_ in outputs.BY_FORMAT.items() for text in all_]
    return [*texts, ("pprof", cpu({"main;a": 5}).content)]


@pytest.mark.parametrize(("name", "content"), _samples())
def test_no_format_takes_the_file_of_another(name: str, content: bytes) -> None:
    """Each output is found as its own format; only looser formats, asked later, may fit as well."""
    head = Head(content, content.decode("utf-8", "replace"), whole=True)
    fitting = [each for each in FORMATS.values() if each.matches(head)]
    first = min(fitting, key=lambda each: each.rank)
    assert first.name == name
    looser = {
        "bpftrace": {"table"},
        "bpftrace-json": {"ndjson"},
        "speedscope": {"ndjson"},
        "stacks": {"perf"},
    }
    assert {each.name for each in fitting} - {name} <= looser.get(name, set())


def test_commands_have_blanks_and_errors_have_names(imported: Import) -> None:
    """execsnoop: a name with blanks is one, the first argument is the path, -2 is ENOENT."""
    said = imported.done("execsnoop", outputs.EXECSNOOP)
    first, second = imported.rows("execsnoop")
    assert (first["process"], first["pid"], first["parent_pid"]) == ("tmux: server", 10474, 10421)
    assert (first["path"], first["arguments"]) == ("./recvtool", "./recvtool hello a b")
    assert (first["user"], first["error"], second["error"]) == ("1000", "", "ENOENT")
    assert second["process"] == "a 1"
    assert second["time"] - first["time"] == 2_250_000
    assert said == ""


def test_columns_without_a_place_are_left_out_and_named_once(imported: Import) -> None:
    """opensnoop: FD is not stored; a number that is wider than its column moves the others."""
    said = imported.done("opensnoop", outputs.OPENSNOOP)
    assert said.splitlines() == [
        "-: opensnoop has no column for FD: left out",
        "-: the recording does not have elapsed",
    ]
    found = [(row["process"], row["pid"], row["path"]) for row in imported.rows("opensnoop")]
    assert sorted(found) == [("Web Content", 1234567, "/etc/a b"), ("work", 5550, "work.tmp")]


def test_programs_in_quotes(imported: Import) -> None:
    """execsnoop -q quotes each argument; CSV has names of columns in its first line."""
    imported.done("execsnoop", 'PCOMM PID PPID RET ARGS\nsh 5 4 0 "/bin/my sh" "-c"\n')
    imported.done("execsnoop", 'process,pid,path,user,arguments\nls,6,/bin/ls,me,"a,b"\n')
    found = {row["pid"]: (row["path"], row["arguments"]) for row in imported.rows("execsnoop")}
    assert found == {5: ("/bin/my sh", '"/bin/my sh" "-c"'), 6: ("/bin/ls", "a,b")}


def test_ends_of_processes(imported: Import) -> None:
    """exitsnoop: codes, signals and core dumps; seconds become microseconds."""
    imported.done("exitsnoop", outputs.EXITSNOOP)
    columns = ("process", "code", "signal_name", "core", "elapsed")
    found = [tuple(row[name] for name in columns) for row in imported.rows("exitsnoop")]
    assert found == [
        ("cmp", 1, "", False, 10_000),
        ("sleep", 0, "SIGKILL", True, 7_310_000),
        ("true", 0, "", False, 0),
    ]


def test_signals_and_midnight(imported: Import) -> None:
    """killsnoop: numbers become names; a time of day after midnight is the next day's."""
    imported.done("killsnoop", outputs.KILLSNOOP)
    first, second = imported.rows("killsnoop")
    assert (first["signal_name"], first["result"], first["error"]) == ("SIGKILL", "delivered", "")
    assert (second["signal_name"], second["result"], second["error"]) == ("", "failed", "ESRCH")
    assert second["time"] - first["time"] == 20_000_000


def test_units_of_a_header(imported: Import) -> None:
    """biosnoop: milliseconds become microseconds; TIME(s) is when."""
    imported.done("biosnoop", outputs.BIOSNOOP)
    columns = ("device", "operation", "bytes", "queued", "elapsed")
    found = [tuple(row[name] for name in columns) for row in imported.rows("biosnoop")]
    assert found == [("vda", "write", 4096, 10, 250), ("vdb", "read", 8192, 20, 1250)]


def test_a_unit_for_a_header_without_one(imported: Import) -> None:
    """Sizes keep theirs."""
    output = "COMM PID DISK BYTES LAT QUE(us)\na 1 vda 512 5 7\n"
    imported.done("biosnoop", output, "--unit", "ms")
    (row,) = imported.rows("biosnoop")
    assert (row["bytes"], row["elapsed"], row["queued"]) == (512, 5000, 7)


@pytest.mark.parametrize("output", [outputs.TCPLIFE, outputs.TCPLIFE_CSV], ids=["text", "commas"])
def test_connections(imported: Import, output: str) -> None:
    """tcplife, also with -s: kilobytes become bytes, milliseconds microseconds."""
    imported.done("tcplife", output)
    rows = sorted(imported.rows("tcplife"), key=lambda row: row["pid"])
    found = [tuple(row[name] for name in ("sent", "received", "elapsed")) for row in rows]
    assert found == ([(0, 3072, 380)] if "," in output else [(0, 0, 230), (2048, 1024, 1790)])
    assert rows[-1]["local_address"] == ("127.0.0.1" if "," in output else "10.66.3.172")


def test_addresses_with_ports(imported: Import) -> None:
    """tcpretrans: the last colon divides them, also of IPv6."""
    imported.done("tcpretrans", outputs.TCPRETRANS)
    found = [
        tuple(row[f"{side}_{part}"] for side in ("local", "remote") for part in ("address", "port"))
        for row in imported.rows("tcpretrans")
    ]
    assert found == [
        ("10.153.223.157", 22, "69.53.245.40", 34619),
        ("fe80::1", 22, "fe80::2", 34619),
    ]
    assert {row["state"] for row in imported.rows("tcpretrans")} == {"established", "syn_sent"}


def test_counts_of_intervals_add_up(imported: Import) -> None:
    """syscount: headers come again, each with its time; a header's unit may follow a blank."""
    imported.done("syscalls", outputs.SYSCOUNT)
    assert imported.sums("syscalls", "syscall", "count", "elapsed") == {
        "clock_nanosleep": (559, 995_146),
        "openat": (320, 12),
    }
    assert len({row["time"] for row in imported.rows("syscalls")}) == 2


def test_counts_of_processes(imported: Import) -> None:
    """syscount -P -L -m: numbers that are wider than their header stay numbers."""
    imported.done("syscalls", outputs.SYSCOUNT_PROCESSES)
    sums = imported.sums("syscalls", "process", "count", "elapsed")
    assert sums == {"work": (1342, 1500), "a b": (12_345_678, 2000)}


def test_a_first_row_before_its_header(imported: Import) -> None:
    """In a pipe some tools write their first row, or its beginning, before the header."""
    said = imported.done("syscalls", outputs.SYSCOUNT_PIPED)
    said += imported.done("opensnoop", outputs.OPENSNOOP_PIPED)
    said += imported.done("wakeuptime", outputs.WAKEUPTIME_PIPED)
    sums = imported.sums("syscalls", "syscall", "count")
    assert sums == {"clock_nanosleep": 320, "openat": 163}
    first, second = imported.rows("opensnoop")
    assert (first["path"], second["path"]) == ("work.tmp", "b")
    assert second["time"] - first["time"] == 1_500_000
    assert imported.sums("wakeuptime", "target", "elapsed") == {"work": 57, "other": 5}
    assert "skipped" not in said


def test_interrupts(imported: Import) -> None:
    """softirqs and hardirqs: TOTAL_usecs is the time."""
    imported.done("softirqs", outputs.SOFTIRQS)
    imported.done("hardirqs", outputs.HARDIRQS)
    assert imported.sums("softirqs", "softirq", "elapsed") == {"rcu": 28, "sched": 49}
    assert imported.sums("hardirqs", "device", "elapsed") == {
        "virtio3-tx": 12,
        "virtio1-req.0": 1212,
    }


def test_kills_for_memory(imported: Import) -> None:
    """oomkill prints sentences."""
    imported.done("oomkill", outputs.OOMKILL)
    (row,) = imported.rows("oomkill")
    assert (row["process"], row["pid"]) == ("perl x", 22516)
    assert (row["trigger_process"], row["trigger_pid"]) == ("ntpd", 3297)


def test_a_table_of_ones_own(imported: Import) -> None:
    """A header names the columns of any data type, in any case and with units; bad rows are
    skipped and counted.
    """
    text = "what,Number,took_ms,other,ok\na b,1,2.5,x,true\nc,2,0.001,y,false\nd,no,1,z,true\n"
    said = imported.done("own", text)
    found = [(row["what"], row["number"], row["took"], row["ok"]) for row in imported.rows("own")]
    assert sorted(found) == [("a b", 1, 2500, True), ("c", 2, 1, False)]
    assert "own has no column for other: left out" in said
    assert "1 line skipped: 'no' does not fit the column Number (the first is line 4)" in said


def test_histograms_of_disks_and_intervals(imported: Import) -> None:
    """biolatency -D -T: a row for each disk and interval, and the number of its events."""
    said = imported.done("biolatency", outputs.BIOLATENCY_DISKS)
    found = [(row["device"], row["latency"], row["count"]) for row in imported.rows("biolatency")]
    assert sorted(found) == [
        ("vda", [1], 1),
        ("vda", [3, 0, 5], 8),
        ("vdb", [0, 0, 0, 0, 0, 0, 0, 2], 2),
    ]
    assert said == "-: the recording does not have elapsed, bytes\n"


def test_histograms_in_milliseconds(imported: Import) -> None:
    """biolatency -m -F -e: buckets move by a thousand as 2**10; the total is the time."""
    said = imported.done("biolatency", outputs.BIOLATENCY_FLAGS)
    rows = {row["operation"]: row for row in imported.rows("biolatency") if row["count"]}
    assert rows["read"]["latency"] == [0] * 10 + [88, 2]
    assert rows["flush"]["latency"] == [0] * 12 + [1]
    assert sum(row["elapsed"] for row in imported.rows("biolatency")) == 450_000
    assert sum(row["count"] for row in imported.rows("biolatency")) == 91
    assert "which are off by 2.4 % for each thousand" in said


@pytest.mark.parametrize("name", ["work", "b'work'", "'work'"])
def test_histograms_of_processes(imported: Import, name: str) -> None:
    """runqlat -P names the process behind its number; older ones in quotes."""
    imported.done("runqlat", outputs.RUNQLAT.replace("work", name))
    (row,) = imported.rows("runqlat")
    assert (row["process"], row["pid"], row["latency"]) == ("work", 833, [120, 99])


def test_plain_stacks_of_threads(imported: Import) -> None:
    """offcputime: the tracer's own frames are left out, the kernel's are marked by its entry, and
    the number is a thread's.
    """
    imported.done("offcputime", outputs.OFFCPUTIME)
    assert imported.folded("offcputime") == [
        (
            "io worker;main;clock_nanosleep;entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];"
            "__x64_sys_clock_nanosleep_[k];do_nanosleep_[k];schedule_[k];__schedule_[k] 1631628"
        ),
        (
            "kworker/0:1;ret_from_fork_asm_[k];kthread_[k];worker_thread_[k];schedule_[k];"
            "__schedule_[k] 20"
        ),
    ]
    assert {(row["pid"], row["tid"]) for row in imported.rows("offcputime")} == {(0, 5550), (0, 12)}


def test_plain_stacks_of_samples(imported: Import) -> None:
    """profile -d: the delimiter divides kernel and program, the number is a process's."""
    imported.done("profile", outputs.PROFILE_DELIMITED, "--frequency", "50")
    assert imported.folded("profile", "samples") == [
        "work;[Missed User Stack] 1",
        "work;main;read;do_syscall_64_[k];vfs_read_[k] 3",
    ]
    assert sum(row["elapsed"] for row in imported.rows("profile")) == 80_000
    assert {(row["pid"], row["tid"]) for row in imported.rows("profile")} == {(6177, 0)}


def test_plain_stacks_of_other_releases(imported: Import) -> None:
    """Python 3 with an older bcc prints bytes; profile names its rate; libbpf-tools name files."""
    said = imported.done("profile", outputs.PROFILE_BYTES)
    assert imported.folded("profile", "samples") == [
        "swapper/1;secondary_startup_64_[k];default_idle_[k] 71",
        "work;main;read [libc.so.6];entry_SYSCALL_64_[k];vfs_read_[k] 27",
    ]
    assert sum(row["elapsed"] for row in imported.rows("profile")) == 2_000_000
    assert "is not known" not in said
    said = imported.done("profile", "a;b 250\nc;d 4\n")
    assert "the time of 254 samples is not known" in said


def test_counted_stacks(imported: Import) -> None:
    """stackcount: offsets go, and a process stands before the number, if at all."""
    imported.done("profile", outputs.STACKCOUNT, "--value", "samples")
    assert imported.folded("profile", "samples") == [
        "[unknown];schedule 5",
        "work;main;schedule_[k];__schedule_[k] 312",
    ]


def test_stacks_of_wakers(imported: Import) -> None:
    """wakeuptime: whichever end is printed first; the tracer's frames are left out."""
    imported.done("wakeuptime", outputs.WAKEUPTIME)
    imported.done("wakeuptime", outputs.WAKEUPTIME_TURNED)
    stack = "entry_SYSCALL_64_after_hwframe_[k];try_to_wake_up_[k]"
    assert imported.folded("wakeuptime") == [f"work;{stack} 100"]
    assert {row["process"] for row in imported.rows("wakeuptime")} == {"python3"}


def test_stacks_of_sleepers_and_wakers(imported: Import) -> None:
    """offwaketime: the waker's frames are upside down behind --, as our probe stores them."""
    imported.done("offwaketime", outputs.OFFWAKETIME)
    assert imported.folded("offwaketime") == [
        (
            "bash;main;read;entry_SYSCALL_64_after_hwframe_[k];schedule_[k];--;try_to_wake_up_[k];"
            "entry_SYSCALL_64_after_hwframe_[k];wake;start 557"
        )
    ]
    assert {row["waker"] for row in imported.rows("offwaketime")} == {"sshd"}


@pytest.mark.parametrize("output", [outputs.MAP_STACKS, outputs.JSON_STACKS], ids=["text", "json"])
def test_maps_of_stacks(imported: Import, output: str) -> None:
    """bpftrace: the kernel's frames are innermost, an empty stack has none, and a name with a
    comma is one where --keys says how many there are.
    """
    keys = ("--event", "both", "--keys", "kstack,ustack,pid,comm")
    imported.done("profile", output, *keys, "--frequency", "10")
    assert imported.folded("profile", "samples") == [
        "work, er;main;__GI_fsync;entry_SYSCALL_64_after_hwframe_[k];vfs_fsync_[k] 2",
        "work, er;main;hot 23",
    ]
    assert sum(row["elapsed"] for row in imported.rows("profile")) == 2_500_000
    assert {row["pid"] for row in imported.rows("profile")} == {5084}


def test_a_map_is_chosen_and_the_others_are_named(imported: Import) -> None:
    """Without --event it is the first that fits."""
    said = imported.done("profile", outputs.MAP_STACKS, "--keys", "kstack")
    assert imported.folded("profile", "samples") == ["[unknown] 26", "[unknown];vfs_fsync_[k] 2"]
    assert "--frequency" in said
    said = imported.run("profile", outputs.MAP_STACKS, "--event", "@none").stderr
    assert "--event @none: the recording has no such map; it has @both, @k, @start" in said


@pytest.mark.parametrize(
    "output", [outputs.MAP_HISTOGRAM, outputs.JSON_HISTOGRAM], ids=["text", "json"]
)
def test_maps_of_histograms(imported: Import, output: str) -> None:
    """hist() becomes slots; the largest bucket of bpftrace 0.17 is open; below 0 is left out."""
    said = imported.done("runqlat", output, "--event", "@us", "--keys", "comm,-")
    rows = {row["process"]: row for row in imported.rows("runqlat")}
    assert rows["work"]["latency"] == [3, 280] + [0] * 8 + [5] + [0] * 20 + [1]
    assert rows["idle"]["latency"] == [0, 0, 0, 240]
    assert (rows["work"]["count"], rows["idle"]["count"]) == (289, 240)
    assert "1 values below 0 are left out of a histogram" in said
    assert "bpftrace up to 0.17 counts all values from 2147483648 on as one bucket" in said
    refused = imported.run("runqlat", output, "--event", "l")
    assert "the bucket from 0 to 1999 does not fit between two powers of two" in refused.stderr


def test_warnings_before_json(imported: Import) -> None:
    """They are skipped and counted; a module's name gives way to the kernel's mark."""
    key = "\\n        btrfs_sync+1 [btrfs]\\n        entry_SYSCALL_64+2\\n,work"
    warning = "stdin:1:1-20: WARNING: probe\n@ = count()\n~~~~\nAttaching 1 probe...\n"
    data = f'{{"type": "map", "data": {{"@": {{"{key}": 5}}}}}}\n'
    said = imported.done("profile", warning + data)
    assert "4 lines skipped: is not a JSON object" in said
    assert imported.folded("profile", "samples") == ["work;entry_SYSCALL_64_[k];btrfs_sync_[k] 5"]


def test_the_first_frame_of_wakers(imported: Import) -> None:
    """A user reads which column it fills, and names another."""
    said = imported.done("wakeuptime", "irq;wake_up 7\n")
    assert "the first frame is taken as target; name another with --root" in said
    said = imported.done("wakeuptime", "irq;wake_up 8\n", "--root", "process")
    assert "first frame" not in said
    assert imported.sums("wakeuptime", "target", "elapsed") == {"irq": 7, "": 8}


def test_linear_histograms_that_fit(imported: Import) -> None:
    """lhist(n, 0, 4, 1) has a bucket for each number."""
    output = "@n: \n[0, 1)   1 |@@|\n[1, 2)   2 |@@|\n[2, 3)   3 |@@|\n[3, 4)   4 |@@|\n"
    imported.done("runqlat", output)
    assert [row["latency"] for row in imported.rows("runqlat")] == [[3, 7]]


@pytest.mark.parametrize("output", [outputs.MAP_STATS, outputs.JSON_STATS], ids=["text", "json"])
def test_maps_of_stats(imported: Import, output: str) -> None:
    """stats() has counts and totals; a list cannot be added up."""
    imported.done("syscalls", output, "--event", "st")
    sums = imported.sums("syscalls", "process", "count", "elapsed")
    assert sums == {"work": (162, 486), "a b": (2, 10)}
    refused = imported.run("syscalls", output, "--event", "z").stderr
    assert "@z holds lists, which cannot be added up" in refused
    if output is outputs.JSON_STATS:
        refused = imported.run("syscalls", output, "--event", "a").stderr
        assert "@a: an average cannot be added up: print stats() or sum()" in refused


@pytest.mark.parametrize("separator", [", ", ","], ids=["text", "json"])
def test_keys_that_are_tuples(imported: Import, separator: str) -> None:
    """Their brackets are no text, those of a name are; parts of a microsecond add up."""
    entries = {f"(a{separator}(sd-pam))": 700, f"(read{separator}work)": 900, "b,(c)": 400}
    if separator == ",":
        output = json.dumps({"type": "map", "data": {"@": entries}})
    else:
        output = "".join(f"@[{key}]: {number}\n" for key, number in entries.items())
    imported.done("syscalls", output.replace("b,(c)", f"b{separator}(c)"), "--unit", "ns")
    sums = imported.sums("syscalls", "process", "elapsed")
    assert sums.keys() == {"a", "read", "b"}
    assert sum(sums.values()) == 2
    assert imported.sums("syscalls", "syscall", "count").keys() == {"(sd-pam)", "work", "(c)"}


def test_maps_that_are_printed_again(imported: Import) -> None:
    """A map that its script clears is not printed at the exit: its numbers are increases. Those of
    the others are totals, unless the user knows better.
    """
    imported.done("syscalls", outputs.MAP_INTERVALS, "--event", "@cleared")
    said = imported.done("syscalls", outputs.MAP_INTERVALS, "--event", "@kept")
    assert "@kept is printed several times and never falls" in said
    assert imported.sums("syscalls", "process", "count") == {"work": 14 + 8, "idle": 19}
    options = ("--event", "@kept", "--printed", "increases", "--set", "process=said")
    imported.done("syscalls", outputs.MAP_INTERVALS, *options)
    assert imported.sums("syscalls", "process", "count")["said"] == 6 + 9 + 7 + 19 + 8 + 19


def test_rows_that_a_script_prints(imported: Import) -> None:
    """As JSON, in several pieces, or as a table below a header."""
    said = imported.done("execsnoop", outputs.JSON_ROWS)
    assert sorted(row["path"] for row in imported.rows("execsnoop")) == ["/bin/x", "y"]
    imported.done("execsnoop", outputs.PRINTED_TABLE)
    rows = [row for row in imported.rows("execsnoop") if row["arguments"]]
    assert [(row["pid"], row["path"]) for row in rows] == [(10, "ls"), (12, "x")]
    assert rows[1]["time"] - rows[0]["time"] == 1_500_000
    assert said == ""
    imported.done("execsnoop", outputs.JSON_TABLE)
    rows = [row for row in imported.rows("execsnoop") if row["pid"] in (13967, 13968)]
    assert [(row["process"], row["arguments"]) for row in rows] == [
        ("bash x", "ls -l a"),
        ("sh", "x"),
    ]
    assert rows[1]["time"] - rows[0]["time"] == 2_000_000


def test_a_speedscope_file(imported: Import) -> None:
    """Sampled and evented profiles of one unit are read, a name chooses one; --root takes the
    first frame.
    """
    said = imported.done("profile", "\ufeff" + outputs.SPEEDSCOPE)
    assert imported.folded("profile", "elapsed") == [
        "[unknown];main 770000",
        "[unknown];main;work 290000",
    ]
    assert "profiles in other units than seconds are left out: memory" in said
    imported.done("offcputime", outputs.SPEEDSCOPE, "--event", "thread 1", "--root", "process")
    assert imported.folded("offcputime") == ["main 20000", "main;work 40000"]
    refused = imported.run("profile", outputs.SPEEDSCOPE, "--event", "x").stderr
    assert "has no profile 'x'; it has thread 1, thread 2, memory" in refused


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        (
            '{"type": "sampled", "name": "a", "unit": "none", "samples": [[7]], "weights": [1]}',
            "-:1: refers to frame 7 of 1",
        ),
        (
            '{"type": "sampled", "name": "a", "unit": "none", "samples": [[0]], "weights": [1, 2]}',
            "-:1: has 1 samples and 2 weights",
        ),
        (
            '{"type": "sampled", "name": "a", "unit": "none", "samples": [[0]], "weights": [-1]}',
            "-:1: has a weight below 0",
        ),
        (
            (
                '{"type": "evented", "name": "a", "unit": "none", "events":'
                ' [{"type": "C", "frame": 0, "at": 1}]}'
            ),
            "-:1: ends frame 0 at 1 where another one runs",
        ),
        (
            (
                '{"type": "evented", "name": "a", "unit": "none", "events":'
                ' [{"type": "O", "frame": 0, "at": 1}, {"type": "C", "frame": 0, "at": 0}]}'
            ),
            "-:1: has events whose times fall, at 0",
        ),
        ('{"type": "other"}', "-:1: is not speedscope's JSON"),
    ],
    ids=["frame", "weights", "negative", "end", "times", "type"],
)
def test_a_broken_speedscope_file(imported: Import, profiles: str, said: str) -> None:
    """The message says what is wrong."""
    text = f'{{"shared": {{"frames": [{{"name": "main"}}]}}, "profiles": [{profiles}]}}'
    assert said in imported.run("profile", text).stderr


def test_a_pprof_profile(imported: Import) -> None:
    """Its times are its own; labels name the process; the time between samples counts them."""
    made = cpu({"main;a;b": 20_000_000, "main;c": 5_000_000}, pid=12, comm="app")
    made.sample([1], 0)
    made.message.time_nanos = NOON_SECONDS * 10**9
    made.message.duration_nanos = 5 * 10**9
    for content in (made.content, gzip.compress(made.content)):
        imported.done("profile", content)
    assert imported.folded("profile", "elapsed") == ["app;main;a;b 20000", "app;main;c 5000"]
    assert sum(row["samples"] for row in imported.rows("profile")) == 2
    assert {(row["pid"], row["time"]) for row in imported.rows("profile")} == {
        (12, (NOON_SECONDS + 5) * 10**6)
    }


def test_a_profile_of_several_sample_types(imported: Import) -> None:
    """The default one of the wanted unit is read, or the one that is named."""
    made = Making()
    made.types(("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_space", "bytes"))
    made.message.default_sample_type = made.text("inuse_space")
    made.sample([made.location("main")], 2, 2048, 1024)
    said = imported.done("profile", made.content, "--value", "samples")
    assert imported.folded("profile", "samples") == ["[unknown];main 2"]
    refused = imported.run("profile", made.content, "--event", "wall").stderr
    assert "has no sample type 'wall'; it has alloc_objects/count, alloc_space/bytes" in refused
    assert "inuse" not in said


def test_a_profile_that_perf_data_converter_made(imported: Import) -> None:
    """Its samples and their events are both counts: the samples are kept."""
    making = Making()
    making.types(("cycles_sample", "count"), ("cycles_event", "count"))
    making.message.period_type.type = making.text("cycles")
    making.message.period_type.unit = making.text("count")
    making.message.period = 1000
    making.sample([making.location("read"), making.location("main")], 5, 5000, comm="app", pid=7)
    imported.done("profile", making.content, "--frequency", "100")
    assert imported.folded("profile", "samples", **TWO_DAYS) == ["app;main;read 5"]


def test_a_profile_that_pprof_wrote(imported: Import, tmp_path: Path) -> None:
    """`pprof -proto` reads our export and writes another one with the same totals."""
    imported.done("offcputime", "app;main;read 300\nother;x 7\n")
    path = "/api/v1/flamegraph/offcputime"
    content = imported.server.get(path, **SPAN, hostname=imported.host, format="pprof").content
    ours, theirs = tmp_path / "ours.pb.gz", tmp_path / "theirs.pb.gz"
    ours.write_bytes(content)
    pprof(ours, "-proto", "-output", str(theirs))
    imported.host += " back"
    imported.done("offcputime", theirs.read_bytes(), "--set", "pid=1")
    assert imported.folded("offcputime", **TWO_DAYS) == ["app;main;read 300", "other;x 7"]


@pytest.mark.parametrize("form", ["pprof", "speedscope"])
def test_our_own_exports_come_back(imported: Import, form: str) -> None:
    """With the process where it was."""
    imported.done("offcputime", "app;main;read 300\nother;x 7\n")
    path = "/api/v1/flamegraph/offcputime"
    content = imported.server.get(path, **SPAN, hostname=imported.host, format=form).content
    imported.host += " back"
    imported.done("offcputime", content)
    assert imported.folded("offcputime", **TWO_DAYS) == ["app;main;read 300", "other;x 7"]


@pytest.mark.parametrize(
    ("table", "content", "options", "said"),
    [
        ("marker", outputs.RUNQLAT, (), "marker has no histogram column to import histograms"),
        ("profile", outputs.MAP_STATS, (), "no map and no printed line fits profile"),
        ("profile", outputs.MAP_STACKS, ("--keys", "x"), "--keys x: profile has no such column"),
        ("profile", outputs.MAP_STACKS, ("--keys", "tid,tid,stack"), "names a column twice"),
        ("execsnoop", "a b c\n1 2 3\n", ("--format", "table"), "-:1: no line names columns of"),
        ("runqlat", '{"type": "tseries", "data": {"@": [1]}}', (), "@ holds time series"),
        ("runqlat", '{"type": "map", "data": {"@": {"a": 1.5}}}', (), "@ holds fractions"),
        ("biolatency", "PID COMM ARGS\n1 sh sh\n", (), "-:1: no line names columns of biolatency"),
        ("softirqs", outputs.EXECSNOOP, (), "-:1: no line names columns of softirqs"),
        ("syscalls", "@a[x, y]: 1\n@a[z]: 2\n", (), "has entries of 2 and of 1 keys"),
        ("syscalls", "@a[x, y, z]: 1\n", ("--keys", "comm,syscall"), "is divided like two"),
        ("syscalls", "@a[x]: 1\n", ("--keys", "pid"), "'x' is not a number, as pid is"),
        ("offcputime", b"\x0a\x04\x08\x01\x10\x02\x0a\xff", (), "-:1: is not a pprof profile"),
    ],
)
def test_a_mistake_is_named(
    imported: Import, table: str, content: str | bytes, options: tuple[str, ...], said: str
) -> None:
    """The message has the fault and its place; nothing is stored."""
    ran = imported.run(table, content, *MOMENT, *options)
    assert ran.returncode != 0
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert imported.rows(table) == []


_FLOODS = {
    "columns": ("table", "execsnoop", "PID " * 100_000 + "\n1\n", "no line names columns"),
    "blanks": ("table", "execsnoop", "a" + " " * 1_000_000 + "b\n", "no line names columns"),
    "words": (
        "table",
        "execsnoop",
        outputs.EXECSNOOP + ("a " * 500_000 + "\n") * 3,
        "3 lines skipped",
    ),
    "number": (
        "table",
        "biosnoop",
        "PID,BYTES,LAT(ms)\n1,1e999999999,2\n1," + "9" * 100_000 + ",2\n",
        "has no rows",
    ),
    "frames": ("stacks", "offcputime", "    main\n" * 100_000 + "   5\n", "more than 10000"),
    "buckets": (
        "histogram",
        "runqlat",
        "     usecs : count distribution\n" + "  0 -> 1 : 1 |*|\n" * 10_000,
        "more than 2000 buckets",
    ),
    "section": (
        "histogram",
        "runqlat",
        outputs.RUNQLAT + "a = x" + " " * 1_000_000 + "y\n",
        "1 line skipped",
    ),
    "key": (
        "bpftrace",
        "syscalls",
        "@a[\n" + ("x" * 4000 + "\n") * 300 + "@b: 1\n",
        "key of more than 1 MiB",
    ),
    "keys": ("bpftrace", "syscalls", "@a[" + "1, " * 100_000 + "]: 1\n", "more than 50 keys"),
    "maps": ("bpftrace", "syscalls", "".join(f"@a{n}: 1\n" for n in range(2000)), "more than 1000"),
    "piece": (
        "bpftrace-json",
        "syscalls",
        '{"type": "printf", "data": "' + "x" * 3_000_000 + '"}\n{"type": "map", "data": {"@a": 1}}',
        "a text of more than 1 MiB",
    ),
    "deep": (
        "bpftrace-json",
        "syscalls",
        '{"type": "map", "data": ' + "[" * 100_000 + '\n{"type": "map", "data": {"@a": 1}}',
        "1 line skipped: is not a JSON object",
    ),
    "scope": (
        "speedscope",
        "profile",
        (
            '{"shared": {"frames": [{"name": "a"}]}, "profiles": [{"type": "sampled", "name": "a",'
            f' "unit": "none", "samples": [[{"0," * 50_000}0]]}}]}}'
        ),
        "more than 10000 frames",
    ),
    "profile": ("pprof", "profile", "\x0a\x04\x08\x01" * 100_000, "more than 100 sample types"),
}


@pytest.mark.parametrize("name", [*_FLOODS])
def test_a_flood_ends_with_a_sentence(imported: Import, name: str) -> None:
    """Columns, keys, frames, digits and depths have bounds."""
    form, table, content, said = _FLOODS[name]
    ran = imported.run(table, content, *MOMENT, "--format", form)
    assert "Traceback" not in ran.stderr
    assert said in ran.stderr
