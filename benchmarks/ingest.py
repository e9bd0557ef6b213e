"""How fast rows come in over HTTP: validated, durable, SQLite, one server, indexed stacks.

    python -m benchmarks.ingest [--rows 1000000] [--batch 5000] [--senders 4] [--lengths]
        [--start mariadb [--workers 1 --workers 2]]

Beside it, in the same run: what a bare sqlite3.executemany does with the same rows, in a flat table
of text as the 2016 server had it, and in our own tables of integers; and VictoriaMetrics, where it
is installed, sent the same rows as Influx lines by the same senders. With `--lengths` rows have the
histogram of their waits, as the probe sends it. Exits with 1 where a target is missed. With
`--start` rows go into a throw-away MariaDB or ClickHouse instead, with nothing beside it; each
`--workers` is one run, of a server with so many processes.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from benchmarks.fleet import Fleet, Minute, Pair
from benchmarks.throwaway import ENGINES, database
from kscope.declare.types.histogram import histogram_text
from kscope.store.schema.interning import text_hash
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TICK = os.sysconf("SC_CLK_TCK")
# Enough hosts that all rows are of a few minutes, as agents send them: rows of hours that are
# summed already would be added to the sums as well, which the bare inserts do not do.
_HOSTS = 100
FLAT = (
    "CREATE TABLE t (hostname TEXT, time TEXT, process TEXT, pid INTEGER, reason TEXT, cgroup TEXT,"
    " stack TEXT, elapsed INTEGER, count INTEGER, lengths TEXT)"
)
INTEGERS = (
    "CREATE TABLE t (time BIGINT NOT NULL, seq BIGINT NOT NULL, hostname INTEGER, process INTEGER,"
    " pid BIGINT, tid BIGINT, reason INTEGER, cgroup INTEGER, stack BIGINT, elapsed BIGINT,"
    " count BIGINT, lengths TEXT, PRIMARY KEY (time, seq)) WITHOUT ROWID"
)
# Rows a second of the server of 2016 in its own best case, measured once on two such cores.
_OF_2016 = 56_000
_PATIENCE = 30
_FILES = 1024
# Seconds; a server is idle if it used so much processor time between two looks.
_SETTLING, _LOOK, _IDLE = 15, 0.4, 0.01
JSON = "application/json"


@dataclass(frozen=True)
class Result:
    """Rows a second of wall time, and microseconds of processor time a row."""

    name: str
    rows_per_second: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"{self.name:36} {self.rows_per_second:9,.0f} rows/s"
            f"  {self.cpu:5.2f} us of processor a row"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=5000)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--lengths", action="store_true", help="with the histogram of the waits")
    parser.add_argument("--start", choices=ENGINES)
    parser.add_argument("--workers", type=int, action="append", help="with --start; repeat it")
    options = parser.parse_args()
    minutes = list(minutes_of(options.rows, lengths=options.lengths))
    rows = sum(len(minute.pairs) for minute in minutes)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}, {rows:,} rows"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        batches = list(by_host(minutes, options.batch))
        if options.start:
            bodies = [body_of(batch) for batch in batches]
            for number, workers in enumerate(options.workers or [1]):
                _only(options.start, folder / str(number), bodies, options.senders, workers)
            return
        ours = over_http(folder, [body_of(batch) for batch in batches], options.senders)
        texts = bare(folder / "flat.db", FLAT, list(flat(minutes)), options.batch)
        numbers = list(integers_of(minutes))
        integers = bare(folder / "integers.db", INTEGERS, numbers, options.batch)
        victoria = None
        if program := shutil.which("victoria-metrics"):
            lines = [lines_of(batch) for batch in batches]
            victoria = on_victoria(program, folder, lines, options.senders)
    for result in (ours, texts, integers, victoria):
        if result:
            print(result)
    kept = [
        _judged(ours, "bare executemany of flat text", 1, texts.rows_per_second),
        _judged(ours, "the server of 2016", 5, _OF_2016),
    ]
    if victoria:
        kept.append(_judged(ours, victoria.name, 1.5, victoria.rows_per_second))
    else:
        print("VictoriaMetrics: not measured, there is no victoria-metrics to run")
    sys.exit(not all(kept))


def _judged(ours: Result, what: str, times: float, of: float) -> bool:
    kept = ours.rows_per_second >= times * of
    ratio = ours.rows_per_second / of
    print(f"{ratio:5.2f} x {what}, target {times}  {'ok' if kept else 'MISSED'}")
    return kept


def _only(
    engine: str, folder: Path, bodies: Sequence[tuple[bytes, int]], senders: int, workers: int
) -> None:
    folder.mkdir()
    with database(engine, folder / engine) as flags:
        result = over_http(folder, bodies, senders, [*flags, "--workers", str(workers)])
        print(replace(result, name=f"over HTTP, {engine}, workers: {workers}"))


def over_http(
    folder: Path,
    bodies: Sequence[tuple[bytes, int]],
    senders: int,
    flags: Sequence[str] = (),
    kind: str = JSON,
) -> Result:
    """Send each body under a key, as agents do; `kind` is the type of their content."""
    url = "/api/v1/ingest"
    # A server with workers starts processes, as none that is forked from a test may.
    files = _FILES if "--workers" in flags else 0
    with serving(folder, *flags, files=files) as server:
        _send(server.ingest + url, bodies[:2], kind)
        elapsed, used = sent(server.process.pid, server.ingest + url, bodies, senders, kind)
    rows = sum(count for _, count in bodies)
    return Result("over HTTP, validated and durable", rows / elapsed, used / rows * 1e6)


def on_victoria(
    program: str, folder: Path, bodies: Sequence[tuple[bytes, int]], senders: int
) -> Result:
    """Answers before anything is synced: it may lose what is seconds old."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, f"-storageDataPath={folder / 'victoria'}", "-retentionPeriod=10y"]
    command += [f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"]
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        url = f"http://127.0.0.1:{port}/write"
        elapsed, used = sent(process.pid, url, bodies, senders)
    finally:
        process.terminate()
        process.wait(_PATIENCE)
    rows = sum(count for _, count in bodies)
    return Result("VictoriaMetrics", rows / elapsed, used / rows * 1e6)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("VictoriaMetrics does not answer")


def sent(
    pid: int, url: str, bodies: Sequence[tuple[bytes, int]], senders: int, kind: str = JSON
) -> tuple[float, float]:
    """Return seconds of the clock, and of the receiver's processor time.

    Raises RuntimeError if a body is refused.
    """
    settle(pid)
    before = cpu_seconds(pid)
    with ThreadPoolExecutor(senders) as pool:
        started = time.perf_counter()
        parts = [bodies[number::senders] for number in range(senders)]
        list(pool.map(partial(_send, url, kind=kind), parts))
        return time.perf_counter() - started, cpu_seconds(pid) - before


def settle(pid: int) -> None:
    """Wait until a server has done the first work of a new database: some seconds at most."""
    end, before = time.monotonic() + _SETTLING, -1.0
    while (now := cpu_seconds(pid)) > before + _IDLE and time.monotonic() < end:
        before = now
        time.sleep(_LOOK)


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
    name = "bare executemany, " + ("flat text" if table is FLAT else "integers")
    return Result(name, len(rows) / elapsed, used / len(rows) * 1e6)


def minutes_of(rows: int, *, lengths: bool) -> Iterator[Minute]:
    made = 0
    for minute in Fleet(_HOSTS).minutes(time.time_ns() // 1000, 10**6):
        yield minute if lengths else replace(minute, lengths=[()] * len(minute.pairs))
        made += len(minute.pairs)
        if made >= rows:
            return


def by_host(minutes: Iterable[Minute], batch: int) -> Iterator[list[Minute]]:
    """Yield batches of so many rows of a host, and last those that are left."""
    kept: dict[str, list[Minute]] = {}
    for each in minutes:
        waiting, left = kept.setdefault(each.host, []), each
        room = batch - sum(len(minute.pairs) for minute in waiting)
        while len(left.pairs) >= room:
            yield [*waiting, _part(left, 0, room)]
            waiting.clear()
            left, room = _part(left, room, len(left.pairs)), batch
        if left.pairs:
            waiting.append(left)
    yield from filter(None, kept.values())


def _part(minute: Minute, start: int, stop: int) -> Minute:
    return replace(
        minute,
        pairs=minute.pairs[start:stop],
        elapsed=minute.elapsed[start:stop],
        count=minute.count[start:stop],
        lengths=minute.lengths[start:stop],
    )


def body_of(minutes: Sequence[Minute]) -> tuple[bytes, int]:
    places: dict[str, int] = {}
    rows = [
        {
            "time": iso(minute.time),
            "process": pair.process,
            "pid": pair.pid,
            "reason": pair.reason,
            "cgroup": f"/system.slice/{pair.process}.service",
            "stack": places.setdefault(pair.stack, len(places)),
            "elapsed": elapsed,
            "count": count,
            **({"lengths": lengths} if lengths else {}),
        }
        for minute in minutes
        for pair, elapsed, count, lengths in rows_of(minute)
    ]
    body = {"hostname": minutes[0].host, "stacks": list(places), "offcputime": rows}
    return msgspec.json.encode(body), len(rows)


def rows_of(minute: Minute) -> Iterator[tuple[Pair, int, int, Sequence[int]]]:
    return zip(minute.pairs, minute.elapsed, minute.count, minute.lengths, strict=True)


def lines_of(minutes: Sequence[Minute]) -> tuple[bytes, int]:
    """Influx lines; a stack is its hash, as a label of 500 bytes would be cut off."""
    lines = [
        f"offcputime,hostname={minute.host},process={pair.process},pid={pair.pid},"
        f"reason={pair.reason},cgroup=/system.slice/{pair.process}.service,"
        f"stack={text_hash(pair.stack)} elapsed={elapsed},count={count} {minute.time}000"
        for minute in minutes
        for pair, elapsed, count, _ in rows_of(minute)
    ]
    return "\n".join(lines).encode(), len(lines)


def iso(time_us: int) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_us // 1_000_000))
    return f"{whole}.{time_us % 1_000_000:06}Z"


def flat(minutes: Iterable[Minute]) -> Iterator[tuple[Any, ...]]:
    for minute in minutes:
        moment = iso(minute.time)
        for pair, elapsed, count, lengths in rows_of(minute):
            group = f"/system.slice/{pair.process}.service"
            yield (minute.host, moment, pair.process, pair.pid, pair.reason, group, pair.stack,
                   elapsed, count, histogram_text(lengths))  # fmt: skip


def integers_of(minutes: Iterable[Minute]) -> Iterator[tuple[Any, ...]]:
    numbers: dict[str, int] = {}
    seq = 0
    for minute in minutes:
        for pair, elapsed, count, lengths in rows_of(minute):
            seq += 1
            names = (minute.host, pair.process, pair.reason, "/" + pair.process)
            host, process, reason, group = (numbers.setdefault(n, len(numbers)) for n in names)
            yield (minute.time, seq, host, process, pair.pid, 0, reason, group,
                   text_hash(pair.stack), elapsed, count, histogram_text(lengths))  # fmt: skip


def _send(url: str, bodies: Sequence[tuple[bytes, int]], kind: str) -> None:
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    for body, _ in bodies:
        headers = {"Content-Type": kind, "Idempotency-Key": uuid4().hex}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {text.decode(errors='replace')[:300]}")
    connection.close()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of the workers that it has started."""
    listed = [each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    workers = [int(child) for children in listed for child in children]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK + sum(map(cpu_seconds, workers))


if __name__ == "__main__":
    main()
