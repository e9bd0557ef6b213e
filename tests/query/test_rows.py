"""Rows come back as they were sent, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kscope.declare.files.category import read_category
from kscope.declare.model import Catalog
from tests.query.world import NOON
from tests.store.opened import category

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


def test_as_many_names_as_are_taken_can_be_read(engine_world: World) -> None:
    """By every engine, as rows and at a SQL prompt; one more is refused with the reason."""
    world = engine_world
    names = [f"name{number}" for number in range(59)]
    wide = category(f"table: wide\ncolumns: [{', '.join(map(_named, names))}]")
    world.adopt(Catalog((*world.catalog, wide)))
    row = {name: f"text of {name}" for name in names}
    world.insert("wide", [row | {"time": NOON, "hostname": "web-001"}])
    (found,) = world.get("/api/v1/rows/wide", params=DAY).json()["rows"]
    assert found[2:] == list(row.values())
    assert world.database.rows("SELECT name58 FROM wide") == [[row["name58"]]]
    columns = ", ".join(map(_named, [*names, "more"]))
    (problem,) = read_category(f"table: wide\ncolumns: [{columns}]", "wide.yaml").problems
    assert "60 columns of types" in problem.message


def _named(name: str) -> str:
    return f"{{name: {name}, type: string}}"


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


@pytest.mark.parametrize("start", ["0001-01-01", "1969-12-31T23:59:59Z", "1970-01-01T00:00:01Z"])
def test_a_range_of_any_time_has_pages(client: World, start: str) -> None:
    """A page's `next` is taken, also of a range that begins near the epoch or before it."""
    rows = pages(client, DAY | {"from": start, "limit": "2"})
    assert len(rows) == 6


def test_every_order_has_the_same_rows(engine_world: World) -> None:
    """From both ends by each column, page by page and in one stream; many rows are alike."""
    paths = ("/a", "/a ", "/A", "", "/é")
    engine_world.insert(
        "everything",
        [
            EVERYTHING
            | {"time": NOON + i % 2, "path": paths[i % 5], "busy": i % 3 - 1.5, "pid": i % 4 - 2}
            | {"process": paths[i % 4], "stack": paths[i % 3], "events": i, "direct": i % 2 == 0}
            for i in range(23)
        ],
    )
    columns = [name for name in EVERYTHING if name not in ("latencies", "hostname")]
    for order in [*columns, *(f"-{name}" for name in columns)]:
        query = DAY | {"order": order, "limit": "7"}
        address = str(httpx.URL("/api/v1/rows/everything", params=query))
        paged: list[dict[str, Any]] = []
        while address:
            answer = engine_world.get(address).json()
            paged += [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
            address = answer["next"]
        name = order.removeprefix("-")
        keys = [row[name].encode() if isinstance(row[name], str) else row[name] for row in paged]
        assert keys == sorted(keys, reverse=order.startswith("-")), order
        assert sorted(row["events"] for row in paged) == list(range(23)), order
        streamed = engine_world.get(
            "/api/v1/rows/everything", DAY | {"order": order, "format": "ndjson"}
        )
        lines = [json.loads(line) for line in streamed.text.splitlines()]
        assert [row["events"] for row in lines] == [row["events"] for row in paged], order


def test_a_made_up_cursor_is_refused(client: World) -> None:
    """It is said where cursors come from."""
    made_up = ("x", "é", "1.x", "99999999999999999999", "W10", "WzEsMiwzXQ", "W251bGwsMSwxLDFd")
    for cursor in made_up:
        for order in ("time", "elapsed", "process", "stack"):
            query = {"cursor": cursor, "order": order}
            response = client.get("/api/v1/rows/offcputime", params=query)
            assert response.status_code == 400, query
            assert "`next`" in response.json()["detail"]
