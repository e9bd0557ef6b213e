"""A world played through the store and the API: rows in, the answer of `/api/v1/changes` out."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.incidents import world as w
from benchmarks.incidents.kinds import Line
from benchmarks.incidents.noise import SLICES, WINDOWS
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.incidents.world import Key, Source, World
    from tests.serving import Serving

    Row = dict[str, Any]

# Rows of a batch.
_BATCH = 20_000
# Seconds between the last row and the end of its slice.
_BEFORE = 1


def ask(world: World) -> dict[str, Any]:
    """Fill a new server with the world, and return its whole answer."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "kernelscope.yaml"
        # A busy machine may take longer than the usual deadline.
        config.write_text("query_deadline: 2m\n")
        with serving(config.parent, "--config", config) as server:
            return _answer(server, world)


def _answer(server: Serving, world: World) -> dict[str, Any]:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for host in world.hosts:
        _send(server, host, _rows(world, host, end))
    start = end - timedelta(minutes=world.setting.minutes)
    span = {"from": start.isoformat(), "to": end.isoformat()}
    answer = server.client.get(f"{server.read}/api/v1/changes", params=span, timeout=300)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def line(finding: dict[str, Any]) -> Line:
    return Line(
        finding["table"],
        finding["column"],
        finding["kind"],
        tuple(finding["hosts"]),
        finding["process"] or None,
        finding["name"] or None,
        finding["change"],
    )


def _rows(world: World, host: str, end: datetime) -> Iterator[tuple[str, Row]]:
    """Yield a host's rows, each with its table: one for each window and slice of a key."""
    times = [_time(world, at, end) for at in range(WINDOWS + SLICES)]
    for source, rows in world.rows.items():
        if source not in _MADE:
            continue
        for key, row in rows.items():
            if key.host != host:
                continue
            for time, amount in zip(times, row, strict=True):
                for made in _MADE[source](key, amount) if amount > 0 else ():
                    yield source.table, made | {"time": time}
    for table, made in _lengths(world, host):
        yield table, made | {"time": times[made.pop("at")]}


def _time(world: World, at: int, end: datetime) -> str:
    """Return a time shortly before the end of a window or slice."""
    windows = min(at + 1, WINDOWS) - WINDOWS - 1
    slices = max(0, at - WINDOWS + 1) / SLICES
    minutes = (windows + slices) * world.setting.minutes
    return (end + timedelta(minutes=minutes, seconds=-_BEFORE)).isoformat()


def _lengths(world: World, host: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows of histograms: all slots of a group together; `at` is the window or slice."""
    for source, columns in _HISTOGRAMS.items():
        slots: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * 32)
        for key, row in world.rows.get(source, {}).items():
            for at, amount in enumerate(row):
                if key.host == host and amount > 0:
                    slot = len(key.path) - 1
                    slots[key.process, at][slot] += round(amount * 1e6 / (1.5 * 2**slot))
        for (group, at), counts in slots.items():
            elapsed = round(sum(count * 1.5 * 2**slot for slot, count in enumerate(counts)))
            if count := sum(counts):
                row = columns(group) | {source.column: counts, "elapsed": elapsed, "count": count}
                yield source.table, row | {"at": at}


def _off_cpu(key: Key, amount: float) -> list[Row]:
    return [
        _process(key)
        | {
            "reason": "blocked",
            "stack": ";".join(key.path),
            "elapsed": round(amount * 1e6),
            "count": max(1, round(amount / 0.01)),
        }
    ]


def _on_cpu(key: Key, amount: float) -> list[Row]:
    samples = max(1, round(amount * 49))
    times = {"elapsed": round(amount * 1e6), "samples": samples}
    return [_process(key) | {"stack": ";".join(key.path)} | times]


def _opens(key: Key, amount: float) -> list[Row]:
    row = _process(key) | {"path": "/etc/hosts", "access": "read", "error": key.path[0]}
    return [row | {"elapsed": 20}] * round(amount)


def _calls(key: Key, amount: float) -> list[Row]:
    count = max(1, round(amount))
    lengths = {"latency": [0, 0, 0, count], "elapsed": count * 12, "count": count}
    return [_process(key) | {"syscall": key.path[0]} | lengths]


def _faults(key: Key, amount: float) -> list[Row]:
    stack = f"main;{key.process}_loop;handle_mm_fault"
    return [_process(key) | {"access": "read", "stack": stack, "count": max(1, round(amount))}]


def _retransmits(key: Key, amount: float) -> list[Row]:
    ends = {"local_address": "10.0.1.1", "local_port": 443}
    remote = {"remote_address": key.path[0], "remote_port": 5432}
    return [_process(key) | {"state": "ESTABLISHED"} | ends | remote] * round(amount)


def _process(key: Key) -> Row:
    return {"process": key.process, "pid": 1000 + sum(key.process.encode())}


_MADE: dict[Source, Callable[[Key, float], list[Row]]] = {
    w.OFF_CPU: _off_cpu,
    w.ON_CPU: _on_cpu,
    w.OPENS: _opens,
    w.CALLS: _calls,
    w.FAULTS: _faults,
    w.RETRANSMITS: _retransmits,
}
_HISTOGRAMS: dict[Source, Callable[[str], Row]] = {
    w.RUN_QUEUE: lambda name: {"process": name, "pid": 1000 + sum(name.encode())},
    w.SOFT_IRQS: lambda name: {"softirq": name},
    w.CALL_LENGTHS: lambda name: {"syscall": name, "process": "", "pid": 0},
    w.DISKS: lambda name: {"device": name, "operation": "write", "process": "", "bytes": 4096},
}


def _send(server: Serving, host: str, rows: Iterator[tuple[str, Row]]) -> None:
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    stacks: dict[str, int] = {}
    count, last = 0, ""

    def post() -> None:
        server.post({"hostname": host, "time": last, "stacks": [*stacks], **tables})

    for table, row in rows:
        if "stack" in row:
            row["stack"] = stacks.setdefault(row["stack"], len(stacks))
        tables[table].append(row)
        last, count = max(last, row["time"]), count + 1
        if count % _BATCH == 0:
            post()
            tables.clear()
            stacks.clear()
    if tables:
        post()
