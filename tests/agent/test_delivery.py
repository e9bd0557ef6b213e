"""Every interval arrives once, or is counted as lost: the agent's promise, with a real probe.

The probe is the replay engine where the kernel does not matter; what is promised is the same.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.agent import Agent, Delivery
from kscope.agent.engines.replay import ReplayEngine
from kscope.agent.run.runner import ProbeRun, first_interval
from kscope.client.answers import Answer, Outcome
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.payload_store import Memory
from kscope.client.retry import backoff, pause_after
from kscope.client.sender import Sender
from kscope.declare.files.catalog import load_catalog
from tests import serving
from tests.agent.fakeserver import fake_server, problem
from tests.agent.tracing import agent
from tests.serving import kscope

if TYPE_CHECKING:
    from pathlib import Path

BUSY = problem(503, "busy", Retry_After="0")
LENGTH = 0.5


def recording(folder: Path, intervals: int = 1000) -> Path:
    """Intervals of half a second, each with one row that names it: `elapsed` is its number."""
    path = folder / "recording.ndjson"
    header = {"recording": "offcputime", "hostname": "lab", "interval": LENGTH}
    lines = [header]
    for number in range(1, intervals + 1):
        row = {"process": "p", "pid": 1, "stack": 0, "elapsed": number}
        lines.append({"at": number * LENGTH, "stacks": ["main;wait"], "rows": [row]})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def replaying(folder: Path, url: str) -> tuple[Any, ...]:
    spool = folder / "spool"
    flags = ("--interval", LENGTH, "--server", url, "--spool", spool)
    return ("offcputime", "--replay", recording(folder), *flags)


def is_whole(numbers: list[int]) -> bool:
    """Consecutive, each once; the recording begins again after its end."""
    return all(b == a + 1 or b == 1 for a, b in itertools.pairwise(numbers))


@pytest.mark.parametrize("ends", ["by itself", "with its input"])
def test_it_ends_cleanly_with_its_standard_input_or_before(ends: str, tmp_path: Path) -> None:
    """The input of `--until-eof` may be open still, as it is under scripts/run."""
    more = ["--duration", "1"] if ends == "by itself" else []
    flags = (*replaying(tmp_path, "http://127.0.0.1:9"), "--until-eof", *more)
    with subprocess.Popen(
        kscope("agent", *map(str, flags)),
        cwd=serving.ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin
        assert running.stderr
        if not more:
            running.stdin.close()
        said = running.stderr.read()
        assert running.wait(40) == (1 if more else 0), said
        assert ("rows were not delivered and are kept in" in said) is bool(more)


def test_a_server_that_says_nothing_is_named_as_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        memory = Memory(lambda *_: None)
        memory.put(Payload.of("offcputime", {"hostname": "h", "offcputime": [{}]}))
        sender = Sender(memory, Endpoint(url))
        sender.start()
        connection, _ = silent.accept()
        sender.stop(time.monotonic())
        connection.close()
    assert sender.trouble == f"{url} did not answer in time"
    assert memory.rows == 1


def test_a_stopped_server_costs_nothing(tmp_path: Path) -> None:
    """The server away for ten intervals: all rows in the database exactly once afterwards."""
    port = serving.free_port()
    server = serving.start(tmp_path, ["--ingest", f"127.0.0.1:{port}"])
    with agent(*replaying(tmp_path, server.ingest)) as running:
        time.sleep(3 * LENGTH)
        serving.stop(server)
        running.wait_for("will try again")
        time.sleep(10 * LENGTH)
        again = serving.start(tmp_path, ["--ingest", f"127.0.0.1:{port}"])
        try:
            running.wait_for("delivery works again")
            time.sleep(2 * LENGTH)
            running.stop()
        finally:
            serving.stop(again)
    with sqlite3.connect(tmp_path / "kernelscope.db") as stored:
        query = "SELECT elapsed FROM offcputime ORDER BY time"
        numbers = [number for (number,) in stored.execute(query)]
    assert len(numbers) >= 13
    assert is_whole(numbers)


def test_a_busy_server_gets_the_same_batch_again(tmp_path: Path) -> None:
    """Under its key, byte for byte, until it is taken."""
    with fake_server() as server:
        server.answers = [BUSY, BUSY, BUSY]
        with agent(*replaying(tmp_path, server.url)) as running:
            server.wait_for(5)
            running.stop()
        first, *repeats = server.received[:4]
        assert {request.key for request in repeats} == {first.key}
        assert all(request.body == first.body for request in repeats)
        per_key = {request.key: request.body for request in server.received}
    rows = [row["elapsed"] for body in per_key.values() for row in body["offcputime"]]
    assert is_whole(rows)


def test_a_refused_batch_does_not_block_the_others(tmp_path: Path) -> None:
    """A batch that the server rejects is moved aside and logged; the other batches are sent."""
    with fake_server() as server:
        server.answers = [problem(422, "invalid")]
        with agent(*replaying(tmp_path, server.url)) as running:
            running.wait_for("refused")
            server.wait_for(4)
            running.stop()
        keys = Counter(request.key for request in server.received)
    assert set(keys.values()) == {1}
    kept = [path for path in (tmp_path / "spool").rglob("refused/*") if path.suffix != ".reason"]
    assert len(kept) == 1
    assert server.received[0].key in kept[0].name


def test_one_connection_carries_many_batches(tmp_path: Path) -> None:
    """The connection is kept open from one interval to the next."""
    with fake_server() as server:
        with agent(*replaying(tmp_path, server.url)) as running:
            server.wait_for(5)
            running.stop()
        assert server.connections == 1


def test_a_connection_that_is_old_is_replaced() -> None:
    """Behind a load balancer, the next one may lead to a server that has come back."""
    with fake_server() as server:
        for endpoint in (Endpoint(server.url), Endpoint(server.url, longest_open=0.0)):
            for _ in range(3):
                assert endpoint.post(Payload.of("waits", {"hostname": "h", "waits": [{}]})).stored
            endpoint.close()
        assert server.connections == 1 + 3


def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    """A new server in the file is used after SIGHUP; a mistake in it changes nothing."""
    config = tmp_path / "kernelscope.yaml"
    with fake_server() as one, fake_server() as two:
        arguments = replaying(tmp_path, one.url)
        without_server = [a for a in arguments if a not in ("--server", one.url)]
        config.write_text(f"agent: {{server: '{one.url}'}}\n")
        with agent("--config", config, *without_server) as running:
            one.wait_for(2)
            config.write_text("agent: {servers: 1}\n")
            running.signal(signal.SIGHUP)
            running.wait_for("not reloaded")
            config.write_text(f"agent: {{server: '{two.url}'}}\n")
            running.signal(signal.SIGHUP)
            two.wait_for(2)
            running.stop()


def test_a_fleet_does_not_arrive_at_once() -> None:
    """A thousand agents started in one moment drain spread over the whole interval."""
    category = load_catalog().get("offcputime")
    assert category
    moments = [
        first_interval(ProbeRun(category, ReplayEngine, 60.0, hostname=f"web-{n:03}"))
        for n in range(1000)
    ]
    per_tenth = Counter(int(moment // 6) for moment in moments)
    assert min(moments) >= 6.0
    assert max(moments) <= 60.0
    assert all(70 <= per_tenth[tenth] <= 160 for tenth in range(1, 10))


def test_pauses_between_attempts_grow_and_differ() -> None:
    """Back-off doubles up to its bound, with a random part."""
    assert all(0.5 <= backoff(1, 60) <= 1.0 for _ in range(50))
    assert all(30 <= backoff(20, 60) <= 60 for _ in range(50))
    assert len({backoff(5, 60) for _ in range(10)}) > 5


def test_a_server_that_asks_for_patience_is_not_asked_by_all_at_once() -> None:
    """Agents wait as long as the server asks, and no two retry at the same time."""
    pauses = [
        pause_after(Answer(Outcome.LATER, status=503, retry_after=30.0), 1, 60) for _ in range(10)
    ]
    assert all(30 <= pause <= 45 for pause in pauses)
    assert len(set(pauses)) > 5
    assert pause_after(Answer(Outcome.LATER, status=503, retry_after=1e9), 1, 60) <= 900


def test_the_bundled_recording_shows_at_once_and_says_what_it_is(tmp_path: Path) -> None:
    """A demo has an hour of rows from the first request on, under a host that is marked."""
    with fake_server() as server:
        flags = ("--history", 3600, "--server", server.url, "--spool", tmp_path)
        with agent("offcputime", "--replay", "bundled", *flags) as running:
            server.wait_for(1)
            time.sleep(0.5)
            running.stop()
    hosts = {request.body["hostname"] for request in server.received}
    assert all(host.startswith("recording:") for host in hosts)
    times = sorted({row["time"] for row in server.rows("offcputime")})
    span = datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])
    assert 3500 <= span.total_seconds() <= 3600


class Stuck(ReplayEngine):
    """An engine that hears nothing, as one does that waits for the kernel."""

    def __init__(self) -> None:
        pass

    def start(self) -> None:
        threading.Event().wait()


@pytest.mark.timeout(30)
def test_probes_that_are_stuck_share_one_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are, the agent ends within the time that systemd gives it."""
    monkeypatch.setattr("kscope.agent.agent.DRAIN_WITHIN", 1.0)
    monkeypatch.setattr("kscope.agent.agent.STOP_WITHIN", 2.0)
    plans = [ProbeRun(category, Stuck, 60.0) for category in load_catalog() if category.probe]
    assert len(plans) >= 16
    running = Agent(plans, Delivery("http://127.0.0.1:9", "lab", spool=tmp_path), None)
    running.start()
    running.stop()
    assert all(probe.is_alive() for probe in running.probes)
