"""The rows that the page shows: the recording's, and those that one host's recording cannot have.

Made up are only the host that is ill, the reports of agents, a name that is markup, and rows of
categories or shapes that were not recorded; each says so below.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.page.recording import by_host, has, intervals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.page.recording import Row
    from tests.serving import Serving

# Short of an hour, so that no row leaves "last 1 h" while the tests run.
MINUTES = 45
HOSTS = ("shop-1", "shop-2", "shop-3")
SLOW = "shop-3"
# Made up: the kernel's names are what their authors chose, and a process may call itself anything.
HOSTILE = "<img src=x onerror=alert(1)>"


def host(end: datetime) -> list[Row]:
    """The recording as it was made, on one host, up to `end`; and the row with a hostile name."""
    rows: list[Row] = []
    for k, interval in enumerate(reversed(intervals())):
        time = (end - timedelta(seconds=10 * k)).isoformat()
        rows += [row | {"hostname": "shop-1", "time": time} for row in interval]
    hostile = {"process": HOSTILE, "stack": f"main;{HOSTILE}"}
    return [*rows, rows[0] | hostile]


def fleet(now: datetime) -> list[Row]:
    """Three hosts for most of an hour, an interval of the recording each minute.

    Each host begins elsewhere in it, so that no two are alike. Made up: on the slow one locks take
    fifty times as long. The recording is of one host, and that was well.
    """
    rows = []
    for k, hostname in enumerate(HOSTS):
        for minute in range(MINUTES, 0, -1):
            interval = intervals()[(minute + 7 * k) % len(intervals())]
            place = {"hostname": hostname, "time": (now - timedelta(minutes=minute)).isoformat()}
            slow = hostname == SLOW
            rows += [(_held(row) if slow else row) | place for row in interval]
    return rows


def _held(row: Row) -> Row:
    """The row of a host whose locks are held too long."""
    if not has(row, "lock_wait"):
        return row
    return row | {"elapsed": row["elapsed"] * 50, "lengths": [0] * 5 + row["lengths"]}


def reports(rows: Iterable[Row]) -> list[Row]:
    """Return an agent's rows about each minute: invented, as only the probe's were recorded.

    The slow host's agent lost a stack for every five waits, and missed a quarter of an hour.
    """
    found = []
    for hostname, some in by_host(rows).items():
        times = sorted({row["time"] for row in some}, reverse=True)
        for minute, time in enumerate(times, start=1):
            if hostname != SLOW or not 20 <= minute < 35:
                sent = [row for row in some if row["time"] == time]
                report = {"hostname": hostname, "time": time, "probe": "offcputime"}
                report |= {"state": "running", "elapsed": 60_000_000, "row_count": len(sent)}
                lost = sum(row["count"] for row in sent) // 5 if hostname == SLOW else 0
                found.append(report | {"lost_stacks_full": lost})
    return found


def send(server: Serving, table: str, rows: Iterable[Row]) -> None:
    """One batch from each host, its stacks by index, as an agent sends them."""
    for hostname, some in by_host(rows).items():
        index: dict[str, int] = {}
        batch = [{key: value for key, value in row.items() if key != "hostname"} for row in some]
        for row in batch:
            if "stack" in row:
                row["stack"] = index.setdefault(row["stack"], len(index))
        time = some[0]["time"]
        server.post({"hostname": hostname, "time": time, "stacks": list(index), table: batch})


def past(days: int, minutes: int = 60) -> tuple[datetime, str]:
    """The end of a stretch of time that no other test of the module uses, and its address."""
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
    start = end - timedelta(minutes=minutes)
    return end, f"&from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"


def minutely(
    server: Serving, end: datetime, table: str, rows: Sequence[dict[str, Any]], minutes: int = 60
) -> None:
    """The same rows once a minute, up to `end`, as an agent would send them."""
    times = [(end - timedelta(minutes=minute)).isoformat() for minute in range(1, minutes)]
    every = [row | {"time": time} for time in times for row in rows]
    server.post({"hostname": "web-001", "time": times[0], table: every})


# For rows without histograms, which the recording has none of, and for those with two sizes alone.
SYNC = "main;write_log;fsync [libc.so.6];do_fsync_[k];io_schedule_[k]"
LOCK = "main;take_lock;pthread_mutex_lock [libc.so.6];futex_wait_[k]"
# Ten short waits and a long one in a single row: its histogram holds both sizes, its time is a sum.
MIXED = {
    "process": "mixed",
    "pid": 1,
    "stack": LOCK,
    "elapsed": 8_010_000,
    "count": 11,
    "lengths": [0] * 10 + [10] + [0] * 12 + [1],
}
