"""No step of an answer over time is shorter than the interval in which a host sends rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

MINUTE = 60 * SECOND
SIX_MINUTES = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:06:00Z", "points": 120}


def sent(hostname: str, every: int, offset: int = 0) -> list[dict[str, Any]]:
    """Rows of twelve minutes, each of as much time as the interval that ends with it."""
    times = range(NOON - 6 * MINUTE + offset, NOON + 6 * MINUTE, every)
    return [waits()[0] | {"hostname": hostname, "time": time, "elapsed": every} for time in times]


def ask(client: World, question: str, **parameters: Any) -> dict[str, Any]:
    response = client.get(f"/api/v1/{question}", params=SIX_MINUTES | parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("every", "step"), [(10, 10), (12, 15), (59.9, 60), (60, 60), (60.2, 60), (90, 120), (400, 5)]
)
def test_a_step_holds_an_interval(engine_world: World, every: float, step: int) -> None:
    """Two hosts that send a row a minute are two threads in each step, not 24 in every twelfth.

    Two rows of a host tell nothing about the next.
    """
    rows = [*sent("web-001", int(every * SECOND)), *sent("web-002", int(every * SECOND), 7)]
    engine_world.insert("offcputime", rows)
    for question in ("timeseries/offcputime", "heatmap/offcputime"):
        answer = ask(engine_world, question)
        assert answer["step"] == step * SECOND
        assert answer["interval"] == pytest.approx(0 if step == 5 else every * SECOND)
    if every == 60:
        (series,) = ask(engine_world, "timeseries/offcputime")["series"]
        assert series["values"] == [2 * MINUTE] * 6


def test_the_slowest_host_decides(engine_world: World) -> None:
    """Its rows may have gaps, and what is filtered does not change the steps."""
    slow = [row for k, row in enumerate(sent("web-002", 30 * SECOND)) if k % 4 != 3]
    engine_world.insert("offcputime", [*sent("web-001", 5 * SECOND), *slow])
    for parameters in ({}, {"hostname": "web-001"}, {"process": "none"}):
        assert ask(engine_world, "timeseries/offcputime", **parameters)["step"] == 30 * SECOND


def test_a_range_shorter_than_the_interval_is_one_step(engine_world: World) -> None:
    """The interval is that of the rows before it."""
    engine_world.insert("offcputime", sent("web-001", MINUTE))
    short = {"from": "2026-11-23T00:05:00Z", "to": "2026-11-23T00:05:20Z"}
    assert ask(engine_world, "timeseries/offcputime", **short)["times"] == [NOON + 5 * MINUTE]


def test_each_range_has_the_interval_of_its_own_rows(engine_world: World) -> None:
    """The question before, of another range, has no say in it."""
    slow = [row | {"time": row["time"] - 180 * MINUTE} for row in sent("web-001", 90 * SECOND)]
    engine_world.insert("offcputime", [*sent("web-001", MINUTE), *slow])
    earlier = {"from": "2026-11-22T21:00:00Z", "to": "2026-11-22T21:06:00Z"}
    for question in ("timeseries/offcputime", "heatmap/offcputime"):
        for span, interval, step in (({}, 60, 60), (earlier, 90, 120), ({}, 60, 60)):
            found = ask(engine_world, question, **span)
            assert (found["interval"], found["step"]) == (interval * SECOND, step * SECOND)


def test_rows_without_an_interval_keep_the_asked_steps(engine_world: World) -> None:
    """Events come when they come: the steps are as short as asked for."""
    times = (0, 1, 9, 14, 29, 31, 60, 98, 117, 155, 203, 207, 290, 306, 341)
    row = waits()[0]
    engine_world.insert("offcputime", [row | {"time": NOON + at * SECOND} for at in times])
    answer = ask(engine_world, "timeseries/offcputime")
    assert (answer["step"], answer["interval"]) == (5 * SECOND, 0)


def test_tables_of_events_have_times_of_their_own(world: World) -> None:
    """Even an event that comes once a minute is drawn at its second."""
    events = next(each for each in load_catalog(["builtin"]) if each.table == "oomkill")
    world.adopt(Catalog((*world.catalog, events)))
    times = range(NOON, NOON + 6 * MINUTE, MINUTE)
    row = {
        "hostname": "web-001",
        "process": "a",
        "pid": 1,
        "trigger_process": "b",
        "trigger_pid": 2,
    }
    world.insert("oomkill", [row | {"time": time} for time in times])
    assert ask(world, "timeseries/oomkill")["step"] == 5 * SECOND
