"""Of time whose rows are gone and whose sums are left, every chart shows the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.query.parse.timerange import iso
from kscope.store.housekeeping.loop import retain, roll_up
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

HOUR = 3600 * SECOND
THREE_HOURS = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T03:00:00Z"}


@pytest.fixture(scope="module")
def aged(module_world: World) -> World:
    """Rows of three hours, 20 days ago: hourly sums are kept for 90 days, rows for 14."""
    rows = [
        row | {"time": NOON + hour * HOUR + i} for hour in range(3) for i, row in enumerate(waits())
    ]
    module_world.insert("offcputime", rows)
    now = NOON + 20 * 24 * HOUR
    module_world.run(roll_up(module_world.store, now))
    assert module_world.run(retain(module_world.store, now)) >= len(rows)
    return module_world


def ask(world: World, question: str, column: str = "", **parameters: Any) -> dict[str, Any]:
    path = f"/api/v1/{question}/offcputime" + (f"/{column}" if column else "")
    response = world.get(path, THREE_HOURS | parameters)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("points", [1, 3, 120, 2000])
def test_the_timeline_sums_to_the_flame_graph(aged: World, points: int) -> None:
    """However fine the steps that were asked for: they become hours, and a notice says so."""
    assert ask(aged, "flamegraph")["total"] == 3 * 16031
    for by in ("process", ""):
        answer = ask(aged, "timeseries", by=by, points=points)
        assert sum(sum(each["values"]) for each in answer["series"]) == 3 * 16031
        assert answer["step"] >= HOUR
        told = " ".join(notice["text"] for notice in answer["notices"])
        assert ("whole buckets" in told) == (points > 3)


def test_the_heat_map_counts_what_the_histogram_counts(aged: World) -> None:
    """Of a column of histograms, which sums keep."""
    histogram = ask(aged, "histogram", value="lengths")
    heatmap = ask(aged, "heatmap", value="lengths", points=120)
    assert histogram["total"] == sum(map(sum, heatmap["counts"])) == 18
    assert heatmap["step"] == HOUR


def test_what_sums_cannot_tell_is_said(aged: World) -> None:
    """A filter by pid or groups by a value need rows, which are gone: nothing, and the reason."""
    for asked in ({"pid": "100", "by": ""}, {"by": "elapsed"}):
        answer = ask(aged, "timeseries", **asked)
        assert "removed by retention" in answer["notices"][0]["text"]
        assert answer["meta"]["rows"] == 0


def test_values_are_those_of_rows_where_there_are_sums_as_well(engine_world: World) -> None:
    """Two waits of 5 ms are no wait of 10 ms: groups by a value are never read from sums."""
    twice = [row | {"time": row["time"] + i} for row in waits() for i in range(2)]
    engine_world.insert("offcputime", twice)
    engine_world.run(roll_up(engine_world.store, NOON + 24 * HOUR))
    assert ask(engine_world, "top", by="process")["meta"]["source"] == "rollup 1h"
    once = {str(row["elapsed"]): 2 * row["elapsed"] for row in waits()}
    top = ask(engine_world, "top", by="elapsed")
    assert {each["key"][0]: each["value"] for each in top["entries"]} == once
    series = ask(engine_world, "timeseries", by="elapsed", points=1, n=6)["series"]
    assert {each["name"]: sum(each["values"]) for each in series} == once
    graph = ask(engine_world, "flamegraph", by="elapsed")
    below = [i for i, level in enumerate(graph["level"]) if level == 1]
    assert {graph["names"][graph["name"][i]]: graph["value"][i] for i in below} == once


def test_moments_are_those_of_rows_where_there_are_sums_as_well(engine_world: World) -> None:
    """A bucket's start is no row's time: groups by a time are never read from sums."""
    engine_world.insert("offcputime", waits())
    engine_world.run(roll_up(engine_world.store, NOON + HOUR))
    late = {"time": NOON + HOUR + 7}
    engine_world.insert("offcputime", [waits()[0] | late])
    moments = {row["time"] for row in (*waits(), late)}
    top = ask(engine_world, "top", by="time")
    assert {each["key"][0] for each in top["entries"]} == {iso(time) for time in moments}
    series = ask(engine_world, "timeseries", by="time", points=1, n=10)["series"]
    assert {each["name"] for each in series} == {iso(time) for time in moments}
    graph = ask(engine_world, "flamegraph", by="time,process")
    below = [graph["name"][i] for i, level in enumerate(graph["level"]) if level == 1]
    assert {graph["names"][name] for name in below} == {iso(time) for time in moments}
    offered = ask(engine_world, "values", "time")["values"]
    assert {each["value"] for each in offered} == {iso(time) for time in moments}
