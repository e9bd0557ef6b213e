"""Loss and cost as data: what the agent says of itself, and what it does about it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from kscope.agent.engines.base import Cost
from kscope.agent.governor import HIGHEST_RAISE, Governor
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bpf
def test_each_interval_has_a_row_about_the_probe(tmp_path: Path) -> None:
    """Rows, the programs' runs and time by the kernel's account, CPU and memory of the agent."""
    with fake_server() as server, workload("waiter.c", tmp_path, 1500) as waiter:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 0.5)
        with agent("offcputime", "--pid", waiter.pid, *flags) as running:
            running.wait_for("probe running")
            waiter.go()
            waiter.truth()
            running.stop()
        rows = server.rows("agent")
        sent = len(server.rows("offcputime"))
    assert {row["state"] for row in rows} == {"running"}
    assert sum(row["row_count"] for row in rows) == sent
    assert all(row["bpf_runs"] > 0 and row["memory"] > 10_000_000 for row in rows)
    assert sum(row["bpf_time"] for row in rows) < sum(row["elapsed"] for row in rows) / 2
    assert sum(row["frames"] for row in rows) > 0
    lost = [name for name in rows[0] if name.startswith(("lost_", "dropped_"))]
    assert len(lost) >= 8
    assert {row[name] for row in rows for name in lost} == {0}


@pytest.mark.bpf
def test_an_interval_that_a_kill_took_is_counted(tmp_path: Path) -> None:
    """After kill -9 the next agent says which interval is lost, and how long it was."""
    with fake_server() as server, workload("waiter.c", tmp_path, 500) as waiter:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 30)
        with agent("offcputime", "--pid", waiter.pid, *flags) as running:
            running.wait_for("probe running")
            running.signal(signal.SIGKILL)
            running.process.wait()
        with agent("offcputime", "--pid", waiter.pid, *flags) as running:
            running.wait_for("an interval of offcputime is lost")
            server.wait_for(1)
            running.stop()
        (killed,) = [row for row in server.rows("agent") if row["state"] == "killed"]
    assert killed["lost_intervals"] == 1
    assert killed["elapsed"] > 0


@pytest.mark.bpf
def test_many_stacks_and_threads_lose_nothing(tmp_path: Path) -> None:
    """Thousands of stacks, a new thread every 200 waits, a drain every half second: memory stays,
    no map fills, no stack is lost.
    """
    with fake_server() as server, workload("pingpong.c", tmp_path, 6000, 3000) as churn:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 0.5)
        with agent("offcputime", "--pid", churn.pid, *flags) as running:
            running.wait_for("probe running")
            churn.go()
            truth = churn.truth()
            running.stop()
        rows = [row for row in server.rows("agent") if row["state"] == "running"]
        stacks = {stack for r in server.received for stack in r.body.get("stacks", ())}
    assert truth["turns"] > 3000
    assert len(stacks) > 1000
    for name in ("lost_keys_full", "lost_starts_full", "lost_stacks_full", "lost_stacks_other"):
        assert sum(row[name] for row in rows) == 0
    # By chance three stacks may still meet in all of their places.
    assert sum(row["lost_stacks_collided"] for row in rows) <= 0.001 * truth["turns"]
    half = len(rows) // 2
    assert max(row["memory"] for row in rows[half:]) <= 1.15 * rows[half]["memory"]


def drive(governor: Governor, share: float, seconds: int, start: float = 0.0) -> list[str]:
    """What the governor says while a probe takes a constant share of one CPU."""
    said = []
    for second in range(0, seconds, 2):
        now = start + second
        decision = governor.decide(Cost(1, round(now * share * 1e9), known=True), 0.0, now)
        if decision:
            said.append(decision.text)
    return said


def test_a_dear_probe_is_raised_and_then_paused() -> None:
    """What no threshold makes cheaper is taken out of the kernel, and the figures say why."""
    governor = Governor(0.01, cpus=1)
    said = drive(governor, 0.05, 30)
    assert "5.00% of the host's CPU time (bound 1.00%): threshold raised by" in said[0]
    assert "paused" in said[-1]
    assert governor.paused


def test_a_raised_probe_recovers() -> None:
    """When it has been cheap for a while the threshold comes down again, to nothing."""
    governor = Governor(0.01, cpus=1)
    drive(governor, 0.05, 4)
    raised = governor.threshold
    assert 0 < raised <= HIGHEST_RAISE
    busy = 2 * 0.05
    for second in range(4, 60, 2):
        governor.decide(Cost(1, round((busy + second * 0.0001) * 1e9), known=True), 0.0, second)
    assert governor.threshold == 0
    assert not governor.paused


def test_a_cheap_probe_is_left_alone() -> None:
    """Under the bound nothing is said and nothing changes."""
    assert drive(Governor(0.01, cpus=2), 0.015, 60) == []


@pytest.mark.bpf
def test_the_bound_holds_on_a_real_probe(tmp_path: Path) -> None:
    """A hundred thousand switches a second, a bound of 0.1 %: raised or paused, and told."""
    with fake_server() as server, workload("pingpong.c", tmp_path, 12_000) as pair:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 1)
        bound = ("--max-overhead", "0.1%")
        with agent("offcputime", "--pid", pair.pid, *flags, *bound) as running:
            running.wait_for("probe running")
            pair.go()
            running.wait_for("paused for an interval")
            pair.truth()
            running.stop()
        states = {row["state"] for row in server.rows("agent")}
    assert {"running", "raised", "paused"} <= states
