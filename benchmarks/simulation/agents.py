"""Simulated agents in one process: the project's spools and senders, and rows of a fleet.

A line of JSON on the standard input is the `Plan`; when "ready" is printed, a second line is the
moment (monotonic seconds) at which the agents begin. The last line of the output is an `Outcome`.
"""

import heapq
import logging
import random
import resource
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fleet import Fleet, host_name
from benchmarks.simulation.plan import Made, Outcome, Plan
from kscope.agent.engines.replay import ReplayEngine
from kscope.agent.rows.packing import payloads
from kscope.agent.run import health
from kscope.agent.run.runner import ProbeRun, first_interval
from kscope.client.answers import Answer
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload, Spooled
from kscope.client.sender import Sender
from kscope.client.spool import Spool
from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Category

TABLE = "offcputime"
SPOOL_BYTES = 64 * 1024 * 1024
SPOOL_AGE = 86400.0
# Intervals. An agent's is ten minutes: the run would end before it.
LONGEST_OPEN = 1.5
MOST_REASONS = 100
_STOP_WITHIN = 5.0


@dataclass
class Counts:
    """Requests of all agents of this process: failed ones by second, and how long each took."""

    sent: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class CountedEndpoint(Endpoint):
    """A server, whose answers are counted."""

    def __init__(self, url: str, longest_open: float, counts: Counts) -> None:
        super().__init__(url, longest_open=longest_open)
        self._counts = counts

    def post(self, payload: Payload, *arguments: Any) -> Answer:
        started = time.monotonic()
        answer = super().post(payload, *arguments)
        if answer.stored:
            self._counts.seconds.append(time.monotonic() - started)
            self._counts.sent += payload.size
        else:
            self._counts.failed[int(time.monotonic())] += 1
            if len(self._counts.reasons) < MOST_REASONS:
                self._counts.reasons[answer.text.removeprefix(f"{self.url}: ")] += 1
        return answer


@dataclass(frozen=True)
class Categories:
    """The data type of the rows, and that of rows about agents."""

    probe: Category
    health: Category

    @classmethod
    def builtin(cls) -> "Categories":
        probe, own = map(load_catalog().get, (TABLE, health.TABLE))
        assert probe
        assert own
        return cls(probe, own)


class SimulatedAgent:
    """One host: a probe that is drained every interval, a spool on disk, a sender."""

    def __init__(self, number: int, plan: Plan, fleet: Fleet, counts: Counts) -> None:
        self.made = Made(host_name(number))
        self._number = number
        self._fleet = fleet
        self._chance = random.Random(f"rows {number}")
        self._pairs = fleet.pairs(number)
        self.spool = Spool(
            Path(plan.folder, self.made.host),
            max_bytes=SPOOL_BYTES,
            max_age=SPOOL_AGE,
            lost=self._lost,
            kept_longest=health.TABLE,
        )
        server = plan.servers[number % len(plan.servers)]
        endpoint = CountedEndpoint(server, LONGEST_OPEN * plan.interval, counts)
        self.sender = Sender(self.spool, endpoint)

    def drain(self, categories: Categories) -> None:
        """Do what an agent does at the end of an interval."""
        ended = time.time()
        rows = self._rows()
        self._keep(categories.probe, rows, ended)
        batches, size, age = self.spool.depth(2.0)
        report = {
            "probe": TABLE,
            "state": "running",
            "row_count": len(rows),
            "spool_batches": batches,
            "spool_bytes": size,
            "spool_age": round(age, 1),
            "failed_sends": self.sender.take_failures(),
        }
        self._keep(categories.health, [report], ended)
        self.made.reports += 1
        self.sender.wake()

    def stop(self) -> None:
        self.sender.stop(time.monotonic() + _STOP_WITHIN)
        self.made.waiting = self.spool.count

    def _rows(self) -> list[dict[str, Any]]:
        """Return an interval's rows, each with its number among all rows of the host."""
        minute = self._fleet.minute(self._chance, self._number, self._pairs, 0)
        rows = [
            {
                "process": pair.process,
                "pid": pair.pid,
                "tid": number,
                "reason": pair.reason,
                "cgroup": f"/system.slice/{pair.process}.service",
                "stack": pair.stack,
                "elapsed": elapsed,
                "count": count,
                "lengths": lengths,
            }
            for number, (pair, elapsed, count, lengths) in enumerate(
                zip(minute.pairs, minute.elapsed, minute.count, minute.lengths, strict=True),
                self.made.rows,
            )
        ]
        self.made.rows += len(rows)
        self.made.elapsed += sum(minute.elapsed)
        return rows

    def _keep(self, category: Category, rows: list[dict[str, Any]], ended: float) -> None:
        for payload in payloads(category, rows, self.made.host, ended):
            if not self.spool.put(payload) and not self.sender.post_directly(payload):
                self.made.given_up += payload.rows

    def _lost(self, _entry: Spooled, _fate: str, rows: int) -> None:
        self.made.given_up += rows


class Agents:
    """All agents of this process, drained by one thread; each has its sender's thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts = Counts()
        self._categories = Categories.builtin()
        fleet = Fleet(plan.first + plan.count, rows_per_minute=plan.rows)
        numbers = range(plan.first, plan.first + plan.count)
        self._agents = [SimulatedAgent(n, plan, fleet, self._counts) for n in numbers]
        self._waiting: dict[int, int] = {}
        self._ended = threading.Event()

    def run(self, begin: float) -> Outcome:
        watch = threading.Thread(target=self._watch)
        watch.start()
        for agent in self._agents:
            agent.sender.start()
        self._drain_until(begin, begin + self._plan.making)
        empty_after = self._wait_until_empty()
        for agent in self._agents:
            agent.stop()
        self._ended.set()
        watch.join()
        made = [agent.made for agent in self._agents]
        counts = self._counts
        return Outcome(
            made,
            counts.sent,
            dict(counts.failed),
            dict(counts.reasons),
            self._waiting,
            counts.seconds,
            empty_after,
        )

    def _drain_until(self, begin: float, end: float) -> None:
        """Drain each agent at its own times, which are those of the real one."""
        due = [(begin + self._first(agent), n) for n, agent in enumerate(self._agents)]
        heapq.heapify(due)
        while due and due[0][0] < end:
            moment, number = due[0]
            time.sleep(max(0.0, moment - time.monotonic()))
            self._agents[number].drain(self._categories)
            following = max(moment + self._plan.interval, time.monotonic())
            heapq.heapreplace(due, (following, number))
        time.sleep(max(0.0, end - time.monotonic()))

    def _first(self, agent: SimulatedAgent) -> float:
        probe, interval, host = self._categories.probe, self._plan.interval, agent.made.host
        return first_interval(ProbeRun(probe, ReplayEngine, interval, hostname=host))

    def _wait_until_empty(self) -> float:
        """Return the seconds that it took."""
        started = time.monotonic()
        while self._depth() and time.monotonic() < started + self._plan.drain:
            time.sleep(0.1)
        return time.monotonic() - started

    def _depth(self) -> int:
        return sum(agent.spool.count for agent in self._agents)

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            second = int(time.monotonic())
            self._waiting[second] = max(self._depth(), self._waiting.get(second, 0))


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    # All agents would say that a server is away.
    logging.getLogger("kscope").setLevel(logging.ERROR)
    # A connection and some files for each agent.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    agents = Agents(plan)
    print("ready", flush=True)
    outcome = agents.run(float(sys.stdin.readline()))
    print(msgspec.json.encode(outcome).decode(), flush=True)


if __name__ == "__main__":
    main()
