"""Rows of every data type for hours of a fleet of ten hosts, as agents send them each minute.

Off-CPU rows are those of `benchmarks.fleet`, ten million a day; each other type has a share of them
by its columns: `PER_MINUTE`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from benchmarks.fleet import MINUTE, Fleet
from kscope.declare.types.base import Role, Storage
from kscope.declare.types.histogram import histogram_text
from kscope.store.schema.interning import text_hash
from kscope.store.write.batch import Batch, TableRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.fleet import Minute
    from kscope.declare.model import Catalog, Category, Column

# Rows of a host.
PER_MINUTE = {"profile": 200, "runqlat": 100, "syscalls": 200, "offwaketime": 200, "agent": 10}
_OTHERS = 40
_NONE = ("marker",)
_LABELS = [f"label-{number}" for number in range(8)]


def batches(catalog: Catalog, fleet: Fleet, start: int, minutes: int) -> Iterator[Batch]:
    """Yield one batch for each minute of all hosts; `start` is in microseconds."""
    chance = random.Random(3)
    hosts = [_Host(fleet, number) for number in range(fleet.hosts)]
    rows: list[Minute] = []
    for minute in fleet.minutes(start, minutes):
        rows.append(minute)
        if len(rows) == fleet.hosts:
            yield _batch(catalog, hosts, rows, chance)
            rows.clear()


class _Host:
    def __init__(self, fleet: Fleet, number: int) -> None:
        self.name = f"web-{number:03}"
        self.pairs = fleet.pairs(number)


def _batch(
    catalog: Catalog, hosts: Sequence[_Host], rows: Sequence[Minute], chance: random.Random
) -> Batch:
    stacks: dict[int, str] = {}
    tables = []
    for category in catalog:
        if category.table == "offcputime":
            tables += [_waits(category, minute, stacks) for minute in rows]
        elif category.table not in _NONE and not category.union:
            end = rows[0].time // MINUTE * MINUTE
            tables += [_others(category, host, end, stacks, chance) for host in hosts]
    return Batch(b"", tables, stacks)


def _waits(category: Category, minute: Minute, stacks: dict[int, str]) -> TableRows:
    size = len(minute.pairs)
    ids = {pair.stack: text_hash(pair.stack) for pair in set(minute.pairs)}
    stacks.update({key: text for text, key in ids.items()})
    columns: dict[str, Sequence[Any]] = {
        "time": [minute.time] * size,
        "hostname": [minute.host] * size,
        "process": [pair.process for pair in minute.pairs],
        "pid": [pair.pid for pair in minute.pairs],
        "tid": [0] * size,
        "reason": [pair.reason for pair in minute.pairs],
        "cgroup": [f"/system.slice/{pair.process}.service" for pair in minute.pairs],
        "stack": [ids[pair.stack] for pair in minute.pairs],
        "elapsed": minute.elapsed,
        "count": minute.count,
        "lengths": list(map(histogram_text, minute.lengths)),
    }
    return TableRows(category, [columns[column.name] for column in category.all_columns])


def _others(
    category: Category, host: _Host, end: int, stacks: dict[int, str], chance: random.Random
) -> TableRows:
    size = PER_MINUTE.get(category.table, _OTHERS)
    # Each minute has most of the host's groups once, as an agent's interval has.
    groups = [chance.randrange(size) for _ in range(size)]
    pairs = [host.pairs[group] for group in groups]
    columns = []
    for column in category.all_columns:
        if column.name == "time":
            columns.append([end + chance.randrange(MINUTE) for _ in range(size)])
        elif column.name == "hostname":
            columns.append([host.name] * size)
        elif column.name == "process":
            columns.append([pair.process for pair in pairs])
        elif column.type.role is Role.STACK:
            ids = [text_hash(pair.stack) for pair in pairs]
            stacks.update(zip(ids, (pair.stack for pair in pairs), strict=True))
            columns.append(ids)
        else:
            columns.append([_value(column, group, chance) for group in groups])
    return TableRows(category, columns)


def _value(column: Column, group: int, chance: random.Random) -> Any:
    if column.name.startswith(("lost_", "dropped_", "refused_")):
        return 0
    match column.type.storage:
        case Storage.STRING_ID:
            return _LABELS[(group + len(column.name)) % len(_LABELS)]
        case Storage.TEXT:
            return f"10.0.0.{group}"
        case Storage.HISTOGRAM:
            return histogram_text([0] * chance.randrange(3, 8) + [chance.randrange(1, 9), 3, 1])
        case Storage.BOOLEAN:
            return group % 2
        case Storage.REAL:
            return chance.random() * 100
    return int(chance.expovariate(1 / 20_000)) + 1
