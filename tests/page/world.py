"""Rows whose sums are known, for tests that compare what the page says with what was sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

    from tests.serving import Serving

SYNC = "main;write_log;fsync [libc.so.6];do_fsync_[k];io_schedule_[k]"
LOCK = "main;take_lock;pthread_mutex_lock [libc.so.6];futex_wait_[k]"
DEEP = "main;eval;eval;eval;futex_wait_[k]"
# Kernel names are what their authors chose; a process may call itself anything.
HOSTILE = "<img src=x onerror=alert(1)>"

# process, stack, microseconds: 10 s in all, 60 % of it in fsync.
ROWS = [
    ("db", SYNC, 6_000_000),
    ("db", LOCK, 1_500_000),
    ("web", LOCK, 1_000_000),
    ("web", DEEP, 1_000_000),
    (HOSTILE, f"main;{HOSTILE}", 500_000),
]


def body(hostname: str, time: datetime, scale: float = 1) -> dict[str, Any]:
    rows = [
        {"process": process, "pid": 1, "stack": stack, **_wait(int(elapsed * scale))}
        for process, stack, elapsed in ROWS
    ]
    return {"hostname": hostname, "time": time.isoformat(), "offcputime": rows}


def _wait(elapsed: int) -> dict[str, Any]:
    """One wait: its time, and the same as a histogram."""
    slots = [0] * elapsed.bit_length()
    slots[-1] = 1
    return {"elapsed": elapsed, "lengths": slots}


def fill(server: Serving) -> None:
    """One batch of ROWS from one host, five minutes ago."""
    server.post(body("web-001", datetime.now(UTC) - timedelta(minutes=5)))


def texts(page: Page, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def fleet(server: Serving) -> None:
    """An hour of three hosts, five rows a minute; on web-003 locks take ten times as long.

    Its agent says that one stack in six was lost, and missed a quarter of an hour.
    """
    now = datetime.now(UTC)
    for host in ("web-001", "web-002", "web-003"):
        slow = host == "web-003"
        batch: dict[str, Any] = {"hostname": host, "time": now.isoformat()}
        batch |= {"offcputime": [], "agent": []}
        for minute in range(59, 0, -1):
            time = (now - timedelta(minutes=minute)).isoformat()
            batch["offcputime"] += [row | {"time": time} for row in _rows(slow=slow)]
            if not slow or not 20 <= minute < 35:
                batch["agent"].append(_report(lost=slow) | {"time": time})
        server.post(batch)


def _rows(*, slow: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = body("", datetime.now(UTC))["offcputime"]
    if slow:
        rows[1] |= _wait(rows[1]["elapsed"] * 10)
    return rows


def _report(*, lost: bool) -> dict[str, Any]:
    report = {"probe": "offcputime", "state": "running", "elapsed": 60_000_000, "row_count": 5}
    return report | ({"lost_stacks_full": 1} if lost else {})


def past(days: int, minutes: int = 60) -> tuple[datetime, str]:
    """The end of a stretch of time that no other test uses, and the address of just that."""
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


# Ten short waits and a long one in a single row: its histogram holds both sizes, its time is a sum.
MIXED = {
    "process": "mixed",
    "pid": 1,
    "stack": LOCK,
    "elapsed": 8_010_000,
    "count": 11,
    "lengths": [0] * 10 + [10] + [0] * 12 + [1],
}
