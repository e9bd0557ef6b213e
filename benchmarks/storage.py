"""How large rows are, and how fast questions over long ranges are answered.

    python -m benchmarks.storage [--hours 24] [--hosts 10] [--mysql-hours 24] [--folder F]

Loads a fleet's rows through the store's writer, sums them by its own housekeeping, and asks a real
server over HTTP. An answer's time is the client's: from before the request until the last byte is
read. `first` is the first answer of a server that has just started, `answer` the median of those
after it. Beside them stands the engine's own time for the bare statement, over a connection that is
open already, its rows fetched and thrown away: in this run, on this machine. Exits with 1 where a
target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import platform
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import asyncmy
import msgspec

from benchmarks.loading import DAY, EARLIER_DAYS, HOUR, TABLE, Span, load, load_without_lengths
from kscope.config import MySQL, Settings, SQLite
from tests.mariadb import PASSWORD, USER, MariaDB, install
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS = 7
BYTES_PER_ROW = 56
# Of the bare statement's time, on MariaDB.
TIMES_BARE = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24, help="fewer for a quick look")
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where the data goes; kept when given")
    parser.add_argument("--mysql-hours", type=int, help="on MariaDB; default: the same; 0: none")
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {_cpu()}, load {os.getloadavg()[0]:.1f},"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    on_mysql = options.hours if options.mysql_hours is None else options.mysql_hours
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [*on_sqlite(folder, options.hosts, options.hours)]
        if on_mysql:
            kept += on_mariadb(folder, options.hosts, on_mysql)
    print(f"load at the end {os.getloadavg()[0]:.1f}; {kept.count(False)} of {len(kept)} missed")
    sys.exit(not all(kept))


def _span(hours: int) -> Span:
    """Noon to noon, so that no daily sum fits, and long enough ago for all sums to be there."""
    noon = (time.time_ns() // 1000 // DAY) * DAY - DAY // 2
    return Span(noon - hours * HOUR, noon)


def on_sqlite(folder: Path, hosts: int, hours: int) -> Iterator[bool]:
    """Each target: was it kept?"""
    path = folder / "fleet.db"
    settings = Settings(database=SQLite(path))
    span = _span(hours)
    print(f"\nSQLite, {hosts} hosts, {hours} h")
    if not path.exists():
        asyncio.run(load(settings, hosts, span))
    yield size(path, folder, hosts)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.execute("PRAGMA mmap_size=1073741824")

        def bare(text: str) -> None:
            connection.execute(text).fetchall()

        yield from ask_all(settings, folder, span, bare)


def size(path: Path, folder: Path, hosts: int) -> bool:
    plain_path = folder / "without-lengths.db"
    if not plain_path.exists():
        settings = Settings(database=SQLite(plain_path))
        asyncio.run(load_without_lengths(settings, hosts, _span(1)))
    rows, parts = sizes(path)
    plain_rows, plain_parts = sizes(plain_path)
    own = f"kscope_rows_{TABLE}"
    sums = sum(length for name, length in parts.items() if "_rollup_" in name)
    # Strings, stacks, batches, every index: all that is not rows and not sums.
    beside = sum(parts.values()) - sums - parts[own]
    with_lengths = (parts[own] + beside) / rows
    without = plain_parts[own] / plain_rows + beside / rows
    print(f"  strings, stacks and every index {beside / rows:.1f} B/row, counted in both:")
    print(
        f"  rows of the probe {with_lengths:.1f} B/row, of which lengths of waits, as a histogram"
    )
    print(f"  rows without it   {without:.1f} B/row, target {BYTES_PER_ROW}", end="  ")
    kept = _verdict(kept=without <= BYTES_PER_ROW)
    print(kept[0])
    print(f"  sums {sums / 2**20:.1f} MiB, file {path.stat().st_size / 2**20:.0f} MiB")
    return kept[1]


def sizes(path: Path) -> tuple[int, dict[str, int]]:
    """How many rows, and the bytes of each table and index."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (rows,) = connection.execute(f"SELECT count(*) FROM kscope_rows_{TABLE}").fetchone()
        parts = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall()
    return rows, dict(parts)


def on_mariadb(folder: Path, hosts: int, hours: int) -> Iterator[bool]:
    with _mariadb(folder / "mariadb") as (engine, is_new):
        engine.sql("SET GLOBAL innodb_buffer_pool_size=4294967296")
        name = engine.new_database() if is_new else "kscope_0"
        settings = Settings(database=MySQL("127.0.0.1", engine.port, USER, PASSWORD, name))
        span = _span(hours)
        print(f"\nMariaDB {engine.sql('SELECT @@version').strip()}, {hosts} hosts, {hours} h")
        if is_new:
            asyncio.run(load(settings, hosts, span))
        rows, length = engine.sql(
            f"ANALYZE TABLE kscope_rows_{TABLE}; SELECT table_rows, data_length + index_length"
            f" FROM information_schema.tables WHERE table_name = 'kscope_rows_{TABLE}'"
            f" AND table_schema = '{name}'",
            name,
        ).split()[-2:]
        print(f"  {int(length) / int(rows):.0f} B/row (InnoDB's estimate)")
        with _open_connection(settings.database) as bare:
            yield from ask_all(settings, folder, span, bare)


@contextmanager
def _mariadb(folder: Path) -> Iterator[tuple[MariaDB, bool]]:
    is_new = not folder.exists()
    if is_new:
        engine = install(folder)
    else:
        with socket.create_server(("127.0.0.1", 0)) as free:
            engine = MariaDB(folder, free.getsockname()[1])
        engine.start()
    try:
        yield engine, is_new
    finally:
        engine.stop()


@contextmanager
def _open_connection(database: Any) -> Iterator[Callable[[str], None]]:
    """The driver that the server uses, and nothing else."""
    with asyncio.Runner() as runner:
        connection = runner.run(_connected(database))

        async def fetch(text: str) -> None:
            async with connection.cursor() as cursor:
                await cursor.execute(text)
                await cursor.fetchall()

        yield lambda text: runner.run(fetch(text))
        connection.close()


async def _connected(database: MySQL) -> Any:
    return await asyncmy.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        db=database.database,
    )


@dataclass(frozen=True)
class Question:
    """A flame graph, the table that should answer it, and in how many ms on SQLite."""

    name: str
    span: Span
    table: str
    target: int
    host: str = ""

    @property
    def bare(self) -> str:
        """Return the least work that the engine must do."""
        one = f" AND hostname = (SELECT id FROM kscope_string WHERE text = '{self.host}')"
        return (
            f"SELECT process, stack, sum(elapsed) FROM {self.table} WHERE time >= {self.span.start}"
            f" AND time < {self.span.stop}{one if self.host else ''} GROUP BY process, stack"
        )

    @property
    def address(self) -> str:
        host = {"hostname": self.host} if self.host else {}
        asked = {"from": self.span.start, "to": self.span.stop, **host}
        return f"/api/v1/flamegraph/{TABLE}?{urlencode(asked)}"


def _questions(span: Span) -> list[Question]:
    midnight = span.start - span.start % DAY
    middle = span.start + span.hours // 2 * HOUR
    month = Span(midnight - EARLIER_DAYS * DAY, midnight)
    # Just inside an hour, so that no hourly sum fits.
    hour = Span(middle + 1, middle + HOUR - 1)
    return [
        Question(f"{span.hours} h of all hosts", span, f"kscope_rollup_1h_{TABLE}", 300),
        Question(f"{EARLIER_DAYS} days of all hosts", month, f"kscope_rollup_1d_{TABLE}", 500),
        Question("one hour of one host", hour, f"kscope_rows_{TABLE}", 100, "web-003"),
    ]


def ask_all(
    settings: Settings, folder: Path, span: Span, bare: Callable[[str], None]
) -> Iterator[bool]:
    print("  flame graph              first   answer   target     bare  ratio")
    for question in _questions(span):
        # A separate server for each, so that the first answer uses no cache.
        with serving(folder, *_database(settings)) as server:
            yield _ask(server, question, bare, on_sqlite=isinstance(settings.database, SQLite))


def _ask(
    server: Serving, question: Question, bare: Callable[[str], None], *, on_sqlite: bool
) -> bool:
    first, _ = _answer(server, question)
    own, answers = [], []
    for _ in range(RUNS):
        started = time.perf_counter()
        bare(question.bare)
        own.append((time.perf_counter() - started) * 1000)
        answers.append(_answer(server, question))
    took = statistics.median(each for each, _ in answers)
    alone = statistics.median(own)
    target = question.target if on_sqlite else TIMES_BARE * alone
    body = answers[-1][1]
    meta = msgspec.json.decode(body)["meta"]
    verdict, kept = _verdict(kept=took <= target)
    print(
        f"  {question.name:22} {first:4.0f} ms {took:5.0f} ms {target:5.0f} ms {alone:5.0f} ms"
        f" {took / alone:6.2f}  {verdict:6}  {meta['source']}, {meta['rows']:,} rows,"
        f" {len(body) / 1e6:.1f} MB",
        flush=True,
    )
    return kept


def _answer(server: Serving, question: Question) -> tuple[float, bytes]:
    """How many ms until the last byte was here, and the answer."""
    connection = http.client.HTTPConnection(urlsplit(server.read).netloc, timeout=120)
    connection.connect()
    started = time.perf_counter()
    connection.request("GET", question.address)
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - started) * 1000
    connection.close()
    if answer.status != 200:
        raise SystemExit(body.decode())
    return took, body


def _verdict(*, kept: bool) -> tuple[str, bool]:
    return ("ok" if kept else "MISSED"), kept


def _database(settings: Settings) -> list[str | Path]:
    database = settings.database
    if isinstance(database, SQLite):
        return ["--sqlite", database.path]
    return [
        *("--mysql", database.host, "--dbport", str(database.port), "--dbuser", database.user),
        *("--dbpassword", database.password, "--dbname", database.database),
    ]


def _cpu() -> str:
    lines = iter(Path("/proc/cpuinfo").read_text().splitlines())
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
