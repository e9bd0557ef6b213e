"""Bodies as agents send them, through Kernelscope and straight into the engine."""

from __future__ import annotations

import gzip
import http.client
import math
import threading
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec

from benchmarks.ingest import JSON, body_of, by_host, minutes_of
from benchmarks.on_clickhouse.engine import empty_database
from benchmarks.on_clickhouse.size import VERDICTS
from kscope.store.schema.interning import text_hash
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from benchmarks.fleet import Minute
    from benchmarks.on_clickhouse.engine import Engine

GOAL = 0.7
_BATCH = 5000
_OURS = "through Kernelscope"
_GZIP_LEVEL = 5
_PATIENCE = 300
_FILES = 1024
_ROUND_SECONDS = 3
# As durable as Kernelscope's tables: an insert is on the disk when it is answered.
_DURABLE = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
_NUMBERS = "time Int64, pid Int64, elapsed Int64, count Int64, lengths Array(UInt64)"
_WORDS = ("hostname", "process", "reason", "cgroup")


@dataclass(frozen=True)
class Form:
    """A way to keep the rows in a single table, with what a stack and a word are in it."""

    name: str
    word: str
    stack: str

    @property
    def table(self) -> str:
        words = ", ".join(f"{name} {self.word}" for name in _WORDS)
        return (
            f"CREATE TABLE flat ({_NUMBERS}, {words}, stack {self.stack}) ENGINE = MergeTree"
            f" ORDER BY (intDiv(time, 3600000000), hostname, process, reason, time) {_DURABLE}"
        )

    def written(self, text: str, kind: str) -> str | int:
        return text if kind.endswith("String)") or kind == "String" else text_hash(text)


TEXTS = Form("JSONEachRow, texts in each row", "LowCardinality(String)", "String")
IDS = Form("JSONEachRow, ids made elsewhere", "Int64", "Int64")


@dataclass(frozen=True)
class Target:
    """An address that takes bodies, and the headers of its requests; perhaps each has a key."""

    url: str
    headers: Mapping[str, str]
    keyed: bool = False


def measure(engine: Engine, folder: Path, rows: int, senders: int, repeat: int) -> list[bool]:
    """Print rows a second of each way, the best of several, and return whether the goal is reached.

    The ways take turns, so that all of them have the same machine.
    """
    batches = list(by_host(minutes_of(rows, lengths=True), _BATCH))
    bodies = [body_of(batch)[0] for batch in batches]
    count = sum(len(minute.pairs) for batch in batches for minute in batch)
    print(
        f"ingest of {count:,} rows, gzip, {_BATCH:,} a batch, {senders} senders, best of {repeat}",
        flush=True,
    )
    ways = {
        _OURS: partial(through, engine, folder, bodies, senders),
        **{form.name: partial(straight, engine, form, batches, senders) for form in (TEXTS, IDS)},
    }
    seconds = dict.fromkeys(ways, math.inf)
    for _ in range(repeat):
        for name, way in ways.items():
            seconds[name] = min(seconds[name], way())
    for name, each in seconds.items():
        print(f"  {name:34} {count / each:9,.0f} rows/s: ours is {each / seconds[_OURS]:.2f} of it")
    reached = seconds[TEXTS.name] / seconds[_OURS] >= GOAL
    print(f"  goal {GOAL} of the first way of the engine  {VERDICTS[reached]}", flush=True)
    return [reached]


def through(
    engine: Engine,
    folder: Path,
    bodies: Sequence[bytes],
    senders: int,
    kind: str = JSON,
    *flags: str,
) -> float:
    """Return the seconds that a server with an empty database takes; `kind` is a content type."""
    with (
        empty_database(engine, "ingest") as of,
        serving(folder, *of.flags, *flags, files=_FILES) as server,
    ):
        _wait_for_first_round(of)
        headers = {"Content-Type": kind}
        target = Target(f"{server.ingest}/api/v1/ingest", headers, keyed=True)
        return _seconds(target, bodies, senders)


def _wait_for_first_round(of: Engine) -> None:
    """Wait until the server has noted the progress of all levels: once for a new database."""
    count, before = 0, -1
    while count != before or not count:
        time.sleep(_ROUND_SECONDS)
        before, ((count,),) = count, of.rows("SELECT count() FROM kscope_progress")


def straight(
    engine: Engine, form: Form, batches: Sequence[Sequence[Minute]], senders: int
) -> float:
    with empty_database(engine, "flat") as of:
        of.run(form.table)
        asked = {"database": of.of.database, "query": "INSERT INTO flat FORMAT JSONEachRow"}
        target = Target(
            f"http://{of.of.host}:{of.of.port}/?{urlencode(asked)}",
            {"X-ClickHouse-User": of.of.user, "X-ClickHouse-Key": of.of.password},
        )
        return _seconds(target, [_lines(form, batch) for batch in batches], senders)


def _lines(form: Form, minutes: Sequence[Minute]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, _flat(form, minutes)))


def _flat(form: Form, minutes: Sequence[Minute]) -> Iterator[dict[str, Any]]:
    for minute in minutes:
        rows = zip(minute.pairs, minute.elapsed, minute.count, minute.lengths, strict=True)
        for pair, elapsed, count, lengths in rows:
            group = f"/system.slice/{pair.process}.service"
            words = zip(_WORDS, (minute.host, pair.process, pair.reason, group), strict=True)
            yield {
                "time": minute.time,
                "pid": pair.pid,
                "elapsed": elapsed,
                "count": count,
                "lengths": lengths,
                **{name: form.written(text, form.word) for name, text in words},
                "stack": form.written(pair.stack, form.stack),
            }


def _seconds(target: Target, bodies: Sequence[bytes], senders: int) -> float:
    """Return how long the bodies take."""
    packed = [gzip.compress(body, _GZIP_LEVEL) for body in bodies]
    failed: list[str] = []
    threads = [
        threading.Thread(target=_send, args=(target, packed[number::senders], failed))
        for number in range(senders)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(failed[0])
    return time.perf_counter() - started


def _send(target: Target, bodies: Sequence[bytes], failed: list[str]) -> None:
    parts = urlsplit(target.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
    for body in bodies:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        key = {"Idempotency-Key": uuid.uuid4().hex} if target.keyed else {}
        headers = {**target.headers, **key, "Content-Encoding": "gzip"}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 300:
            failed.append(text.decode())
            break
    connection.close()
