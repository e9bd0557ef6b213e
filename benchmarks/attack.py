"""The effect of each attack on other clients: honest senders and a prober, one attack at a time.

    python -m benchmarks.attack [--only WORD] [--seconds 6] [--senders 4] [--json FILE]

Honest senders send what agents send, at a fixed pace. A prober asks both listeners for /healthz on
new connections. `kept` is the rows that were stored during an attack, beside those of the seconds
before it, in the same run. `silence` is the longest time that a listener did not answer, in
milliseconds, from the start of an attack until all is calm again; in brackets that of the seconds
before it. `machine` is the same for an idle server in a separate process. `peak` is
the server's resident memory in MB, `CPU` its processor time in cores.

All share one machine. Attackers have a fixed number of requests in flight and a low priority. A
run of root has a higher priority than other work. Exits with 1 if a target is missed: at least 70 %
kept, a silence of at most 250 ms more than the machine's, at most 512 MB.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.attacks import ATTACKS, MIB, Attacker
from benchmarks.fleet import Fleet
from benchmarks.probing import (
    Shared,
    begin_window,
    cpu_seconds,
    idle_server,
    new_shared,
    peak_memory,
    prober,
    silences,
    spawn,
)
from tests.serving import free_port, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

    from benchmarks.attacks import Attack
    from tests.serving import Serving

KEPT, SILENCE, PEAK = 0.7, 0.25, 512 * MIB
SIDES = ("read", "ingest")
_PIDS = 400_000
_HOSTS = 100
_FILES = 1024
_PACE = 0.5
PRIORITY = -10
_CALM = 3.0
_RECOVERY = 15.0


@dataclass(frozen=True)
class Result:
    """Silences in seconds: read, ingest, machine. Memory in bytes."""

    attack: str
    kept: float
    silence: tuple[float, float, float]
    calm: tuple[float, float, float]
    peak: int
    cpu: float
    answers: dict[str, int]
    survived: bool

    @property
    def missed(self) -> list[str]:
        found = {
            "kept": self.kept < KEPT,
            "silence": max(self.silence[:2]) - self.silence[2] > SILENCE,
            "peak": self.peak > PEAK,
            "the server ended": not self.survived,
        }
        return [name for name, is_so in found.items() if is_so]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version}, load"
        f" {os.getloadavg()[0]:.1f}"
    )
    print(machine)
    print(
        f"{'':36} {'kept':>5} {'silence read':>15} {'ingest':>15} {'machine':>15} {'peak':>5}"
        f" {'CPU':>5}"
    )
    with suppress(PermissionError):
        os.nice(PRIORITY)
    results = []
    for attack in ATTACKS:
        if options.only in attack.name:
            results.append(measured(attack, options.seconds, options.senders))
            print(_line(results[-1]), flush=True)
            if options.json:
                found = {"machine": machine, "results": [asdict(result) for result in results]}
                options.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(any(result.missed for result in results))


def _line(result: Result) -> str:
    silences = [
        f"{now * 1000:8.0f} ({before * 1000:4.0f})"
        for now, before in zip(result.silence, result.calm, strict=True)
    ]
    verdict = "MISSED: " + ", ".join(result.missed) if result.missed else "ok"
    return (
        f"{result.attack:36} {result.kept:5.0%} {silences[0]:>15} {silences[1]:>15}"
        f" {silences[2]:>15}"
        f" {result.peak / 1e6:5.0f} {result.cpu:5.2f}  {verdict}"
    )


def measured(attack: Attack, seconds: float, senders: int) -> Result:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tokens = _configured(folder)
        if attack.loaded:
            _load(folder, tokens["ingest"])
        with serving(folder, "--config", folder / "kernelscope.yaml", files=_FILES) as server:
            with _company(server, tokens, senders) as shared:
                attacker = Attacker(server.read, server.ingest, tokens["read"], tokens["ingest"])
                found = _beside(server, shared, attack.name, attacker, seconds)
            if not found.survived:
                server.process.wait()
            return found


def _beside(
    server: Serving, shared: Shared, name: str, attacker: Attacker, seconds: float
) -> Result:
    signals = _Signals(spawn.Event(), spawn.Event(), spawn.Event(), spawn.Queue())
    process = spawn.Process(target=_attack, args=(name, attacker, signals))
    process.start()
    signals.ready.wait(120)
    begin_window(shared)
    before, _, calm = _over(server, shared, _CALM)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    begin_window(shared)
    signals.go.set()
    rate, cpu, _ = _over(server, shared, seconds)
    signals.stop.set()
    recovered = _calm_again(shared)
    silence = silences(shared)
    process.join(5)
    if process.is_alive():
        process.terminate()
    counted = signals.answers.get() if not signals.answers.empty() else {}
    survived = server.process.poll() is None
    peak = peak_memory(server.process.pid) if survived else 0
    kept = rate / before if before else 0.0
    return Result(name, kept, silence, calm, peak, cpu, counted, survived and recovered)


def _over(
    server: Serving, shared: Shared, seconds: float
) -> tuple[float, float, tuple[float, float, float]]:
    """Rows stored a second, cores used, and the longest silences of these seconds."""
    rows, cpu, started = shared.rows.value, cpu_seconds(server.process.pid), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    rate = (shared.rows.value - rows) / elapsed
    return rate, (cpu_seconds(server.process.pid) - cpu) / elapsed, silences(shared)


def _calm_again(shared: Shared) -> bool:
    """Wait until both sides answer; False if they do not."""
    stop = time.monotonic() + _RECOVERY
    quiet = 0
    while time.monotonic() < stop and quiet < 10:
        now = time.monotonic()
        quiet = quiet + 1 if all(now - since < SILENCE for since in shared.since[:]) else 0
        time.sleep(0.05)
    return quiet >= 10


def _configured(folder: Path) -> dict[str, str]:
    """Write a server's file with tokens; return these by scope."""
    tokens, lines = {}, []
    for scope in SIDES:
        command = kscope("token", "--name", scope, "--scope", scope)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        tokens[scope] = done.stdout.strip()
        lines.append(done.stderr[done.stderr.index("  - ") :])
    text = f"database: {{sqlite: k.db}}\ntokens:\n{''.join(lines)}"
    (folder / "kernelscope.yaml").write_text(text)
    return tokens


def _load(folder: Path, token: str) -> None:
    """Store a row for each of many process ids."""
    with serving(folder, "--config", folder / "kernelscope.yaml") as server:
        sender = _Sender(server.ingest, token)
        for start in range(0, _PIDS, 10_000):
            rows = [
                {"process": f"p{pid % 50}", "pid": pid, "stack": f"main;f{pid % 300}", "elapsed": 7}
                for pid in range(start, start + 10_000)
            ]
            sender.send(json.dumps({"hostname": "many", "offcputime": rows}).encode(), "")


# The processes beside the server


@contextmanager
def _company(server: Serving, tokens: dict[str, str], senders: int) -> Iterator[Shared]:
    shared = new_shared()
    idle = f"http://127.0.0.1:{free_port()}"
    company = [
        spawn.Process(target=idle_server, args=(urlsplit(idle).port, shared.stop)),
        spawn.Process(target=prober, args=((server.read, server.ingest, idle), shared)),
        spawn.Process(target=_honest, args=(server.ingest, tokens["ingest"], senders, shared)),
    ]
    for process in company:
        process.start()
    stop = time.monotonic() + 60
    while not (shared.rows.value and all(shared.since[:])) and time.monotonic() < stop:
        time.sleep(0.05)
    # The first batches make the caches of stacks and strings.
    time.sleep(1)
    try:
        yield shared
    finally:
        shared.stop.set()
        for process in company:
            process.join(5)
            if process.is_alive():
                process.terminate()


class _Sender:
    def __init__(self, side: str, token: str) -> None:
        parts = urlsplit(side)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(self, body: bytes, encoding: str) -> bool:
        headers = self._headers | {"Idempotency-Key": uuid4().hex}
        if encoding:
            headers["Content-Encoding"] = encoding
        # As agents do: an idle connection may have been closed, that says nothing about the rows.
        for _ in range(2):
            try:
                self._connection.request("POST", "/api/v1/ingest", body, headers)
                answer = self._connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
            else:
                return answer.status == 200
        return False


def _honest(side: str, token: str, senders: int, shared: Shared) -> None:
    bodies = list(_batches())
    threads = [
        threading.Thread(target=_send, args=(side, token, bodies[n::senders], shared), daemon=True)
        for n in range(senders)
    ]
    for thread in threads:
        thread.start()
    shared.stop.wait()


def _send(side: str, token: str, bodies: list[tuple[bytes, int]], shared: Shared) -> None:
    sender = _Sender(side, token)
    number = 0
    due = time.monotonic()
    while not shared.stop.is_set():
        body, rows = bodies[number % len(bodies)]
        number += 1
        if sender.send(body, "gzip"):
            with shared.rows.get_lock():
                shared.rows.value += rows
        due = max(due + _PACE, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _batches() -> Iterator[tuple[bytes, int]]:
    """A minute of each host, as an agent sends it."""
    start = time.time_ns() // 1000 - 60_000_000
    for minute in Fleet(_HOSTS).minutes(start, 1):
        places: dict[str, int] = {}
        rows = [
            {
                "process": pair.process,
                "pid": pair.pid,
                "reason": pair.reason,
                "stack": places.setdefault(pair.stack, len(places)),
                "elapsed": elapsed,
                "count": count,
            }
            for pair, elapsed, count in zip(minute.pairs, minute.elapsed, minute.count, strict=True)
        ]
        body = {"hostname": minute.host, "stacks": list(places), "offcputime": rows}
        yield gzip.compress(json.dumps(body).encode(), 5), len(rows)


@dataclass(frozen=True)
class _Signals:
    ready: Event
    go: Event
    stop: Event
    answers: Any


def _attack(name: str, attacker: Attacker, signals: _Signals) -> None:
    os.nice(-PRIORITY)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    attack = next(each for each in ATTACKS if each.name == name)
    attack.build()
    signals.ready.set()
    signals.go.wait()
    for _ in range(attack.workers):
        work = (attack, attacker, signals.stop)
        threading.Thread(target=_attack_until, args=work, daemon=True).start()
    signals.stop.wait()
    signals.answers.put({str(status): count for status, count in attacker.answers.items()})
    signals.answers.close()
    signals.answers.join_thread()
    os._exit(0)


def _attack_until(attack: Attack, attacker: Attacker, stop: Event) -> None:
    while not stop.is_set():
        attack.act(attacker)
        time.sleep(attack.pause)


if __name__ == "__main__":
    main()
