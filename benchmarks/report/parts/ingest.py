"""Rows a second over HTTP, of rows and of columns, beside what others take."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import influx, ingest, load_data
from benchmarks.on_clickhouse import engine as clickhouse
from benchmarks.on_clickhouse import ingest as on_clickhouse
from benchmarks.report.forms import COLUMNS, ENCODERS, ROWS
from benchmarks.report.machine import version
from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, bytes_of, reason, say, take_turns
from benchmarks.scaling import RATE
from tests import mariadb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.fleet import Minute

FLAT, INTEGERS = "executemany of flat text", "executemany of integers"
VICTORIA, INFLUX, LOAD = "VictoriaMetrics", "InfluxDB", "LOAD DATA of flat text"
TEXTS, IDS = "JSONEachRow, texts", "JSONEachRow, ids"
_WORKERS = ("--workers", str(os.cpu_count()))
WORKERS = f"{COLUMNS}, {os.cpu_count()} workers"
SENDERS, BATCHES = (1, 4, 16), (100, 1_000, 10_000)
USUAL_SENDERS, USUAL_BATCH = 4, 10_000
_COLUMNS = (
    "way",
    "rows/s",
    "us of CPU a row",
    "bytes a row on disk",
    f"{COLUMNS}: times as many",
)


@dataclass(frozen=True)
class Result:
    """`size` is the bytes on the disk of a row; 0 if the folder has other data too."""

    rate: float
    cpu: float
    size: float


Ways = dict[str, "Callable[[Path], Result]"]


@dataclass(frozen=True)
class Data:
    """The same rows for every way, in batches of one host."""

    minutes: Sequence[Minute]
    batches: Sequence[Sequence[Minute]]
    batch: int

    def bodies(self, form: str) -> list[tuple[bytes, int]]:
        encode, _ = ENCODERS[form]
        return [encode(batch) for batch in self.batches]

    def of_batches(self, batch: int) -> Data:
        return Data(self.minutes, list(ingest.by_host(self.minutes, batch)), batch)

    def part(self, of: int) -> Data:
        """Return the first rows, one of so many."""
        minutes = self.minutes[: max(1, len(self.minutes) // of)]
        return Data(minutes, list(ingest.by_host(minutes, self.batch)), self.batch)


def data_of(rows: int, batch: int, *, lengths: bool = False) -> Data:
    minutes = list(ingest.minutes_of(rows, lengths=lengths))
    return Data(minutes, list(ingest.by_host(minutes, batch)), batch)


def measure(options: Options) -> Found:
    rows = options.size(1_000_000, 50_000)
    data = data_of(rows, USUAL_BATCH)
    found: list[tuple[list[Table], dict[str, Measured], list[str]]] = []
    if "sqlite" in options.engines:
        found += [
            _beside_peers(data, options.repeat),
            _with_lengths(rows // 2, options.repeat),
            _by_senders(data.part(3), options.repeat),
            _by_batch(data.part(3), options.repeat),
        ]
    if "mariadb" in options.engines:
        found.append(_guarded("MariaDB", lambda: _on_mariadb(data.part(5), options.repeat)))
    if "clickhouse" in options.engines:
        found.append(_guarded("ClickHouse", lambda: _on_clickhouse(data.part(5), options.repeat)))
    return Found(
        tables=tuple(table for tables, _, _ in found for table in tables),
        facts={name: value for _, facts, _ in found for name, value in facts.items()},
        failures=tuple(dict.fromkeys(each for _, _, failures in found for each in failures)),
        engines=_engines(),
    )


def _engines() -> dict[str, str]:
    named = {
        VICTORIA: version("dpkg-query", "-W", "-f", "${Version}", "victoria-metrics"),
        INFLUX: version("dpkg-query", "-W", "-f", "${Version}", "influxdb"),
        "MariaDB": version("dpkg-query", "-W", "-f", "${Version}", "mariadb-server"),
    }
    return {name: each for name, each in named.items() if each}


def _guarded(
    name: str, work: Callable[[], tuple[list[Table], dict[str, Measured], list[str]]]
) -> tuple[list[Table], dict[str, Measured], list[str]]:
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a skip of the tests, too: the report shows it
        return [], {}, [f"{name}: {reason(error)}"]


# SQLite


def _beside_peers(data: Data, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    ways: Ways = {form: _over_http(data, form, USUAL_SENDERS) for form in ENCODERS}
    ways |= {FLAT: _bare_flat(data), INTEGERS: _bare_integers(data)}
    lines = [ingest.lines_of(batch) for batch in data.batches]
    taken: Taken[Result] = take_turns(ways | _servers_of_lines(lines), repeat)
    taken.failures.extend(_missing())
    title = f"SQLite and its peers: {_described(data)}, {USUAL_SENDERS} senders"
    facts = _ratios(taken, "ingest", (FLAT, INTEGERS, VICTORIA, INFLUX))
    return [_table(title, taken)], facts, taken.failures


def _with_lengths(rows: int, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    data = data_of(rows, USUAL_BATCH, lengths=True)
    ways = {form: _over_http(data, form, USUAL_SENDERS) for form in (ROWS, COLUMNS)}
    taken = take_turns(ways | {FLAT: _bare_flat(data)}, repeat)
    title = f"SQLite, rows with the histogram of their waits: {_described(data)}, "
    facts = _ratios(taken, "ingest with histograms", (FLAT,))
    facts |= _rate_of("SQLite", taken)
    return [_table(f"{title}{USUAL_SENDERS} senders", taken)], facts, taken.failures


def _by_senders(data: Data, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    of_batches = data.of_batches(1_000)
    ways = {
        f"{form}; {count} sender{'s' * (count > 1)}": _over_http(of_batches, form, count)
        for form in (ROWS, COLUMNS)
        for count in SENDERS
    }
    title = f"SQLite, by the number of senders: {_described(of_batches)}"
    return _growing(title, ways, repeat, f"as with {SENDERS[0]} sender")


def _by_batch(data: Data, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    ways: Ways = {}
    # A commit for each hundred rows takes long: a fifth of the rows shows it.
    parts = {100: 5}
    sizes = {batch: data.part(parts.get(batch, 1)).of_batches(batch) for batch in BATCHES}
    for form in (ROWS, COLUMNS):
        for batch, of in sizes.items():
            ways[f"{form}; {batch:,} rows"] = _over_http(of, form, USUAL_SENDERS)
    for batch, of in sizes.items():
        ways[f"{FLAT}; {batch:,} rows"] = _bare_flat(of)
    title = f"SQLite, by the rows of a batch: {USUAL_SENDERS} senders"
    return _growing(title, ways, repeat, f"as with {BATCHES[0]} rows")


def _growing(
    title: str, ways: Ways, repeat: int, first: str
) -> tuple[list[Table], dict[str, Measured], list[str]]:
    """Compare each way with the first of its form."""
    taken = take_turns(ways, repeat)
    rows = []
    for name, results in taken.results.items():
        form = name.partition(";")[0]
        start = next(each for each in taken.results if each.startswith(f"{form};"))
        rate, cpu = _rates(results), Measured(tuple(each.cpu for each in results))
        rows.append((name, rate, cpu, rate.over(_rates(taken.results[start]))))
    columns = ("way", "rows/s", "us of CPU a row", f"times as many {first}")
    return [Table(title, columns, tuple(rows))], {}, taken.failures


def _over_http(
    data: Data, form: str, senders: int, flags: Sequence[str] = ()
) -> Callable[[Path], Result]:
    kind = ENCODERS[form][1]
    bodies = data.bodies(form)

    def run(folder: Path) -> Result:
        found = ingest.over_http(folder, bodies, senders, flags, kind)
        # The first bodies are there twice.
        rows = sum(count for _, count in [*bodies, *bodies[:2]])
        return Result(found.rows_per_second, found.cpu, 0 if flags else bytes_of(folder) / rows)

    return run


def _bare_flat(data: Data) -> Callable[[Path], Result]:
    return lambda folder: _result(
        ingest.bare(folder / "flat.db", ingest.FLAT, list(ingest.flat(data.minutes)), data.batch),
        bytes_of(folder),
        data,
    )


def _bare_integers(data: Data) -> Callable[[Path], Result]:
    return lambda folder: _result(
        ingest.bare(
            folder / "integers.db",
            ingest.INTEGERS,
            list(ingest.integers_of(data.minutes)),
            data.batch,
        ),
        bytes_of(folder),
        data,
    )


def _result(found: ingest.Result, size: int, data: Data) -> Result:
    rows = sum(len(minute.pairs) for minute in data.minutes)
    return Result(found.rows_per_second, found.cpu, size / rows)


def _servers_of_lines(lines: Sequence[tuple[bytes, int]]) -> Ways:
    """Return the servers that are installed and take Influx lines."""
    rows = sum(count for _, count in lines)

    def victoria(program: str, folder: Path) -> Result:
        found = ingest.on_victoria(program, folder, lines, USUAL_SENDERS)
        return Result(found.rows_per_second, found.cpu, bytes_of(folder) / rows)

    def influxdb(program: str, folder: Path) -> Result:
        with influx.running(program, folder / "influx") as server:
            took, used = ingest.sent(server.pid, server.write, lines, USUAL_SENDERS)
        return Result(rows / took, used / rows * 1e6, bytes_of(folder) / rows)

    ways = {VICTORIA: ("victoria-metrics", victoria), INFLUX: ("influxd", influxdb)}
    return {
        name: partial(way, program)
        for name, (command, way) in ways.items()
        if (program := shutil.which(command))
    }


def _missing() -> Iterator[str]:
    for name, command in (VICTORIA, "victoria-metrics"), (INFLUX, "influxd"):
        if not shutil.which(command):
            yield f"{name}: not installed, there is no {command}"


# The other databases


def _on_mariadb(data: Data, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        say("MariaDB starts")
        server = mariadb.install(Path(folder, "engine"), "--innodb-buffer-pool-size=1G")
        stack.callback(server.stop)

        def over_http(form: str, place: Path, *more: str) -> Result:
            flags = [*server.options(server.new_database()), *more]
            return _over_http(data, form, USUAL_SENDERS, flags)(place)

        def loaded(place: Path) -> Result:
            return _result(load_data.load_data(server, place, data.batches), 0, data)

        ways: Ways = {form: partial(over_http, form) for form in (ROWS, COLUMNS)}
        ways[WORKERS] = lambda place: over_http(COLUMNS, place, *_WORKERS)
        taken = take_turns(ways | {LOAD: loaded}, repeat)
    title = f"MariaDB: {_described(data)}, {USUAL_SENDERS} senders; LOAD DATA over one connection"
    return [_table(title, taken)], _facts_of(taken, "MariaDB", (LOAD,)), taken.failures


def _on_clickhouse(data: Data, repeat: int) -> tuple[list[Table], dict[str, Measured], list[str]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        clickhouse.throw_away(Path(folder, "node")) as engine,
    ):
        rows = sum(len(minute.pairs) for minute in data.minutes)

        def through(form: str, place: Path, *more: str) -> Result:
            encode, kind = ENCODERS[form]
            bodies = [encode(batch)[0] for batch in data.batches]
            seconds = on_clickhouse.through(engine, place, bodies, 16, kind, *more)
            return Result(rows / seconds, 0, 0)

        def straight(form: on_clickhouse.Form, _: Path) -> Result:
            return Result(rows / on_clickhouse.straight(engine, form, data.batches, 16), 0, 0)

        ways: Ways = {form: partial(through, form) for form in (ROWS, COLUMNS)}
        ways[WORKERS] = lambda place: through(COLUMNS, place, *_WORKERS)
        ways[TEXTS] = partial(straight, on_clickhouse.TEXTS)
        ways[IDS] = partial(straight, on_clickhouse.IDS)
        taken = take_turns(ways, repeat)
    title = f"{engine.name}: {_described(data)}, gzip, 16 senders"
    return [_table(title, taken)], _facts_of(taken, "ClickHouse", (TEXTS,)), taken.failures


def _facts_of(taken: Taken[Result], engine: str, peers: Sequence[str]) -> dict[str, Measured]:
    return _ratios(taken, f"ingest {engine}", peers) | _rate_of(engine, taken)


def _rate_of(engine: str, taken: Taken[Result]) -> dict[str, Measured]:
    """Return the rate of columns, or of rows if columns failed."""
    found = [taken.results[form] for form in (COLUMNS, ROWS) if form in taken.results]
    return {f"{engine} {RATE}": _rates(found[0])} if found else {}


# Tables


def _described(data: Data) -> str:
    rows = sum(len(minute.pairs) for minute in data.minutes)
    return f"{rows:,} rows in batches of {data.batch:,}"


def _rates(results: Sequence[Result]) -> Measured:
    return Measured(tuple(each.rate for each in results))


def _ratios(taken: Taken[Result], name: str, peers: Sequence[str]) -> dict[str, Measured]:
    """Return how many times as many rows columns have as each peer, by `NAME / PEER`."""
    ours: Mapping[str, list[Result]] = taken.results
    if COLUMNS not in ours:
        return {}
    rate = _rates(ours[COLUMNS])
    return {f"{name} / {peer}": rate.over(_rates(ours[peer])) for peer in peers if peer in ours}


def _table(title: str, taken: Taken[Result]) -> Table:
    ours = taken.results.get(COLUMNS)
    rows = []
    for name, results in taken.results.items():
        rate = _rates(results)
        cpu = Measured(tuple(each.cpu for each in results))
        size = Measured(tuple(each.size for each in results))
        times = _rates(ours).over(rate) if ours and name != COLUMNS else ""
        rows.append((name, rate, cpu if cpu.median else "", size if size.median else "", times))
    kept = [i for i in range(len(_COLUMNS)) if i < 2 or any(row[i] for row in rows)]
    return Table(
        title,
        tuple(_COLUMNS[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
    )
