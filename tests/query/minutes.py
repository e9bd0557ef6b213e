"""Three hours of three quiet hosts, and what goes wrong in the last six minutes of it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from tests.query.world import NOON

if TYPE_CHECKING:
    from tests.query.world import World

MINUTE = 60_000_000
HOSTS = ("db-1", "db-2", "db-3")
LENGTH = 180
WINDOW = 6
END = NOON + LENGTH * MINUTE
START = END - WINDOW * MINUTE
TABLES = ("agent", "biolatency", "marker", "offcputime", "tcpretrans")
COMMIT = "main;do_commit;vfs_fsync_range_[k];jbd2_log_wait_commit_[k];schedule_[k]"
USUAL = {
    "main;do_read;filemap_read_[k];io_schedule_[k]": 0.8,
    "main;do_lock;futex_wait_[k];schedule_[k]": 0.4,
    "main;pool_wait;futex_wait_[k];schedule_[k]": 4.0,
    COMMIT: 0.02,
}


def fill(world: World, *, ill: str = "db-2", silent: str = "", begin: int = NOON) -> None:
    """Store the rows; at the end `ill` waits for its journal, and `silent` is not heard."""
    world.adopt(Catalog(tuple(each for each in load_catalog() if each.table in TABLES)))
    chance = random.Random(7)
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for host in HOSTS:
        for minute in range(LENGTH):
            stalled = minute >= LENGTH - WINDOW and host == ill
            if minute >= LENGTH - WINDOW + 1 and host == silent:
                continue
            at = {"time": begin + minute * MINUTE + 1, "hostname": host}
            rows["offcputime"] += [at | row for row in _waits(chance, stalled=stalled)]
            rows["biolatency"].append(at | _flushes(chance, stalled=stalled))
            report = {"probe": "offcputime", "state": "running", "elapsed": MINUTE}
            rows["agent"].append(at | report | {"lost_stacks_full": 7 if stalled else 0})
    change = {"kind": "config", "message": "config change"}
    before = begin + (LENGTH - WINDOW) * MINUTE - MINUTE // 2
    rows["marker"].append({"time": before, "hostname": ill or "db-1", **change})
    for table, each in rows.items():
        world.insert(table, each)


def _waits(chance: random.Random, *, stalled: bool) -> list[dict[str, Any]]:
    return [
        {
            "process": "mysqld",
            "pid": 1,
            "stack": stack,
            "elapsed": round(MINUTE * threads * chance.gauss(1, 0.05)),
            "count": 600,
        }
        for stack, usual in USUAL.items()
        for threads in [2.7 if stalled and stack == COMMIT else usual]
    ]


def _flushes(chance: random.Random, *, stalled: bool) -> dict[str, Any]:
    slot, count = (20, 30) if stalled else (12, 300)
    slots = [0] * slot + [round(count * chance.gauss(1, 0.05))]
    kind = {"device": "vda", "operation": "flush", "process": "mysqld", "bytes": 0}
    return {**kind, "latency": slots, "elapsed": sum(slots) * 3 * 2**slot // 2, "count": sum(slots)}
