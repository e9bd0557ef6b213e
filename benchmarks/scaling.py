"""The table of docs/scaling.md and the figures below it, computed from measured ones.

    python -m benchmarks.scaling [--write]

`measured.json` has the figures: `benchmarks/run` writes those that its parts have measured. With
`--write` the script replaces both in docs/scaling.md.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.fleet import ROWS_PER_MINUTE

MEASURED_FILE = Path(__file__).parent / "measured.json"
BYTES, RATE, GRAPH = "bytes a row", "rows/s", "s for a flame graph of 10 million rows"
ENGINES = ("SQLite", "MariaDB", "ClickHouse")
# The names that figures have in the file, and in the results of `benchmarks/run`.
FIGURES = frozenset(f"{engine} {figure}" for engine in ENGINES for figure in (BYTES, RATE, GRAPH))
DOC = Path(__file__).parent.parent / "docs" / "scaling.md"
HOSTS = (10, 100, 1_000, 10_000)
MINUTES_A_DAY = 24 * 60
UNKNOWN = "not measured"
_BLOCK = re.compile(r"(<!-- python -m benchmarks\.scaling -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Engine:
    """Measured figures of a database; None: not measured yet.

    `bytes_a_row` includes a row's share of texts, stacks and indexes. `rows_a_second` is what one
    server stores on it, on the same machine. `graph_seconds` is the time of a flame graph of 10
    million raw rows.
    """

    name: str
    bytes_a_row: float | None
    rows_a_second: float | None
    graph_seconds: float | None


@dataclass(frozen=True)
class Measured:
    """The figures that the table is computed from."""

    sqlite: Engine
    mariadb: Engine
    clickhouse: Engine
    # benchmarks/fleet.py: off-CPU rows of a host, as its agent sends them.
    rows_a_minute: int = ROWS_PER_MINUTE

    @property
    def engines(self) -> tuple[Engine, ...]:
        return self.sqlite, self.mariadb, self.clickhouse


def read_measured() -> Measured:
    found: dict[str, float] = msgspec.json.decode(MEASURED_FILE.read_bytes())
    engines = (
        Engine(name, *(found.get(f"{name} {figure}") for figure in (BYTES, RATE, GRAPH)))
        for name in ENGINES
    )
    return Measured(*engines)


@dataclass(frozen=True)
class Choices:
    """Decisions of a person who plans a fleet, not measurements."""

    retention_days: int = 14  # as categories/offcputime.yaml has it
    busy: float = 0.5  # the share of the measured rate that a server or a node is planned with
    largest_sqlite: float = 100e9  # bytes of a file that is still copied and checked in an hour
    largest_mariadb: float = 500e9
    node_disk: float = 1e12  # bytes of rows on one node
    replicas: int = 2


MEASURED = read_measured()
CHOICES = Choices()


def rows_a_minute(hosts: int) -> int:
    return hosts * MEASURED.rows_a_minute


def rows_a_second(hosts: int) -> float:
    return rows_a_minute(hosts) / 60


def rows_a_day(hosts: int) -> int:
    return rows_a_minute(hosts) * MINUTES_A_DAY


def bytes_a_day(hosts: int, engine: Engine) -> float | None:
    return None if engine.bytes_a_row is None else rows_a_day(hosts) * engine.bytes_a_row


def bytes_kept(hosts: int, engine: Engine) -> float | None:
    each = bytes_a_day(hosts, engine)
    return None if each is None else each * CHOICES.retention_days


def database(hosts: int) -> Engine:
    """Return the smallest database that has room for what is kept."""
    for engine, largest in (
        (MEASURED.sqlite, CHOICES.largest_sqlite),
        (MEASURED.mariadb, CHOICES.largest_mariadb),
    ):
        kept = bytes_kept(hosts, engine)
        if kept is not None and kept <= largest:
            return engine
    return MEASURED.clickhouse


def servers(hosts: int) -> int | None:
    """Return the number of servers, one of them a spare; a SQLite file has only one."""
    engine = database(hosts)
    if engine is MEASURED.sqlite:
        return 1
    if engine.rows_a_second is None:
        return None
    return math.ceil(rows_a_second(hosts) / (engine.rows_a_second * CHOICES.busy)) + 1


def nodes(hosts: int) -> tuple[int, int] | None:
    """Return shards and replicas of the ClickHouse cluster; (0, 0) without one."""
    engine = database(hosts)
    if engine is not MEASURED.clickhouse:
        return 0, 0
    kept = bytes_kept(hosts, engine)
    if kept is None or engine.rows_a_second is None:
        return None
    by_room = kept / CHOICES.node_disk
    by_rate = rows_a_second(hosts) / (engine.rows_a_second * CHOICES.busy)
    return math.ceil(max(by_room, by_rate)), CHOICES.replicas


def table() -> str:
    """Return the table as Markdown."""
    heads = ["hosts", "rows a second", "million rows a day"]
    heads += [f"{engine.name}, a day" for engine in MEASURED.engines]
    heads += ["database", f"{CHOICES.retention_days} days in it", "servers", "nodes"]
    rows = [_row(hosts) for hosts in HOSTS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])


def figures() -> str:
    """Return the measured figures that the table is computed from, and an hour's flame graph."""
    million = rows_a_minute(100) * 60 / 1e6
    engines = MEASURED.engines
    drawn = (MEASURED.sqlite, MEASURED.clickhouse)
    lists = {
        "Bytes of a row": {e.name: e.bytes_a_row for e in engines},
        "Rows a second that one server stores": {e.name: e.rows_a_second for e in engines},
        f"Seconds for a flame graph of an hour's raw rows of 100 hosts, {million:.1f} million": {
            e.name: _times(e.graph_seconds, million / 10) for e in drawn
        },
    }
    return "\n".join(f"- {name}: {_listed(values)}." for name, values in lists.items())


def _listed(values: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _row(hosts: int) -> list[str]:
    engine = database(hosts)
    return [
        f"{hosts:,}",
        f"{rows_a_second(hosts):,.0f}",
        f"{rows_a_day(hosts) / 1e6:,.0f}",
        *(_size(bytes_a_day(hosts, each)) for each in MEASURED.engines),
        engine.name,
        _size(bytes_kept(hosts, engine)),
        _count(servers(hosts)),
        _nodes(nodes(hosts)),
    ]


def _size(size: float | None) -> str:
    if size is None:
        return UNKNOWN
    unit, name = (1e12, "TB") if size >= 1e12 else (1e9, "GB")
    return f"{size / unit:.{1 if size < 10 * unit else 0}f} {name}"


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _nodes(found: tuple[int, int] | None) -> str:
    if found is None:
        return UNKNOWN
    shards, replicas = found
    return f"{shards * replicas}: {shards} x {replicas}" if shards else "none"


def block() -> str:
    """Return the part of the page that is computed."""
    return f"{table()}\n\n{figures()}\n"


def with_block(text: str) -> str:
    """Return the page with today's figures."""
    return _BLOCK.sub(lambda place: f"{place[1]}{block()}{place[2]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace both in the page")
    if parser.parse_args().write:
        DOC.write_text(with_block(DOC.read_text()))
    print(block())


if __name__ == "__main__":
    main()
