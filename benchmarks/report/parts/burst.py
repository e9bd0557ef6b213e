"""A hundred agents that send at the same time, while others ask whether the server is alive."""

from __future__ import annotations

import http.client
import pickle
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks import ingest
from benchmarks.probing import (
    begin_window,
    idle_server,
    new_shared,
    peak_memory,
    prober,
    silences,
    spawn,
)
from benchmarks.report.forms import COLUMNS, ENCODERS, ROWS
from benchmarks.report.parts.ingest import data_of
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, say, take_turns
from tests.serving import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from benchmarks.probing import Shared
    from tests.serving import Serving

AGENTS, BATCH = 100, 1_000
_FORMS = (COLUMNS, ROWS)
# Agents share an address here, which they do not elsewhere.
_CONFIG = "database: {sqlite: k.db}\nmax_connections_per_address: 1024\n"
_FILES = 4096
_PATIENCE = 300.0
_WAIT = 1.0
_AGAIN = (0, 408, 429, 503)  # the server was not reached, or asks for another time


@dataclass
class Sent:
    """`again` are the requests that were sent again, by the status of the answer."""

    rows: int = 0
    again: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Result:
    """Silences in milliseconds, memory in MB; `rows` are those that were acknowledged."""

    rows: int
    stored: int
    seconds: float
    again: int
    read: float
    ingest: float
    idle: float
    memory: float


def measure(options: Options) -> Found:
    rows = options.size(1_000_000, 100_000)
    data = data_of(rows, BATCH, lengths=True)
    say("bodies are made")
    bodies = {form: [ENCODERS[form][0](batch) for batch in data.batches] for form in _FORMS}
    ways = {form: partial(_burst, form, bodies[form]) for form in _FORMS}
    taken: Taken[Result] = take_turns(ways, options.repeat)
    rows = sum(count for _, count in bodies[ROWS])
    return Found(
        tables=(_table(rows, taken),),
        facts=_facts(rows, taken),
        failures=tuple(taken.failures),
    )


def _burst(form: str, bodies: Sequence[tuple[bytes, int]], folder: Path) -> Result:
    (folder / "kernelscope.yaml").write_text(_CONFIG)
    (folder / "bodies").write_bytes(pickle.dumps(bodies))
    with serving(folder, "--config", folder / "kernelscope.yaml", files=_FILES) as server:
        shared = new_shared()
        with _probed(server, shared), _agents(server.ingest, form, folder / "bodies") as agents:
            ingest.settle(server.process.pid)
            begin_window(shared)
            sent, seconds = agents.send()
            read, ingested, idle = (1000 * each for each in silences(shared))
        memory = peak_memory(server.process.pid) / 1e6
    with sqlite3.connect(folder / "k.db") as connection:
        ((stored,),) = connection.execute("SELECT count(*) FROM kscope_rows_offcputime")
    again = sum(sent.again.values())
    return Result(sent.rows, stored, seconds, again, read, ingested, idle, memory)


@contextmanager
def _probed(server: Serving, shared: Shared) -> Iterator[None]:
    idle = f"http://127.0.0.1:{free_port()}"
    sides = (server.read, server.ingest, idle)
    company = [
        spawn.Process(target=idle_server, args=(urlsplit(idle).port, shared.stop)),
        spawn.Process(target=prober, args=(sides, shared)),
    ]
    for process in company:
        process.start()
    stop = time.monotonic() + 60
    while not all(shared.longest[:]) and time.monotonic() < stop:
        time.sleep(0.05)
    try:
        yield
    finally:
        shared.stop.set()
        for process in company:
            process.join(5)
            process.kill()


@dataclass(frozen=True)
class _Agents:
    go: Event
    results: SimpleQueue[tuple[Sent, float, str]]

    def send(self) -> tuple[Sent, float]:
        """Return the rows that were acknowledged, and in how many seconds.

        Raises RuntimeError if the server refuses a body.
        """
        self.go.set()
        sent, seconds, fault = self.results.get()
        if fault:
            raise RuntimeError(fault)
        return sent, seconds


@contextmanager
def _agents(url: str, form: str, bodies: Path) -> Iterator[_Agents]:
    """Start all agents in one process, with their rows in memory and connected."""
    ready, agents = spawn.Event(), _Agents(spawn.Event(), spawn.SimpleQueue())
    work = (url, ENCODERS[form][1], bodies, ready, agents)
    process = spawn.Process(target=_send_all, args=work)
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the agents did not start")
        yield agents
    finally:
        process.join(_PATIENCE)
        process.kill()


def _send_all(url: str, kind: str, path: Path, ready: Event, agents: _Agents) -> None:
    bodies = pickle.loads(path.read_bytes())
    # Batches of hosts come host by host: each agent has those of one.
    parts = [bodies[number::AGENTS] for number in range(AGENTS)]
    ready.set()
    agents.go.wait()
    started = time.perf_counter()
    total, fault = Sent(), ""
    with ThreadPoolExecutor(AGENTS) as pool:
        try:
            for each in pool.map(partial(_send, url, kind), parts):
                total.rows += each.rows
                total.again += each.again
        except RuntimeError as error:
            fault = str(error)
    agents.results.put((total, time.perf_counter() - started, fault))


def _send(url: str, kind: str, bodies: Sequence[tuple[bytes, int]]) -> Sent:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    sent, end = Sent(), time.monotonic() + _PATIENCE
    for body, rows in bodies:
        headers = {"Content-Type": kind, "Idempotency-Key": uuid4().hex}
        while time.monotonic() < end:
            status, wait = _answer(connection, body, headers)
            if status == 200:
                sent.rows += rows
                break
            if status not in _AGAIN:
                raise RuntimeError(f"the server answers {status}")
            sent.again[status] += 1
            time.sleep(wait)
    connection.close()
    return sent


def _answer(
    connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]
) -> tuple[int, float]:
    """Return the status, and how many seconds to wait before the next time."""
    try:
        connection.request("POST", "/api/v1/ingest", body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, _WAIT
    return answer.status, float(answer.headers.get("Retry-After") or _WAIT)


def _table(rows: int, taken: Taken[Result]) -> Table:
    heads = ("bodies", "rows acknowledged", "rows stored", "seconds", "sent again")
    heads += ("longest `/healthz`, ms: page", "ingest", "idle", "most memory, MB")
    lines = tuple(
        (form, *(_column(results, name) for name in Result.__dataclass_fields__))
        for form, results in taken.results.items()
    )
    title = f"{AGENTS} agents with {rows:,} rows in batches of {BATCH:,}"
    return Table(title, heads, lines)


def _column(results: Sequence[Result], name: str) -> Measured:
    return Measured(tuple(float(getattr(each, name)) for each in results))


def _facts(rows: int, taken: Taken[Result]) -> dict[str, Measured]:
    results = taken.results.get(COLUMNS)
    if not results:
        return {}
    silence = Measured(tuple(max(each.read, each.ingest) for each in results))
    lost = Measured(tuple(float(rows - min(each.rows, each.stored)) for each in results))
    return {
        "burst lost rows": lost,
        "burst memory": _column(results, "memory"),
        "burst /healthz": silence,
    }
