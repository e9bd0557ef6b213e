"""Losses and cost as data: the rows about the agent, and its reaction to a high cost."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from kscope.agent.rows.interval import LossCounts
from kscope.agent.run.governor import Governor
from kscope.agent.run.health import Interval, health_row
from kscope.client.endpoint import Endpoint
from kscope.client.sender import Sender
from kscope.client.spool import Spool
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Callable
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
        rows = server.intervals()
        sent = len(server.rows("offcputime"))
    assert {row["state"] for row in rows} == {"running"}
    assert not any("lost_values" in row for row in rows)
    assert sum(row["row_count"] for row in rows) == sent
    assert all(row["bpf_runs"] > 0 and row["memory"] > 10_000_000 for row in rows)
    assert sum(row["bpf_time"] for row in rows) < sum(row["elapsed"] for row in rows) / 2
    assert sum(row["frames"] for row in rows) > 0
    # Other BPF programs on this machine can interrupt ours, and a thread that is sampled in
    # libc, which keeps no frame pointer, may seem to be without end.
    elsewhere = {"lost_runs", "lost_stacks_truncated"}
    lost = {name for name in rows[0] if name.startswith(("lost_", "dropped_"))} - elsewhere
    assert len(lost) >= 7
    assert {row[name] for row in rows for name in lost} == {0}


def test_a_new_column_is_sent_if_there_is_something_in_it(tmp_path: Path) -> None:
    """A server of before refuses a row with a column that it does not know."""
    spool = Spool(tmp_path, max_bytes=10**6, max_age=60, lost=lambda *_: None)
    sender = Sender(spool, Endpoint("http://127.0.0.1:9"))
    without = health_row(Interval("offcputime", "running"), spool, sender)
    lossy = Interval("offcputime", "running", loss=LossCounts(values=3))
    with_it = health_row(lossy, spool, sender)
    assert "lost_values" not in without
    assert without["lost_runs"] == 0
    assert with_it["lost_values"] == 3


@pytest.mark.bpf
def test_what_waits_for_the_server_is_counted(tmp_path: Path) -> None:
    """Not what has just been kept and is on its way, but what a server leaves waiting."""
    with fake_server() as server, workload("waiter.c", tmp_path, 500) as waiter:
        server.answers = [(503, {"Retry-After": "4"}, {})]
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 0.5)
        with agent("offcputime", "--pid", waiter.pid, *flags) as running:
            running.wait_for("probe running")
            waiter.go()
            waiter.truth()
            server.wait_for(3)
            running.stop()
        rows = server.intervals()
    assert rows[0]["spool_batches"] == 0
    assert max(row["spool_batches"] for row in rows) >= 1


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
        (killed,) = [row for row in server.intervals() if row["state"] == "killed"]
    assert killed["lost_intervals"] == 1
    assert killed["elapsed"] > 0


class Probe:
    """A probe for the governor: what it takes of one CPU depends on the threshold. A second of its
    life is two checks.
    """

    def __init__(self, bound: float) -> None:
        self.governor = Governor(bound, cpus=1)
        self.now = self.took = self._spent = 0.0
        self.said: list[str] = []
        self._begin()

    def run(self, seconds: float, share: Callable[[int], float]) -> None:
        """In the kernel, and out of it whenever the governor says so."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self._take(0.5 * share(self.governor.threshold))
            if said := self.governor.decide(self._spent, self.now):
                self.said.append(said)
            if self.governor.paused:
                pause = self.governor.repayment()
                self.now += pause
                self.governor.rested(pause)
                self._begin()

    def _begin(self) -> None:
        self._spent = 0.0
        self.governor.begin(0.3, self.now)
        self.took += 0.3

    def _take(self, seconds: float) -> None:
        self._spent += seconds
        self.took += seconds


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.9])
def test_the_bound_holds_whatever_the_excess(share: float) -> None:
    """A probe that no threshold makes cheaper leaves the kernel until its cost is paid, restarts
    included.
    """
    probe = Probe(0.01)
    probe.run(600, lambda _threshold: share)
    assert probe.took / probe.now <= 0.015
    assert "of the host's CPU time (bound 1.00%): threshold raised by" in probe.said[0]
    assert "paused for" in probe.said[-1]
    assert probe.governor.threshold == 0  # it saved nothing, and would only hide short waits


def test_a_small_bound_is_not_said_to_be_nothing() -> None:
    """With as many places as it takes."""
    probe = Probe(0.00001)
    probe.run(600, lambda _threshold: 0.001)
    assert "takes 0.1000% of the host's CPU time (bound 0.0010%)" in probe.said[0]


def test_a_threshold_that_saves_enough_spares_the_pause() -> None:
    """Raised in proportion to the excess, the probe goes on under its bound."""
    probe = Probe(0.01)
    probe.run(60, lambda threshold: 0.04 if threshold < 100 else 0.004)
    assert len(probe.said) == 1
    assert probe.governor.threshold >= 100


def test_a_raised_probe_recovers() -> None:
    """When it has been cheap for a while the threshold comes down again, to nothing."""
    probe = Probe(0.01)
    probe.run(2, lambda threshold: 0.05 if threshold < 100 else 0.004)
    assert probe.governor.threshold > 0
    probe.run(60, lambda _threshold: 0.0001)
    assert probe.governor.threshold == 0
    assert "back to normal" in probe.said[-1]


def test_a_cheap_probe_is_left_alone() -> None:
    """Under the bound nothing is said and nothing changes, nor for a drain that takes a moment."""
    probe = Probe(0.01)
    for _ in range(5):
        probe.run(30, lambda _threshold: 0.005)
        probe.run(0.5, lambda _threshold: 0.1)
    assert probe.said == []


@pytest.mark.bpf
def test_the_bound_holds_on_a_real_probe(tmp_path: Path) -> None:
    """At a hundred thousand switches a second what the probe takes is near the bound from its
    start on; it says when it is paused, and records again when the load is gone.
    """
    # Two threads on one CPU switch all the time they get, so that even without stacks, which a
    # higher threshold spares where there are kprobes, the probe takes more than this share of it.
    bound = 0.06 / (os.cpu_count() or 1)
    with fake_server() as server, workload("pingpong.c", tmp_path, 8_000) as pair:
        os.sched_setaffinity(pair.pid, {min(os.sched_getaffinity(0))})
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 1)
        flags = (*flags, "--max-overhead", f"{bound:%}")
        with agent("offcputime", "--pid", pair.pid, *flags) as running:
            running.wait_for("probe running")
            pair.go()
            running.wait_for("threshold raised by")
            running.wait_for("paused for")
            pair.truth()
            # A pause pays for the next start, which costs a slow machine more.
            running.wait_for("probe running", seconds=90, times=2)
            running.stop()
        rows = server.intervals()
    # The account pays for compiling the program too, except the first time.
    took = sum(row["bpf_time"] + row["cpu_time"] for row in rows) - rows[0]["cpu_time"]
    elapsed = sum(row["elapsed"] for row in rows)
    assert took / (elapsed * (os.cpu_count() or 1)) <= 2.5 * bound
    assert {"running", "paused"} <= {row["state"] for row in rows}
    assert sum(row["paused_time"] for row in rows) >= 1_000_000
    # Every second is in some row, so a pause does not look like an agent that was not running.
    assert all(row["elapsed"] > 0 for row in rows)
