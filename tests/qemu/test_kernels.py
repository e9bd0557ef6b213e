"""The agent and all its probes on Debian's kernels, which have features that this one may not have.

Each kernel is booted once: the workload with the agent beside it, then probe after probe. On the
kernel of Debian 12, whose tools of bcc are installed, those that need kprobes follow, changed as
docs/bcc-tools.md changes them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from tests import bcc_tools
from tests.e2e.waits import assert_waits
from tests.qemu import guest, kernel
from tests.serving import ROOT, serving
from tests.workloads import compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.serving import Serving

SERIES = ("6.1", "6.12")
JOB = Path(__file__).with_name("job.sh")
# Each probe, and what it looks at. offcputime runs in the agent, through the kprobe; here, without.
ACTIONS = {
    "offcputime-": "calls",
    "profile": "packets",
    "wakeuptime": "calls",
    "offwaketime": "calls",
    "runqlat": "calls",
    "pagefaults": "programs",
    "syscalls": "calls",
    "softirqs": "packets",
    "hardirqs": "interrupts",
    "biolatency": "reads",
    "biosnoop": "reads",
    "opensnoop": "opens",
    "execsnoop": "programs",
    "exitsnoop": "ends",
    "killsnoop": "signals",
    "oomkill": "hunger",
    "tcplife": "connections",
    "tcpretrans": "lossy",
}
# Not one that Kernelscope ships: tests/qemu/tied.
ALL_ACTIONS = {**ACTIONS, "tied": "calls"}
# Where tools of bcc are run, with the name of that host in their rows.
TOOLS_ON, TOOLS_HOST = "6.1", "tools-6.1"
TABLES = {"biolatency": "disk_latency", "execsnoop": "execsnoop", "offcputime": "offcputime"}
TOOLS = {"biolatency": "reads", "execsnoop": "programs", "offcputime": "calls"}

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(2100),  # the first run downloads the kernels and makes the image
]


@dataclass(frozen=True)
class Booted:
    """The output of one guest, and its rows on the server."""

    outcome: guest.Outcome
    graph: Any
    logged: Mapping[str, Any]

    def told(self, probe: str) -> Any:
        (line,) = self.outcome.lines(probe)
        return json.loads(line)

    def tool(self, name: str) -> Any:
        """The record of a tool of bcc, which attached, and which an interrupt ended."""
        told = self.told(f"tool-{name}")
        assert (told["attached"], told["hung"]) == (True, ""), told
        return told


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Booted]:
    """Both kernels at once: each guest has one processor, emulated."""
    kernels = {series: kernel.fetch(series) for series in SERIES}
    folders = {series: tmp_path_factory.mktemp(series) for series in SERIES}
    files = {name: ROOT / name for name in ("kscope", "categories", "probes")}
    files["tied"] = ROOT / "tests/qemu/tied"
    files["waiter"] = compiled("waiter.c", folders[SERIES[0]])
    files["probes.py"] = ROOT / "tests/qemu/probes.py"
    files["actions/actions.py"] = ROOT / "tests/probes/actions.py"

    def boot(series: str) -> guest.Outcome:
        folder, has_tools = folders[series], series == TOOLS_ON
        job = _job(server, f"debian-{series}", TOOLS if has_tools else {})
        more = _tools(folder, _seen_by_guests(server)) if has_tools else {}
        return guest.run(kernels[series], job, {**files, **more}, folder, 1800)

    types = bcc_tools.categories(tmp_path_factory.mktemp("types"))
    with (
        serving(tmp_path_factory.mktemp("server"), "--categories", types) as server,
        ThreadPoolExecutor() as pool,
    ):
        outcomes = dict(zip(SERIES, pool.map(boot, SERIES), strict=True))
        return {
            series: Booted(
                outcome,
                server.get("/api/v1/flamegraph/offcputime", hostname=f"debian-{series}").json(),
                {tool: _rows(server, table) for tool, table in TABLES.items()},
            )
            for series, outcome in outcomes.items()
        }


def _job(server: Serving, host: str, tools: Mapping[str, str]) -> str:
    names = {"pairs": _pairs(ALL_ACTIONS), "tools": _pairs(tools)}
    names |= {"server": _seen_by_guests(server), "host": host}
    return "".join(f"{name}='{text}'\n" for name, text in names.items()) + JOB.read_text()


def _pairs(actions: Mapping[str, str]) -> str:
    return " ".join(f"{name}={action}" for name, action in actions.items())


def _seen_by_guests(server: Serving) -> str:
    return f"http://10.0.2.2:{server.ingest.rpartition(':')[2]}"


def _tools(folder: Path, server: str) -> dict[str, Path]:
    """Return the files that the tools need in the guest."""
    (folder / "tools").mkdir()
    for tool in TOOLS:
        bcc_tools.changed(tool, folder / "tools", server)
    return {
        "tools": folder / "tools",
        "tools.py": ROOT / "tests/qemu/tools.py",
        "bcc_headers.py": ROOT / "tests/bcc_headers.py",
    }


def _rows(server: Serving, table: str) -> list[dict[str, Any]]:
    """Return the rows that a tool logged, the first one first."""
    asked = {"from": "now-1h", "limit": 1000, "hostname": TOOLS_HOST}
    said = server.get(f"/api/v1/rows/{table}", **asked).raise_for_status().json()
    return [dict(zip(said["columns"], row, strict=True)) for row in reversed(said["rows"])]


@pytest.mark.parametrize("series", SERIES)
def test_off_cpu_time_through_the_kprobe(series: str, guests: Mapping[str, Booted]) -> None:
    """Booted, traced through finish_task_switch, sent over the network, shown with true times."""
    booted = guests[series]
    outcome = booted.outcome
    assert outcome.exit_code == 0, outcome.console
    assert outcome.lines("up")[0].split()[1].startswith(f"{series}.")
    assert any("finish_task_switch" in line for line in outcome.lines("kprobe"))
    assert_waits(booted.graph, json.loads(outcome.lines("truth")[0]))


def test_every_probe_is_tried() -> None:
    """A probe that is added is run on these kernels too."""
    probes = {category.table for category in load_catalog() if category.probe}
    assert {name.removesuffix("-") for name in ACTIONS} == probes


@pytest.mark.parametrize("probe", ALL_ACTIONS)
@pytest.mark.parametrize("series", SERIES)
def test_a_probe_loads_and_sees(series: str, probe: str, guests: Mapping[str, Booted]) -> None:
    """It attaches, its verifier permitting, and has rows of what was done under its eyes."""
    told = guests[series].told(probe)
    assert "error" not in told, told["error"]
    assert told["rows"]
    # Other programs can interrupt ours, and a thread that is sampled in code that keeps no
    # frame pointer, as libc and Python do not, may seem to be without end.
    elsewhere = {"runs", "stacks_truncated", "frames", "frames_unknown"}
    assert {n: count for n, count in told["lost"].items() if count and n not in elsewhere} == {}


@pytest.mark.parametrize("series", SERIES)
def test_each_kind_of_program_sees_whole_stacks(series: str, guests: Mapping[str, Booted]) -> None:
    """kprobe__, kretprobe__, kfunc__, kretfunc__ and raw_tracepoint__, all in one program."""
    rows = guests[series].told("tied")["rows"]
    naps = [row for row in rows if "calls actions.py" in row["stack"]]
    assert {row["kind"] for row in naps} == {1, 2, 3, 4, 5}
    assert all(row["stack"].startswith("_start;") for row in naps)
    leaves = {row["stack"].rpartition(";")[2] for row in naps}
    assert not any(leaf.startswith("bpf_trampoline") for leaf in leaves), leaves


@pytest.mark.parametrize("series", SERIES)
def test_rows_are_true_on_older_kernels(series: str, guests: Mapping[str, Booted]) -> None:
    """Sleeps, calls, programs, requests, a kill and retransmissions are as true as on a new one."""
    booted = guests[series]
    slept = booted.told("offcputime-")
    blocked = [row for row in slept["rows"] if row["reason"] == "blocked"]
    naps = [row for row in blocked if "nanosleep" in row["stack"]]
    # The engine naps itself: while it waits for the end of the interval, and before it drains.
    assert sum(row["count"] for row in naps) in {10, 11, 12}
    assert sum(row["elapsed"] for row in naps) >= slept["truth"]["slept_us"] * 0.9

    (getppid,) = (r for r in booted.told("syscalls")["rows"] if r["syscall"] == "getppid")
    assert getppid["count"] == 500

    programs = booted.told("execsnoop")["rows"]
    assert [row["path"] for row in programs][0::2] == ["/bin/true", "/bin/sleep", "/bin/true"]
    assert [row["error"] for row in programs] == ["", "", "", "ENOENT", ""]

    snooped = booted.told("biosnoop")
    there = range(*_bounds(snooped["truth"]["sectors"]))
    reads = [row for row in snooped["rows"] if row["operation"] == "read"]
    assert sum(row["bytes"] for row in reads if row["sector"] in there) == 50 * 64 * 1024

    (killed,) = booted.told("oomkill")["rows"]
    assert killed["pid"] == booted.told("oomkill")["truth"]["pid"]
    assert killed["process"] == "python3"

    retransmitted = booted.told("tcpretrans")
    assert len(retransmitted["rows"]) == retransmitted["truth"]["segments"] >= 2


def test_biolatency_logs_the_histogram_that_it_prints(guests: Mapping[str, Booted]) -> None:
    """Each disk's, whose requests are at least the writes and reads of the action."""
    told = guests[TOOLS_ON].tool("biolatency")
    logged = {row["device"]: row["latency"] for row in guests[TOOLS_ON].logged["biolatency"]}
    assert logged == bcc_tools.histograms(told["lines"]), told
    (disk,) = (name for name in logged if told["truth"]["device"].startswith(name))
    assert sum(logged[disk]) >= 100


def test_execsnoop_logs_the_programs_that_it_prints(guests: Mapping[str, Booted]) -> None:
    """Each of them, in order, also the one that is not there."""
    told = guests[TOOLS_ON].tool("execsnoop")
    header = re.compile(r"PCOMM +PID")
    lines = [line.split(maxsplit=4) for line in told["lines"] if not header.match(line)]
    logged = guests[TOOLS_ON].logged["execsnoop"]
    assert [[row[n] for n in ("process", "pid", "parent_pid")] for row in logged] == [
        [comm, int(pid), int(parent)] for comm, pid, parent, _, _ in lines
    ], told
    assert [row["error"] for row in logged] == ["", "", "ENOENT", ""]
    assert [row["path"] for row in logged] == ["/bin/true", "/bin/sh", "/not/there", "/bin/true"]
    assert [row["arguments"] for row in logged] == [arguments for *_, arguments in lines]


def test_offcputime_logs_the_stacks_that_it_prints(guests: Mapping[str, Booted]) -> None:
    """Its kernel stacks with the same times, and of the sleeps as long as they were.

    The user's half of Python, which keeps no frame pointers, ends in addresses of anything.
    """
    told = guests[TOOLS_ON].tool("offcputime")
    printed = Counter[str]()
    for line in told["lines"]:
        stack, _, us = line.rpartition(" ")
        printed[stack.partition(";-;")[2]] += int(us)
    logged = Counter[str]()
    rows = guests[TOOLS_ON].logged["offcputime"]
    for row in rows:
        kernel = [name for name in row["stack"].split(";") if name.endswith("_[k]")]
        logged[";".join(kernel).replace("_[k]", "")] += row["elapsed"]
    assert logged == printed, told
    sleeps = [row for row in rows if "hrtimer_nanosleep_[k];" in row["stack"]]
    assert sum(row["elapsed"] for row in sleeps) >= told["truth"]["slept_us"] * 0.9
    assert all(row["tid"] == row["pid"] for row in sleeps)


def _bounds(pieces: list[list[int]]) -> tuple[int, int]:
    return min(first for first, _ in pieces), max(first + count for first, count in pieces)
