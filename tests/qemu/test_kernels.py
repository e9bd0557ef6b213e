"""The agent and all its probes on Debian's kernels, which have features that this one may not have.

Each kernel is booted once: the workload with the agent beside it, then probe after probe.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
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

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(2100),  # the first run downloads the kernels and makes the image
]


@dataclass(frozen=True)
class Booted:
    """The output of one guest, and its rows on the server."""

    outcome: guest.Outcome
    graph: Any

    def told(self, probe: str) -> Any:
        (line,) = self.outcome.lines(probe)
        return json.loads(line)


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
        job = _job(server, f"debian-{series}")
        return guest.run(kernels[series], job, files, folders[series], 1800)

    with (
        serving(tmp_path_factory.mktemp("server")) as server,
        ThreadPoolExecutor() as pool,
    ):
        outcomes = dict(zip(SERIES, pool.map(boot, SERIES), strict=True))
        return {
            series: Booted(
                outcome,
                server.get("/api/v1/flamegraph/offcputime", hostname=f"debian-{series}").json(),
            )
            for series, outcome in outcomes.items()
        }


def _job(server: Serving, host: str) -> str:
    port = server.ingest.rpartition(":")[2]
    pairs = " ".join(f"{probe}={action}" for probe, action in ALL_ACTIONS.items())
    return f"server=http://10.0.2.2:{port}\nhost={host}\npairs='{pairs}'\n{JOB.read_text()}"


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


def _bounds(pieces: list[list[int]]) -> tuple[int, int]:
    return min(first for first, _ in pieces), max(first + count for first, count in pieces)
