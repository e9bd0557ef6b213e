"""Threads, stacks and drains that come and go: nothing may be lost, unless it is counted."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import needs
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.probes.acting import actor
from tests.workloads import workload

if TYPE_CHECKING:
    from tests.agent.fakeserver import Server

pytestmark = pytest.mark.bpf

THREADS = 200


@dataclass(frozen=True)
class Churn:
    """The rows that an agent sent, and the fill of each of its maps before it stopped."""

    waits: list[dict[str, Any]]
    intervals: list[dict[str, Any]]
    fill: dict[str, float]


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Churn:
    """Some sixty drains over two hundred threads that are ever new ones."""
    folder = tmp_path_factory.mktemp("churn")
    with fake_server() as server, workload("napper.c", folder, 7000, THREADS, 10_000) as napper:
        flags = ("--server", server.url, "--spool", folder / "spool", "--interval", 0.1)
        with agent("offcputime", "--pid", napper.pid, *flags) as running:
            running.wait_for("probe running")
            napper.go()
            napper.truth()
            fill = map_fill(running.process.pid)
            running.stop()
    return Churn(server.rows("offcputime"), server.intervals(), fill)


def map_fill(pid: int) -> dict[str, float]:
    """How full each hash and stack map of a process is, by the map's name."""
    bpftool = needs.program("bpftool", "bpftool")
    found: dict[str, float] = {}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            about = dict(re.findall(r"^(\w+):\s+(\w+)$", info.read_text(), re.MULTILINE))
        except FileNotFoundError:  # closed in the meantime
            continue
        if about.get("map_type") in {"1", "7"}:  # hash, stack trace
            about_map = asked(bpftool, "map", "show", "id", about["map_id"])
            held = asked(bpftool, "map", "dump", "id", about["map_id"])
            found[about_map["name"]] = len(held) / int(about["max_entries"])
    return found


def asked(bpftool: str, *question: str) -> Any:
    answer = subprocess.run([bpftool, "-j", *question], capture_output=True, check=True)
    return json.loads(answer.stdout)


def lost(server: Server) -> dict[str, int]:
    """Return the losses in the agent's rows, by column, over all intervals."""
    rows = server.intervals()
    names = [name for name in rows[0] if name.startswith("lost_")]
    return {name: sum(row[name] for row in rows) for name in names}


def test_stacks_outlive_the_drains_between(churn: Churn) -> None:
    """Threads that sleep across drains keep their stacks, whenever they wake."""
    # Others of the program's threads sleep in libc, whose frames cannot be followed.
    rows = [row for row in churn.waits if row["process"] == "nap"]
    naps = [row["stack"] for row in rows if "nanosleep" in row["stack"]]
    assert len(churn.intervals) >= 10
    assert len(set(naps)) > 5 * THREADS
    assert [stack for stack in naps if ";napping;" not in stack] == []


def test_nothing_is_lost_that_the_maps_could_hold(churn: Churn) -> None:
    """No loss of any kind, and no map that fills up interval by interval."""
    # Other BPF programs on this machine can interrupt ours.
    elsewhere = {"lost_runs"}
    names = {name for name in churn.intervals[0] if name.startswith("lost_")} - elsewhere
    assert {name: sum(row[name] for row in churn.intervals) for name in names} == dict.fromkeys(
        names, 0
    )
    assert {"waiting", "agg", "ks_short_stacks"} <= set(churn.fill)
    assert max(churn.fill.values()) < 0.5, churn.fill


def test_memory_does_not_grow_with_the_drains(churn: Churn) -> None:
    """The agent is as large at the end as it was when it had seen a third."""
    memory = [row["memory"] for row in churn.intervals]
    third = len(memory) // 3
    assert max(memory[-third:]) < 1.1 * max(memory[third:-third])


SMALL = {
    "lost_starts_full": ("napper.c", (800, THREADS, 5000), ("--keys", 64)),
    "lost_keys_full": ("pingpong.c", (800, 500), ("--keys", 64)),
    "lost_stacks_full": ("pingpong.c", (800, 500), ("--stacks", 64)),
}


@pytest.mark.parametrize("column", SMALL)
def test_what_small_maps_lose_is_counted(column: str, tmp_path: Path) -> None:
    """Starts, keys and stacks that find no place are figures in the agent's rows."""
    program, arguments, size = SMALL[column]
    with fake_server() as server, workload(program, tmp_path, *arguments) as busy:
        flags = ("--server", server.url, "--spool", tmp_path / "spool")
        with agent("offcputime", "--pid", busy.pid, *flags, *size) as running:
            running.wait_for("probe running")
            busy.go()
            busy.truth()
            running.stop()
    counted = lost(server)
    assert {name: count > 0 for name, count in counted.items()}[column], counted
    found = any("[lost stack]" in row["stack"] for row in server.rows("offcputime"))
    assert found == (counted["lost_stacks_full"] > 0)


def test_events_that_found_no_room_are_counted(tmp_path: Path) -> None:
    """An agent that is stopped for a while knows afterwards how many it has missed."""
    with fake_server() as server, actor("opens_many", tmp_path) as opener:
        flags = ("--server", server.url, "--spool", tmp_path / "spool")
        with agent("opensnoop", "--pid", opener.pid, *flags) as running:
            running.wait_for("probe running")
            running.signal(signal.SIGSTOP)
            opener.go()
            opened = opener.truth()
            running.signal(signal.SIGCONT)
            running.stop()
    counted = lost(server)
    assert counted["lost_events"] > 0
    seen = len(server.rows("opensnoop")) + counted["lost_events"] + counted["lost_starts_full"]
    assert opened - counted["lost_runs"] <= seen <= opened


def test_many_events_do_not_wait_for_the_interval(tmp_path: Path) -> None:
    """With an interval of an hour twenty thousand events are sent when they are there."""
    with fake_server() as server, actor("opens_on", tmp_path) as opener:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 3600)
        with agent("opensnoop", "--pid", opener.pid, *flags) as running:
            running.wait_for("probe running")
            opener.go()
            end = time.monotonic() + 60
            while not (early := server.rows("opensnoop")) and time.monotonic() < end:
                time.sleep(0.2)
            (tmp_path / "enough").touch()
            opened = opener.truth()
            running.stop()
    assert early
    counted = lost(server)
    seen = len(server.rows("opensnoop")) + counted["lost_events"] + counted["lost_starts_full"]
    assert opened - counted["lost_runs"] <= seen <= opened
