"""Rows come back as they were sent, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.query.world import NOON

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
EVERYTHING = {
    "time": NOON,
    "hostname": "web-001",
    "process": "mysqld",
    "state": "",
    "path": "/tmp/a b",
    "started": NOON - 1,
    "pid": 7,
    "events": 3,
    "latency": 900,
    "written": 4096,
    "busy": 0.5,
    "direct": True,
    "peer": "::1",
    "stack": "main;write",
    "user_stack": "",
    "latencies": [0, 2, 0, 1],
}


def test_every_type_reads_back_as_it_was_sent(world: World) -> None:
    """Times are microseconds, stacks are folded text, histograms are arrays again."""
    world.insert("everything", [EVERYTHING])
    answer = world.get("/api/v1/rows/everything", params=DAY).json()
    assert dict(zip(answer["columns"], answer["rows"][0], strict=True)) == EVERYTHING
    assert answer["next"] is None


def pages(client: World, query: dict[str, str]) -> list[list[Any]]:
    found: list[list[Any]] = []
    address = str(httpx.URL("/api/v1/rows/offcputime", params=query))
    while address:
        answer = client.get(address).json()
        assert len(answer["rows"]) <= 2
        found += answer["rows"]
        address = answer["next"]
    return found


def test_following_next_gives_every_row_once(client: World) -> None:
    """By time and by any other column, from either end."""
    for order in ("-time", "time", "-elapsed", "process", "stack"):
        rows = pages(client, DAY | {"limit": "2", "order": order})
        assert len(rows) == 6
        assert len({row[0] for row in rows}) == 6
    assert [row[0] - NOON for row in pages(client, DAY | {"limit": "2"})] == [
        5_000_000,
        4_000_000,
        3_000_000,
        2_000_000,
        1_000_000,
        0,
    ]


def test_a_made_up_cursor_is_refused(client: World) -> None:
    """It is said where cursors come from."""
    for cursor in ("x", "1.x", "99999999999999999999", "9223372036854775808.1"):
        response = client.get("/api/v1/rows/offcputime", params={"cursor": cursor})
        assert response.status_code == 400, cursor
        assert "'next'" in response.json()["detail"]
