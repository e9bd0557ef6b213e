"""The heat map: events and time by round sizes, and the stack that has the most in a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.query.parse.timerange import iso
from kscope.query.scan.cells import shared_out
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

SIX_SECONDS = {"from": iso(NOON), "to": iso(NOON + 6 * SECOND)}


def ask(world: World, **more: str | int) -> Any:
    answer = world.get("/api/v1/heatmap/offcputime", SIX_SECONDS | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def total(cells: list[list[int]]) -> int:
    return sum(map(sum, cells))


def slots(*counts: tuple[int, int]) -> list[int]:
    found = [0] * (1 + max(slot for slot, _ in counts))
    for slot, events in counts:
        found[slot] = events
    return found


@pytest.fixture
def burst(engine_world: World) -> World:
    """Two seconds of short waits, one with three long ones; lengths say what elapsed sums."""
    rows = waits()[0]
    short = {
        "stack": "main;poll_[k]",
        "elapsed": 100 * 40,
        "count": 100,
        "lengths": slots((5, 100)),
    }
    long = {"stack": "main;sync_[k]", "elapsed": 6_000_000, "count": 3, "lengths": slots((20, 3))}
    engine_world.insert(
        "offcputime",
        [
            rows | short,
            rows | short | {"time": NOON + SECOND},
            rows | long | {"time": NOON + SECOND, "process": "nginx"},
        ],
    )
    return engine_world


def test_values_are_laid_into_round_rows_exactly(client: World) -> None:
    """Means from 10 us to 5 ms; time is what the rows sum."""
    answer = ask(client, value="elapsed", points=1)
    lower = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    assert (answer["scale"], answer["weigh"], answer["lower"]) == ("round", "time", lower)
    assert answer["upper"] == 10_000
    assert answer["counts"] == [[1, 1, 0, 10, 0, 0, 3, 2, 1]]
    assert answer["weights"] == [[11, 20, 0, 1000, 0, 0, 3000, 7000, 5000]]
    assert (answer["rate"], answer["seconds"]) == ("threads waiting", [6])


def test_a_histogram_is_laid_into_round_rows(burst: World) -> None:
    """Powers of two are split as if evenly filled; events and time add up to what was stored."""
    answer = ask(burst, points=6)
    assert answer["lower"][:3] == [20, 50, 100]
    # [32, 64) has 18 of its 32 microseconds below 50.
    assert answer["counts"][0][:3] == [56, 44, 0]
    assert [total([each]) for each in answer["counts"][:2]] == [100, 103]
    # Waits of 32 to 64 us took 4 ms, those of 1 to 2.1 s took 6 s.
    assert [total([each]) for each in answer["weights"][:2]] == [4000, 6_004_000]
    by_row = dict(zip(answer["lower"], answer["weights"][1], strict=True))
    assert by_row[1_000_000] > 5_990_000
    assert "laid into rows" in str(answer["notices"])


def test_events_weigh_if_asked_for(burst: World) -> None:
    """Then there is no time; and powers of two are rows as they are stored."""
    answer = ask(burst, weigh="events", scale="log2", points=6)
    assert (answer["weigh"], answer["weights"], answer["rate"]) == ("events", [], "")
    assert answer["counts"][1][0] == 100
    assert answer["counts"][1][-1] == 3
    assert (answer["lower"][0], answer["lower"][-1]) == (32, 2**20)


def test_time_that_the_sizes_cannot_make_is_that_of_the_middles(world: World) -> None:
    """Rows that have a time and no histogram: nothing of theirs is laid into rows."""
    row = waits()[0] | {"lengths": slots((5, 2)), "count": 2}
    world.insert("offcputime", [row | {"elapsed": 5_000_000}])
    assert total(ask(world, points=1, scale="log2")["weights"]) == 2 * 48


def test_amounts_that_are_no_time_weigh_by_events(client: World) -> None:
    """Time of a number of events makes no sense, and is refused."""
    assert ask(client, value="count")["weigh"] == "events"
    refused = client.get("/api/v1/heatmap/offcputime", {"value": "count", "weigh": "time"})
    assert refused.status_code == 400
    assert "use weigh=events" in refused.text


def test_the_stack_that_has_the_most_in_a_cell(burst: World) -> None:
    """The long waits are one of three stacks by number, and the whole of their cell."""
    cell = f"{iso(NOON + SECOND + 5)},1000000,2000000"
    answer = ask(burst, cell=cell, points=6)
    (first,) = answer["top"]
    assert (first["group"], first["stack"]) == ("nginx", "main;sync_[k]")
    assert first["share"] == 1
    assert answer["times"] == [NOON + SECOND]
    assert (answer["lower"], answer["upper"], answer["meta"]["rows"]) == ([1000000], 2000000, 2)
    exact = ask(burst, value="elapsed", points=6, cell=f"{iso(NOON)},20,50", top=5)
    assert [(each["group"], each["events"], each["time"]) for each in exact["top"]] == [
        ("mysqld", 100, 4000)
    ]
    assert exact["counts"] == [[100]]
    empty = ask(burst, points=6, cell=f"{iso(NOON)},1000000,2000000")
    assert (empty["top"], empty["counts"], empty["weights"]) == ([], [[0]], [[0]])


def test_a_cell_that_is_none_is_refused(client: World) -> None:
    """Outside of the range, the wrong way round, a flood."""
    for cell, told in (
        ("now,1,2", "is not in the range"),
        (f"{iso(NOON)},5,5", "the smaller size comes first"),
        (f"{iso(NOON)},1", "is not TIME,LOW,HIGH"),
        (f"{iso(NOON)},1,inf", "is not TIME,LOW,HIGH"),
        (f"{iso(NOON)},1,{'9' * 30_000}", "is not TIME,LOW,HIGH"),
        ("," * 15_000, "is not TIME,LOW,HIGH"),
    ):
        answer = client.get("/api/v1/heatmap/offcputime", SIX_SECONDS | {"cell": cell})
        assert (answer.status_code, told in answer.text) == (400, True), answer.text


def test_a_step_says_how_much_of_it_lies_in_the_range(client: World) -> None:
    """The first and the last may be shorter, in a time series as in a heat map."""
    span = {"from": iso(NOON + SECOND // 2), "to": iso(NOON + 5 * SECOND), "points": 3}
    series = client.get("/api/v1/timeseries/offcputime", span).json()
    assert (series["step"], series["seconds"]) == (2 * SECOND, [1.5, 2, 1])
    assert series["rate"] == "threads waiting"
    assert client.get("/api/v1/heatmap/offcputime", span).json()["seconds"] == [1.5, 2, 1]
    counted = client.get("/api/v1/timeseries/offcputime", span | {"aggregate": "count"}).json()
    assert counted["rate"] == ""


@given(
    st.integers(0, 2**60),
    st.lists(st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=9),
)
def test_what_is_shared_out_adds_up(whole: int, weights: list[float]) -> None:
    """To the last event."""
    assert sum(shared_out(whole, weights)) == whole
