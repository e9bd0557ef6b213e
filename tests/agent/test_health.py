"""Losses and cost as data: the rows about the agent, and its reaction to a high cost."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.agent import Agent, Delivery
from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.interval import Drained, LossCounts
from kscope.agent.run.governor import Governor
from kscope.agent.run.health import Interval, health_row
from kscope.agent.run.runner import ProbeRun
from kscope.agent.stacks.walk import NAMELESS
from kscope.client.endpoint import Endpoint
from kscope.client.sender import Sender
from kscope.client.spool import Spool
from kscope.declare.files.catalog import load_catalog
from kscope.errors import UNKNOWN_NAME
from tests.agent.fakeserver import fake_server, problem
from tests.agent.tracing import agent
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.fakeserver import Answer, Server


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
    # Other BPF programs on this machine can interrupt ours.
    elsewhere = {"lost_runs"}
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


class Faulty:
    """A probe that finds a broken stack in each interval."""

    def start(self) -> None:
        pass

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> Drained:
        faults = {("libfoo.so.1", "table not loaded"): 3, ("app", NAMELESS): 2}
        return Drained(faults=Counter(faults))

    def full(self) -> bool:
        return False

    def cost(self) -> Cost:
        return Cost()

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None:
        pass


def refused_by_an_older_server(body: dict[str, Any]) -> Answer | None:
    """Refuse the column that the first servers did not have, in the words of such a server."""
    if not any("binary_name" in row for row in body.get("agent", [])):
        return None
    status, headers, document = problem(
        422, "unknown column", ("/agent/0/binary_name", "unknown column")
    )
    return status, headers, document | {"type": UNKNOWN_NAME}


def faulty(server: Server, spool: Path, intervals: int) -> None:
    """Run an agent whose probe finds broken stacks, for some intervals at least."""
    catalog = load_catalog(["builtin"])
    category = catalog.get("offcputime")
    assert category
    run = ProbeRun(category, Faulty, 0.2)
    running = Agent([run], Delivery(server.url, "lab", spool=spool), catalog.get("agent"))
    running.start()
    server.wait_for(intervals)
    running.stop()


def test_binaries_with_broken_stacks_have_rows(tmp_path: Path) -> None:
    """One for each binary and reason, which counts neither an interval nor a time."""
    with fake_server() as server:
        faulty(server, tmp_path, 6)
        found = [row for row in server.rows("agent") if row["state"] == "stacks"]
    counts = {(row["binary_name"], row["reason"]): row for row in found}
    assert counts["libfoo.so.1", "table not loaded"]["broken_stacks"] == 3
    assert counts["app", NAMELESS]["nameless_frames"] == 2
    assert len(found) == 2 * len(server.intervals())
    assert not any("elapsed" in row or "row_count" in row for row in found)
    # A mean of the memory is over all rows.
    assert all(row["memory"] > 10_000_000 for row in server.rows("agent"))


def test_an_older_server_is_not_sent_those_rows_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets all other rows, the disk keeps nothing, and the log says it once."""
    with fake_server() as server:
        server.refusal = refused_by_an_older_server
        faulty(server, tmp_path, 8)
        refused = [each for each in server.received if refused_by_an_older_server(each.body)]
        states = [row["state"] for each in server.received for row in each.body["agent"]]
    # The next interval may have ended before the first answer.
    assert 1 <= len(refused) <= 2
    assert states.count("running") >= 6
    assert not list(tmp_path.rglob("*.json*"))
    assert caplog.text.count("does not take the rows about single binaries") == 1


def test_rows_about_binaries_that_are_refused_for_another_reason_are_sent_again(
    tmp_path: Path,
) -> None:
    """One bad batch is not the sign of an older server."""
    refused: list[int] = []

    def once(body: dict[str, Any]) -> Answer | None:
        if refused or not any("binary_name" in row for row in body.get("agent", [])):
            return None
        refused.append(1)
        return problem(422, "wrong", ("/agent/0/reason", "is too long"))

    with fake_server() as server:
        server.refusal = once
        faulty(server, tmp_path, 8)
        found = [row for row in server.rows("agent") if row["state"] == "stacks"]
    assert refused
    assert len(found) >= 4


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
