"""Databases of each engine, grown and aged, and the command that copies one into another."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from kscope.declare.model import Catalog
from kscope.query.parse.timerange import iso
from kscope.store.housekeeping.loop import retain, roll_up
from tests import clickhouse
from tests.commands import Ran, command
from tests.databases import ClickHouseDatabase, SQLiteFile
from tests.forked import Forked, fork
from tests.mariadb import PASSWORD, USER
from tests.query.test_rows import EVERYTHING
from tests.query.world import SECOND, World
from tests.store.opened import category

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database

HOUR = 3600 * SECOND
DAY = 24 * HOUR
# The copied tables' own housekeeping has the real time. Noon, so that a day is cut in two by age.
NOW = time.time_ns() // 1000 // DAY * DAY + 12 * HOUR
MAYBE = category(
    "table: maybe\ncolumns:\n  - {name: process, type: string}\n"
    "  - {name: started, type: timestamp, default: null}\n  - {name: busy, type: float}\n"
)
STRANGE = ["", " ", "a ", "A", "日本", "%s ? :x", "'\"\\", "x" * 250, "🜚\u200b", "é", "e\u0301"]
TABLES = ("offcputime", "everything", "maybe")


@dataclass(frozen=True)
class Pair:
    """`source` and `target` are of one engine each, and at first empty."""

    source: Database
    target: Database

    def arguments(self, *more: str) -> list[str]:
        return ["--from", address(self.source), "--to", address(self.target), *more]

    def copy(self, *more: str) -> str:
        """Run the command to its end, and give what it printed."""
        found = self.run(*more)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def run(self, *more: str) -> Ran:
        return run(*self.arguments(*more))

    def start(self, folder: Path) -> Forked:
        """Start the command in a separate process, which can be killed."""
        password = folder / "password"
        password.write_text(PASSWORD)
        files = [
            text
            for side, database in (("from", self.source), ("to", self.target))
            if not isinstance(database, SQLiteFile)
            for text in (f"--{side}-password-file", str(password))
        ]
        return fork(["copy", *self.arguments(), *files], folder, folder / "copy.log")


def run(*arguments: str) -> Ran:
    assert clickhouse.PASSWORD == PASSWORD
    passwords = {"KSCOPE_FROM_PASSWORD": PASSWORD, "KSCOPE_TO_PASSWORD": PASSWORD}
    with mock.patch.dict(os.environ, passwords):
        return command("copy", *arguments)


def address(database: Database) -> str:
    if isinstance(database, SQLiteFile):
        return f"sqlite:{database.path}"
    if isinstance(database, ClickHouseDatabase):
        return f"clickhouse:{clickhouse.USER}@127.0.0.1:{database.server.port}/{database.database}"
    return f"mysql:{USER}@127.0.0.1:{database.server.port}/{database.database}"


def world(database: Database) -> World:
    opened = World(database)
    opened.adopt(Catalog((*opened.catalog, MAYBE)))
    return opened


def everything(at: int, number: int, **changed: Any) -> dict[str, Any]:
    """Row of each type, with texts and numbers that differ from row to row."""
    return EVERYTHING | {
        "time": at,
        "started": at - number,
        "hostname": f"web-{number % 3}",
        "process": STRANGE[number % len(STRANGE)],
        "path": STRANGE[-number % len(STRANGE)],
        "pid": number,
        "latency": number * 10_007,
        "written": 2**40 + number,
        "busy": number / 7,
        "direct": bool(number % 2),
        "stack": f"main;{STRANGE[number % 7]};f{number % 23}",
        "latencies": [number % 5, 0, number % 3],
        **changed,
    }


def waiting(at: int, number: int) -> dict[str, Any]:
    return {
        "time": at,
        "hostname": f"web-{number % 3}",
        "process": f"p{number % 4}",
        "pid": number,
        "reason": "blocked",
        "stack": f"main;g{number % 9}",
        "elapsed": number,
        "count": 1,
        "lengths": [0, number % 4],
    }


def perhaps(at: int, number: int) -> dict[str, Any]:
    started = {} if number % 2 else {"started": at}
    row = {"time": at, "hostname": "web-1", "process": f"p{number % 3}"}
    return row | {"busy": -number / 3} | started


def grow(opened: World, days: int = 40, step: int = 29 * HOUR) -> None:
    """Store rows of many days, let them age, and then let late ones arrive."""
    times = range(NOW - days * DAY, NOW - HOUR, step)
    pairs = [(at + number * 977, number) for number, at in enumerate(times)]
    # Each twice: rows that are alike count each.
    insert(opened, "everything", [everything(*pair) for pair in pairs] * 2)
    insert(opened, "offcputime", [waiting(*pair) for pair in pairs])
    insert(opened, "maybe", [perhaps(*pair) for pair in pairs])
    age(opened)
    late(opened, 1000)


def insert(opened: World, table: str, found: list[dict[str, Any]]) -> None:
    """Store rows, those of each host as one batch."""
    opened.insert(table, sorted(found, key=lambda row: str(row["hostname"])))


def age(opened: World) -> None:
    opened.run(roll_up(opened.store, NOW))
    opened.run(retain(opened.store, NOW))


def late(opened: World, first: int) -> None:
    """Rows of old times: with no more rows or fine sums, with coarse ones only, and with all."""
    times = [NOW - ago for ago in (35 * DAY, 20 * DAY, 20 * DAY + 1, 3 * DAY, 2 * HOUR)]
    pairs = [(at, number) for at in times for number in range(first, first + 3)]
    insert(opened, "everything", [everything(*pair) for pair in pairs])
    insert(opened, "offcputime", [waiting(*pair) for pair in pairs])


QUESTIONS = {
    "everything": [
        ("flamegraph", {"by": "process"}),
        ("top", {"by": "process,state", "value": "latency"}),
        ("top", {"by": "hostname", "value": "written"}),
        ("top", {"by": "peer", "value": "busy"}),
        ("top", {"by": "hostname", "value": "rows"}),
        ("timeseries", {"by": "hostname", "points": 20}),
        ("heatmap", {"value": "latencies"}),
    ],
    "offcputime": [("flamegraph", {}), ("top", {"by": "reason"}), ("timeseries", {"by": ""})],
    "maybe": [("top", {"by": "process"}), ("timeseries", {"by": "process"})],
}


def answers(opened: World) -> dict[str, Any]:
    """Answer questions over old and new time, and list the newest rows."""
    found: dict[str, Any] = {}
    for days in (50, 20, 1):
        span = {"from": iso(NOW - days * DAY + 1), "to": iso(NOW + HOUR)}
        for table, asked in QUESTIONS.items():
            for question, parameters in asked:
                answer = opened.get(f"/api/v1/{question}/{table}", params=span | parameters)
                assert answer.status_code == 200, answer.text
                name = f"{question} {table} {parameters} {days}"
                found[name] = _plain(answer.json())
    for table in TABLES:
        found[f"rows {table}"] = rows(opened, table)
    return found


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Leave out how the answer was found, the order of what is equal, and the last digits of sums
    of fractions, which depend on their order.
    """
    content.pop("meta", None)
    for entry in content.get("entries", []):
        entry["value"] = float(f"{entry['value']:.12g}")
    for listed in ("entries", "series"):
        content.get(listed, []).sort(key=repr)
    return content


def differences(one: World, other: World) -> dict[str, Any]:
    """Return the answers of both that are not alike, to the last unit."""
    ours, theirs = answers(one), answers(other)
    assert ours.keys() == theirs.keys()
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}


def rows(opened: World, table: str) -> list[str]:
    """Every row of the last days, sorted."""
    listed: list[str] = []
    span = {"from": iso(NOW - 13 * DAY), "to": iso(NOW + HOUR), "limit": "1000"}
    query = f"/api/v1/rows/{table}"
    answer = opened.get(query, params=span).json()
    while True:
        listed += map(repr, answer["rows"])
        if not answer["next"]:
            return sorted(listed)
        answer = opened.get(answer["next"]).json()


def total(database: Database, table: str) -> int:
    return int(database.rows(f"SELECT count(*) FROM kscope_rows_{table}")[0][0])
