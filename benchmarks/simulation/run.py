"""A run of the simulation: servers, a balancer, agents, a death and a return."""

import asyncio
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.simulation.balancer import Traffic, balancing
from benchmarks.simulation.plan import Outcome, Plan
from benchmarks.simulation.stored import Verdict, verdict
from kscope.config import Settings
from tests.serving import ROOT, Serving, free_port, start, stop

Key = TypeVar("Key")
SERVERS = 2
_PATIENCE = 120.0


@dataclass(frozen=True)
class Scenario:
    """The usual rate is that of the interval before the death, when `dead` servers are killed.

    They return after `away` seconds. Without `balanced`, each agent knows one server only, and
    waits for it. Times are in seconds; `rows` is those of a host in an interval.
    """

    agents: int = 1000
    processes: int = 2
    interval: float = 30.0
    rows: int = 100
    away: float = 30.0
    dead: int = 1
    balanced: bool = True
    drain: float = 120.0

    @property
    def death(self) -> float:
        """Return the seconds from the start to the death."""
        return 2.5 * self.interval

    @property
    def making(self) -> float:
        return self.death + self.away + 1.5 * self.interval


@dataclass(frozen=True)
class Moments:
    """By the monotonic clock."""

    begin: float
    death: float
    back: float


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a server: when it is started, before the death, at the end."""

    started: int
    before: int
    after: int


@dataclass(frozen=True)
class Run:
    scenario: Scenario
    moments: Moments
    traffic: Sequence[Traffic]
    memory: Sequence[Memory]
    sent: int
    failed: Counter[int]
    reasons: Counter[str]
    waiting: Counter[int]
    seconds: Sequence[float]
    empty_after: float
    waiting_at_end: int
    verdict: Verdict


def simulate(scenario: Scenario, settings: Settings, flags: Sequence[str], folder: Path) -> Run:
    """Run the scenario on the empty database that `settings` and the `flags` of a server name."""
    _allow_files()
    ports = [free_port() for _ in range(SERVERS)]
    groups = [ports] if scenario.balanced else [[port] for port in ports]
    config = folder / "kernelscope.yaml"
    most = max(1024, 2 * scenario.agents)
    config.write_text(f"max_connections: {most}\nmax_connections_per_address: {most}\n")
    servers = _Servers(folder, ports, ["--config", str(config), *flags])
    with servers.running(), balancing(groups) as balancers:
        addresses = [f"http://127.0.0.1:{balancer.port}" for balancer in balancers]
        with _agents(_plans(scenario, folder / "spools", addresses)) as processes:
            moments = _play(scenario, servers, processes)
            outcomes = [_outcome(process) for process in processes]
        memory = servers.memory()
    made = list(chain.from_iterable(outcome.made for outcome in outcomes))
    return Run(
        scenario,
        moments,
        [balancers[0].traffic[port] for port in ports],
        memory,
        sum(outcome.sent for outcome in outcomes),
        _sum(outcome.failed for outcome in outcomes),
        _sum(outcome.reasons for outcome in outcomes),
        _sum(outcome.waiting for outcome in outcomes),
        sorted(chain.from_iterable(outcome.seconds for outcome in outcomes)),
        max(outcome.empty_after for outcome in outcomes),
        sum(each.waiting for each in made),
        asyncio.run(verdict(settings, made)),
    )


class _Servers:
    """Servers on fixed ports over one database."""

    def __init__(self, folder: Path, ports: Sequence[int], flags: Sequence[str]) -> None:
        self._folder = folder
        self._ports = ports
        self._flags = flags
        self._servers: list[Serving] = []
        self._started: list[int] = []
        self._before: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        try:
            for number in range(len(self._ports)):
                self._servers.append(self._start(number, "first"))
            self._started = [_resident(server) for server in self._servers]
            yield
        finally:
            for server in self._servers:
                if server.process.poll() is None:
                    stop(server)

    def kill(self, count: int) -> None:
        self._before = [_resident(server) for server in self._servers]
        for server in self._servers[:count]:
            server.process.kill()
            server.process.wait()

    def restart(self, count: int) -> None:
        for number in range(count):
            self._servers[number] = self._start(number, "again")

    def memory(self) -> list[Memory]:
        after = [_resident(server) for server in self._servers]
        return [Memory(*each) for each in zip(self._started, self._before, after, strict=True)]

    def _start(self, number: int, name: str) -> Serving:
        folder = self._folder / f"server-{number}-{name}"
        folder.mkdir()
        return start(folder, [*self._flags, "--ingest", f"127.0.0.1:{self._ports[number]}"])


def _play(
    scenario: Scenario, servers: _Servers, processes: Sequence[subprocess.Popen[str]]
) -> Moments:
    """Start the agents, kill servers, start them again."""
    begin = time.monotonic() + 0.5
    for process in processes:
        assert process.stdin
        process.stdin.write(f"{begin}\n")
        process.stdin.flush()
    _sleep_until(begin + scenario.death)
    death = time.monotonic()
    servers.kill(scenario.dead)
    _sleep_until(death + scenario.away)
    servers.restart(scenario.dead)
    return Moments(begin, death, time.monotonic())


def _plans(scenario: Scenario, spools: Path, addresses: Sequence[str]) -> Iterator[Plan]:
    """Divide the agents among the processes."""
    ends = [scenario.agents * n // scenario.processes for n in range(scenario.processes + 1)]
    for first, end in pairwise(ends):
        yield Plan(
            str(spools),
            addresses,
            first,
            end - first,
            scenario.interval,
            scenario.rows,
            scenario.making,
            scenario.drain,
        )


@contextmanager
def _agents(plans: Iterator[Plan]) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a process for each plan, and wait until all are ready to begin."""
    command = [sys.executable, "-m", "benchmarks.simulation.agents"]
    processes = []
    try:
        for plan in plans:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            processes.append(process)
            assert process.stdin
            process.stdin.write(msgspec.json.encode(plan).decode() + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the simulated agents did not start")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _outcome(process: subprocess.Popen[str]) -> Outcome:
    """Return what the agents did; they end by themselves within their bounds."""
    assert process.stdout
    return msgspec.json.decode(process.stdout.readline(), type=Outcome)


def _sum(counts: Iterator[dict[Key, int]]) -> Counter[Key]:
    total: Counter[Key] = Counter()
    for each in counts:
        total.update(each)
    return total


def _resident(server: Serving) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def _allow_files() -> None:
    """The balancer has two sockets for each agent."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
