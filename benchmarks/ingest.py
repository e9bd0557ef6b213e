"""How fast rows come in over HTTP: validated, durable, SQLite, one server, indexed stacks.

    python -m benchmarks.ingest [--rows 1000000] [--batch 5000] [--senders 4]

Beside it, in the same run: what a bare sqlite3.executemany does with the same rows, in a flat table
of text as the 2016 server had it, and in our own tables of integers.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import sqlite3
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.fleet import Fleet, Minute
from kscope.store.interning import text_hash
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TICK = os.sysconf("SC_CLK_TCK")
_START = 1_790_000_000_000_000
_FLAT = (
    "CREATE TABLE t (hostname TEXT, time TEXT, process TEXT, pid INTEGER, reason TEXT, cgroup TEXT,"
    " stack TEXT, elapsed INTEGER, count INTEGER)"
)
_INTEGERS = (
    "CREATE TABLE t (time BIGINT NOT NULL, seq BIGINT NOT NULL, hostname INTEGER, process INTEGER,"
    " pid BIGINT, tid BIGINT, reason INTEGER, cgroup INTEGER, stack BIGINT, elapsed BIGINT,"
    " count BIGINT, PRIMARY KEY (time, seq)) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Result:
    """Rows a second of wall time, and microseconds of processor time a row."""

    name: str
    rows_per_second: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=5000)
    parser.add_argument("--senders", type=int, default=4)
    options = parser.parse_args()
    minutes = list(_minutes(options.rows))
    rows = sum(len(minute.pairs) for minute in minutes)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}, {rows:,} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        results = [
            over_http(Path(folder), list(_bodies(minutes, options.batch)), options.senders),
            bare(Path(folder) / "flat.db", _FLAT, list(_flat(minutes)), options.batch),
            bare(Path(folder) / "integers.db", _INTEGERS, list(_integers(minutes)), options.batch),
        ]
    for result in results:
        print(
            f"{result.name:36} {result.rows_per_second:9,.0f} rows/s"
            f"  {result.cpu:5.2f} us of processor a row"
        )
    ours, flat, integers = (result.rows_per_second for result in results)
    print(f"ratio to flat {ours / flat:.2f} (target 1), to integers {ours / integers:.2f}")


def over_http(folder: Path, bodies: Sequence[tuple[bytes, int]], senders: int) -> Result:
    with serving(folder) as server:
        _send(server.ingest, bodies[:2])
        before = _cpu_seconds(server.process.pid)
        started = time.perf_counter()
        threads = [
            threading.Thread(target=_send, args=(server.ingest, bodies[number::senders]))
            for number in range(senders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - started
        used = _cpu_seconds(server.process.pid) - before
    rows = sum(count for _, count in bodies)
    return Result("over HTTP, validated and durable", rows / elapsed, used / rows * 1e6)


def bare(path: Path, table: str, rows: Sequence[Sequence[Any]], batch: int) -> Result:
    """As durable as the server: a synced commit for each batch."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(table)
    insert = f"INSERT INTO t VALUES ({','.join('?' * len(rows[0]))})"
    started, used = time.perf_counter(), time.process_time()
    for start in range(0, len(rows), batch):
        connection.execute("BEGIN")
        connection.executemany(insert, rows[start : start + batch])
        connection.execute("COMMIT")
    elapsed, used = time.perf_counter() - started, time.process_time() - used
    connection.close()
    name = "bare executemany, " + ("flat text" if "TEXT" in table else "integers")
    return Result(name, len(rows) / elapsed, used / len(rows) * 1e6)


def _minutes(rows: int) -> Iterator[Minute]:
    made = 0
    for minute in Fleet().minutes(_START, 10**6):
        yield minute
        made += len(minute.pairs)
        if made >= rows:
            return


def _bodies(minutes: Iterable[Minute], batch: int) -> Iterator[tuple[bytes, int]]:
    """Requests of about so many rows: as many minutes of a host as that takes."""
    by_host: dict[str, list[Minute]] = {}
    for minute in minutes:
        waiting = by_host.setdefault(minute.host, [])
        waiting.append(minute)
        if sum(len(m.pairs) for m in waiting) >= batch:
            yield _body(by_host.pop(minute.host))
    for waiting in by_host.values():
        yield _body(waiting)


def _body(minutes: Sequence[Minute]) -> tuple[bytes, int]:
    places: dict[str, int] = {}
    rows = [
        {
            "time": _iso(minute.time),
            "process": pair.process,
            "pid": pair.pid,
            "reason": pair.reason,
            "cgroup": f"/system.slice/{pair.process}.service",
            "stack": places.setdefault(pair.stack, len(places)),
            "elapsed": elapsed,
            "count": count,
        }
        for minute in minutes
        for pair, elapsed, count in zip(minute.pairs, minute.elapsed, minute.count, strict=True)
    ]
    body = {"hostname": minutes[0].host, "stacks": list(places), "offcputime": rows}
    return msgspec.json.encode(body), len(rows)


def _iso(time_us: int) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_us // 1_000_000))
    return f"{whole}.{time_us % 1_000_000:06}Z"


def _flat(minutes: Iterable[Minute]) -> Iterator[tuple[Any, ...]]:
    for minute in minutes:
        moment = _iso(minute.time)
        for pair, elapsed, count in zip(minute.pairs, minute.elapsed, minute.count, strict=True):
            group = f"/system.slice/{pair.process}.service"
            yield (minute.host, moment, pair.process, pair.pid, pair.reason, group, pair.stack,
                   elapsed, count)  # fmt: skip


def _integers(minutes: Iterable[Minute]) -> Iterator[tuple[Any, ...]]:
    numbers: dict[str, int] = {}
    seq = 0
    for minute in minutes:
        for pair, elapsed, count in zip(minute.pairs, minute.elapsed, minute.count, strict=True):
            seq += 1
            names = (minute.host, pair.process, pair.reason, "/" + pair.process)
            host, process, reason, group = (numbers.setdefault(n, len(numbers)) for n in names)
            yield (minute.time, seq, host, process, pair.pid, 0, reason, group,
                   text_hash(pair.stack), elapsed, count)  # fmt: skip


def _send(url: str, bodies: Sequence[tuple[bytes, int]]) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    headers = {"Content-Type": "application/json"}
    for body, _ in bodies:
        connection.request("POST", "/api/v1/ingest", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(text.decode())
    connection.close()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


if __name__ == "__main__":
    main()
