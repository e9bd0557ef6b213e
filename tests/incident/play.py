"""The fleet's rows, minute by minute, the same for the same seed, except for their times."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from math import exp, log2
from typing import TYPE_CHECKING, Any

from tests.incident import fleet
from tests.incident.stacks import RUNS, WAITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving import Serving

    Row = dict[str, Any]
    Tables = dict[str, list[Row]]

MINUTE = 60


class Chance:
    """Noise as hosts have it: each sum varies by some percent, events come by chance."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def factor(self, spread: float = 0.08) -> float:
        return exp(self.random.gauss(0, spread))

    def times(self, mean: float) -> int:
        """So many events, as a Poisson process has them."""
        if mean > 50:
            return max(0, round(self.random.gauss(mean, mean**0.5)))
        left, count = exp(-mean), 0
        product = self.random.random()
        while product > left:
            count += 1
            product *= self.random.random()
        return count

    def spread_out(self, count: int, length: float) -> tuple[int, list[int]]:
        """Return the sum and the slots (powers of two) of waits around a length."""
        middle = int(log2(max(length, 4)))
        slots = [0] * (middle + 3)
        beside = {-2: 0.1, -1: 0.25, 1: 0.2, 2: 0.05}
        for step, part in beside.items():
            slots[middle + step] = int(count * part)
        slots[middle] = count - sum(slots)
        return round(sum(number * 1.5 * 2**slot for slot, number in enumerate(slots))), slots


def minute(host: str, ago: int) -> Tables:
    """Return a host's rows of one minute, by table."""
    chance = Chance(f"{host} {ago}")
    return {
        "offcputime": list(_waits(chance, host, ago)),
        "profile": list(_runs(chance, host, ago)),
        "runqlat": list(_run_queue(chance, host, ago)),
        "biolatency": list(_disk(chance, host, ago)),
        "syscalls": list(_calls(chance, host, ago)),
        "softirqs": list(_interrupts(chance)),
        "pressure": list(_pressure(chance, host, ago)),
        "tcpretrans": list(_retransmissions(chance, host)),
        "opensnoop": list(_opened(chance, host)),
        "execsnoop": list(_started(chance)),
        "agent": list(_reports(host, ago)),
    }


def _pid(process: str) -> int:
    return 1000 + sum(process.encode())


def _waits(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    for load in fleet.waits(host, ago):
        count = chance.times(load.threads * MINUTE * 1e6 / load.wait * chance.factor())
        if not count:
            continue
        _, slots = chance.spread_out(count, load.wait)
        elapsed = round(count * load.wait * chance.factor(0.03))
        yield {
            "process": load.process,
            "pid": _pid(load.process),
            "reason": "uninterruptible" if "io_schedule" in WAITS[load.stack] else "blocked",
            "stack": WAITS[load.stack],
            "elapsed": elapsed,
            "count": count,
            "lengths": slots,
        }
    for process in {load.process for load in fleet.runs(host, ago)}:
        count = chance.times(300)
        yield {
            "process": process,
            "pid": _pid(process),
            "reason": "preempted",
            "stack": "asm_sysvec_apic_timer_interrupt_[k];irqentry_exit_[k];schedule_[k]",
            "elapsed": round(count * 900 * chance.factor()),
            "count": count,
            "lengths": [0] * 9 + [count],
        }


def _runs(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    for load in fleet.runs(host, ago):
        samples = chance.times(load.threads * MINUTE * 99 * chance.factor(0.05))
        yield {
            "process": load.process,
            "pid": _pid(load.process),
            "stack": RUNS[load.stack],
            "elapsed": round(samples * 1e6 / 99),
            "samples": samples,
        }


def _summed(chance: Chance, count: float, length: float) -> Row:
    number = chance.times(count * chance.factor())
    total, slots = chance.spread_out(number, length)
    return {"elapsed": total, "count": number, "latency": slots}


def _run_queue(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    slow = 4 if fleet.stalled(host, ago) else 1
    for process in {load.process for load in fleet.runs(host, ago)}:
        yield {"process": process, "pid": _pid(process), **_summed(chance, 2_000, 60 * slow)}


def _disk(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    stalled = fleet.stalled(host, ago)
    if host not in fleet.DB:
        return
    process = "mysqld"
    for operation, count, length in (
        ("read", 900, 600.0),
        ("write", 1_500, 250_000.0 if stalled else 700.0),
        ("flush", 60 if stalled else 400, 1.1e6 if stalled else 2_200.0),
    ):
        kind = {"device": "vda", "operation": operation, "process": process}
        found = _summed(chance, count, length)
        size = 0 if operation == "flush" else 16_384 * found["count"]
        yield {**kind, **found, "bytes": size}


def _calls(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    processes = {load.process for load in fleet.runs(host, ago)}
    for process in processes:
        for call, count, length in (("read", 9_000, 6), ("write", 4_000, 9), ("futex", 20_000, 30)):
            row = {"syscall": call, "process": process, "pid": _pid(process)}
            yield {**row, **_summed(chance, count, length)}
    if host in fleet.DB:
        stalled = fleet.stalled(host, ago)
        row = {"syscall": "fsync", "process": "mysqld", "pid": _pid("mysqld")}
        yield {**row, **_summed(chance, 100 if stalled else 420, 1.2e6 if stalled else 2_500)}


def _interrupts(chance: Chance) -> Iterator[Row]:
    for name, count in (("net_rx", 30_000), ("timer", 15_000), ("sched", 9_000), ("rcu", 12_000)):
        found = _summed(chance, count, 4_000)
        yield {"softirq": name, "duration": found.pop("latency"), **found} | {
            "elapsed": found["elapsed"] // 1_000
        }


def _pressure(chance: Chance, host: str, ago: int) -> Iterator[Row]:
    ill = fleet.stalled(host, ago)
    throttled = fleet.throttled(host, ago)
    of_disks = 70 if ill else 22 if throttled else 2
    for resource, share in (("cpu", 4.0), ("io", of_disks), ("memory", 0.1)):
        found = min(99.0, share * chance.factor(0.15))
        stalled = round(found / 100 * MINUTE * 1e6)
        row = {"resource": resource, "scope": "some", "share": round(found, 2)}
        yield row | {"stalled": stalled}


def _retransmissions(chance: Chance, host: str) -> Iterator[Row]:
    for _ in range(chance.times(0.5 if host in fleet.WEB else 0.05)):
        yield {
            "process": "nginx",
            "state": "ESTABLISHED",
            "local_address": "10.0.4.2",
            "local_port": 443,
            "remote_address": f"10.0.9.{chance.random.randrange(4)}",
            "remote_port": 40_000 + chance.random.randrange(9_000),
        }


def _opened(chance: Chance, host: str) -> Iterator[Row]:
    process = "mysqld" if host in fleet.DB else "nginx"
    for _ in range(chance.times(3)):
        name = f"/var/log/{process}/{chance.random.randrange(5)}.log"
        yield {"process": process, "pid": _pid(process), "path": name, "access": "read"} | {
            "elapsed": 5 + chance.random.randrange(40)
        }


def _started(chance: Chance) -> Iterator[Row]:
    for _ in range(chance.times(0.3)):
        yield {"process": "cron", "pid": 5000, "user": "root", "path": "/usr/sbin/logrotate"}


def _reports(host: str, ago: int) -> Iterator[Row]:
    lost = 40 if host == "web-3" and ago <= 21 else 0
    for probe in ("offcputime", "profile", "runqlat", "biolatency", "syscalls", "softirqs"):
        row: Row = {"probe": probe, "state": "running", "elapsed": MINUTE * 1_000_000}
        yield row | {"row_count": 40, "lost_stacks_full": lost if probe == "offcputime" else 0}


def markers(end: datetime) -> list[tuple[str, Row]]:
    """Return the fleet's markers, each with its host."""
    at = {
        "release": (fleet.RELEASE, "release 1.4.2", fleet.WEB),
        "config": (fleet.CONFIG_CHANGE, "config change: innodb_flush_method", (fleet.ILL,)),
    }
    return [
        (host, {"time": _time(end, ago), "kind": kind, "message": message})
        for kind, (ago, message, hosts) in at.items()
        for host in hosts
    ]


def _time(end: datetime, ago: float) -> str:
    return (end - timedelta(minutes=ago)).isoformat()


def fill(server: Serving, end: datetime, length: int = fleet.LENGTH) -> int:
    """Send all of it, ten minutes of a host a batch; return how many rows there are."""
    sent = 0
    for first in range(length, 0, -10):
        for host in fleet.HOSTS:
            sent += _send(server, host, end, range(first, max(0, first - 10), -1))
    for host, row in markers(end):
        server.post({"hostname": host, "time": row["time"], "marker": [row]})
    return sent


def _send(server: Serving, host: str, end: datetime, minutes: range) -> int:
    tables: Tables = {}
    stacks: dict[str, int] = {}
    for ago in minutes:
        if not fleet.there(host, ago):
            continue
        # The minute ends a little before the next one begins.
        time = _time(end, ago - 0.9)
        for table, rows in minute(host, ago).items():
            for row in rows:
                if "stack" in row:
                    row["stack"] = stacks.setdefault(row["stack"], len(stacks))
                tables.setdefault(table, []).append(row | {"time": time})
    if not tables:
        return 0
    server.post({"hostname": host, "time": _time(end, minutes[-1]), "stacks": [*stacks], **tables})
    return sum(map(len, tables.values()))
