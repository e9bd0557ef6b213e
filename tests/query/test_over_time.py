"""Time series, heat maps, histograms, top groups, completion: numbers one can check by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kscope.query.questions import QUESTIONS
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from kscope.query.answers.question import Question
    from tests.query.world import World

SIX_SECONDS = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:00:06Z"}


@pytest.fixture(scope="module")
def client(module_world: World) -> World:
    module_world.insert("offcputime", waits())
    return module_world


@pytest.fixture
def growing(engine_world: World) -> World:
    engine_world.insert("offcputime", waits())
    return engine_world


def ask(client: World, question: str, **parameters: Any) -> dict[str, Any]:
    response = client.get(f"/api/v1/{question}", params=SIX_SECONDS | parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def series(client: World, **parameters: Any) -> dict[str, list[Any]]:
    answer = ask(client, "timeseries/offcputime", points=3, **parameters)
    assert answer["step"] == 2 * SECOND
    assert answer["times"] == [NOON, NOON + 2 * SECOND, NOON + 4 * SECOND]
    return {each["name"]: each["values"] for each in answer["series"]}


def test_the_largest_groups_and_the_rest_have_series(client: World) -> None:
    """Steps without a value are 0, since sums add up; the chart's `by` is the default."""
    assert series(client, n=1) == {"mysqld": [8000, 7000, 0], "other": [0, 1000, 31]}
    assert series(client) == {
        "mysqld": [8000, 7000, 0],
        "nginx": [0, 1000, 20],
        "a;b": [0, 0, 11],
    }
    assert series(client, by="") == {"elapsed": [8000, 8000, 31]}


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("sum", [8000, 8000, 31]),
        ("count", [4, 12, 2]),
        ("avg", [2000, 8000 / 12, 15.5]),
        ("min", [1000, 100, 11]),
        ("max", [5000, 3500, 20]),
        ("last", [1000, 3500, 20]),
        ("p50", [853.333333, 102.4, 16]),
        ("p99", [8192, 4096, 32]),
    ],
)
def test_values_are_aggregated_per_event(
    client: World, aggregate: str, expected: list[float]
) -> None:
    """A row that sums `count` events counts as that many of their mean."""
    assert series(client, by="", aggregate=aggregate)["elapsed"] == expected


def test_the_newest_value_of_a_group_is_ranked(growing: World) -> None:
    """`last` is the value of a gauge: it is read to its last digit, and ranked by its number."""
    found = ask(growing, "top/offcputime", by="process", aggregate="last")
    assert [(each["key"][0], each["value"]) for each in found["entries"]] == [
        ("mysqld", 3500),
        ("nginx", 20),
        ("a;b", 11),
    ]
    assert found["total"] is None
    growing.insert("offcputime", [waits()[0] | {"time": NOON + 5_500_000, "count": 7}])
    found = ask(growing, "top/offcputime", by="process", aggregate="last")
    assert found["entries"][0]["value"] == 5000 / 7


def test_sizes_over_time_are_counted_by_powers_of_two(client: World) -> None:
    """Three waits of 1000 us each, as one row says, are three in the slot from 512."""
    answer = ask(client, "heatmap/offcputime", value="elapsed", points=3, scale="log2")
    assert answer["lower"] == [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
    assert answer["upper"] == 8192
    assert answer["counts"] == [
        [0, 0, 0, 0, 0, 0, 3, 0, 0, 1],
        [0, 0, 0, 10, 0, 0, 0, 0, 2, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("scale", ["log2", "linear", "round"])
def test_a_filter_by_size_finds_what_a_heatmap_counts(client: World, scale: str) -> None:
    """A slot's rows are those whose mean event lies in it, however much they sum."""
    drawn = ask(client, "heatmap/offcputime", value="elapsed", scale=scale, slots=7)
    bounds = pairwise([*drawn["lower"], drawn["upper"]])
    for slot, (low, high) in enumerate(bounds):
        query = {"by": "", "aggregate": "count", "elapsed__holds": f"{low},{high}"}
        found = ask(client, "timeseries/offcputime", **query)
        events = sum(counts[slot] for counts in drawn["counts"])
        assert sum(value or 0 for each in found["series"] for value in each["values"]) == events
    assert events > 0


def test_slots_of_equal_width_have_round_bounds(client: World) -> None:
    """Means go from 11 to 5000: five slots of a thousand."""
    answer = ask(client, "histogram/offcputime", value="elapsed", scale="linear", slots=5)
    assert answer["lower"] == [0, 1000, 2000, 3000, 4000, 5000]
    assert answer["counts"] == [12, 3, 0, 2, 0, 1]
    assert answer["total"] == 18


def test_percentiles_come_with_their_bounds(client: World) -> None:
    """The true median is 100; its slot goes from 64 to 128."""
    answer = ask(client, "histogram/offcputime", value="elapsed")
    median = answer["percentiles"]["p50"]
    assert (median["lower"], median["upper"]) == (64, 128)
    assert 64 <= median["value"] <= 128


def test_histogram_columns_are_added_up(engine_world: World) -> None:
    """Slots of two rows, one of them over time."""
    row = {
        "hostname": "web",
        "process": "x",
        "path": "",
        "started": NOON,
        "latency": 1,
        "busy": -1.5,
        "peer": "::1",
        "stack": "a",
    }
    engine_world.insert(
        "everything",
        [
            row | {"time": NOON, "latencies": [0, 2, 0, 1]},
            row | {"time": NOON + 5 * SECOND, "latencies": [1, 1], "busy": 2.5},
        ],
    )
    answer = ask(engine_world, "heatmap/everything", points=3, scale="log2")
    assert answer["lower"] == [0, 2, 4, 8]
    assert answer["counts"] == [[0, 2, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
    assert ask(engine_world, "histogram/everything", value="latencies")["counts"] == [1, 3, 0, 1]
    floats = ask(engine_world, "histogram/everything", value="busy", slots=4)
    assert (floats["lower"], floats["counts"]) == ([-2, -1, 0, 1, 2], [1, 0, 0, 0, 1])


def test_top_groups_have_their_share(client: World) -> None:
    """By one column or several; the total is of all groups."""
    answer = ask(client, "top/offcputime", n=2)
    assert [(each["key"], each["value"], each["rows"]) for each in answer["entries"]] == [
        (["mysqld"], 15000, 3),
        (["nginx"], 1020, 2),
    ]
    assert (answer["total"], answer["groups"]) == (16031, 3)
    assert answer["entries"][0]["share"] == 15000 / 16031
    two = ask(client, "top/offcputime", n=1, by="hostname,process", aggregate="max")
    assert two["entries"][0]["key"] == ["web-001", "mysqld"]
    assert two["total"] is None


def test_values_are_offered_by_prefix(client: World) -> None:
    """Upper and lower case alike, the start of a value before its middle; frames of a stack."""

    def offered(column: str, prefix: str) -> list[str]:
        answer = ask(client, f"values/offcputime/{column}", prefix=prefix)
        return [each["value"] for each in answer["values"]]

    assert offered("process", "") == ["mysqld", "nginx", "a;b"]
    assert offered("process", "N") == ["nginx"]
    assert offered("process", "b") == ["a;b"]
    assert offered("pid", "00") == ["100", "200", "300", "400", "500"]
    assert offered("stack", "ep") == ["epoll_wait_[k]"]
    assert offered("hostname", "web") == ["web-001", "web-002"]


EMPTY = {"from": "2020-01-01", "to": "2020-01-02"}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda each: str(each.name))
def test_nothing_is_an_answer(client: World, question: Question) -> None:
    """A range without rows gives empty charts, tables and files in every format, not errors."""
    path = f"/api/v1{question.path}".replace("{table}", "offcputime").replace("{column}", "pid")
    formats = next(each for each in question.parameters if each.name == "format").choices
    for form in formats:
        for extra in ({}, {"scale": "linear", "value": "elapsed"}, {"by": ""}, {"by": "stack"}):
            names = {each.name for each in question.parameters}
            if extra.keys() <= names:
                response = client.get(path, params=EMPTY | extra | {"format": form})
                assert response.status_code == 200, (form, extra, response.text)
        if form == "json" and "meta" in response.json():
            assert response.json()["meta"]["rows"] == 0


def test_stacks_are_groups_like_any_other(client: World) -> None:
    """A series for each of the largest stacks, named by its frames."""
    assert series(client, by="stack", n=1) == {
        "main;do_command;futex_wait_[k]": [5000, 7000, 0],
        "other": [3000, 1000, 31],
    }
    top = ask(client, "top/offcputime", by="stack,process", n=1)
    assert top["entries"][0]["key"] == ["main;do_command;futex_wait_[k]", "mysqld"]


def test_values_are_groups_like_any_other(client: World) -> None:
    """Durations and numbers as they are: the largest have a series, whatever is asked of them."""
    assert series(client, by="elapsed", n=2) == {
        "7000": [0, 7000, 0],
        "5000": [5000, 0, 0],
        "other": [3000, 1000, 31],
    }
    # By how many a row sums.
    assert series(client, by="count", n=1, value="elapsed", aggregate="max") == {
        "10": [None, 100, None],
        "other": [5000, 3500, 20],
    }
    top = ask(client, "top/offcputime", by="hostname,count", value="rows")
    assert {tuple(each["key"]): each["rows"] for each in top["entries"]} == {
        ("web-001", "1"): 1,
        ("web-001", "3"): 1,
        ("web-001", "10"): 1,
        ("web-002", "1"): 2,
        ("web-002", "2"): 1,
    }
    graph = ask(client, "flamegraph/offcputime", by="count")
    below = [i for i, level in enumerate(graph["level"]) if level == 1]
    found = {graph["names"][graph["name"][i]]: graph["value"][i] for i in below}
    assert found == {"1": 5031, "2": 7000, "3": 3000, "10": 1000}


def test_floats_are_told_apart_by_every_bit(engine_world: World) -> None:
    """Groups of measured values: 0.1 + 0.2 is not 0.3, and zero has no sign."""
    values = (0.1 + 0.2, 0.3, 1.7e308, 5e-324, -1.5, -0.0, 0.0, 2.0)
    rows = [everything(busy=value, latency=10**i) for i, value in enumerate(values)]
    engine_world.insert("everything", rows)
    expected = {str(value): 10**i for i, value in enumerate(values) if value}
    expected["0.0"] = 1_100_000
    asked = {"by": "busy", "value": "latency"}
    top = ask(engine_world, "top/everything", **asked)
    assert {each["key"][0]: each["value"] for each in top["entries"]} == expected
    for aggregate in ("sum", "max"):
        answer = ask(
            engine_world, "timeseries/everything", **asked, points=1, n=7, aggregate=aggregate
        )
        found = {each["name"]: each["values"] for each in answer["series"]}
        whole = expected | ({"0.0": 1_000_000} if aggregate == "max" else {})
        assert found == {name: [value] for name, value in whole.items()}


def test_rows_without_a_count_are_counted_as_rows(growing: World) -> None:
    """A number of rows has not the unit of the value that is in them."""
    growing.insert("everything", [everything()])
    assert ask(growing, "top/everything", value="busy", aggregate="count")["unit"] == "rows"
    assert ask(growing, "top/offcputime", value="elapsed", aggregate="count")["unit"] == "events"


def everything(**changed: Any) -> dict[str, Any]:
    row = {"time": NOON, "hostname": "web", "process": "x", "path": "", "started": NOON}
    row |= {"latency": 1, "busy": 1.5, "peer": "::1", "stack": "a", "latencies": [1]}
    return row | changed


def test_the_largest_and_the_smallest_float_are_sizes(engine_world: World) -> None:
    """Slots, percentiles and heat maps of values whose difference is no float."""
    values = (-1.7e308, 0.0, 1.7e308)
    engine_world.insert("everything", [everything(busy=value) for value in values])
    for question, more in (("heatmap", {"points": 1}), ("histogram", {})):
        answer = ask(engine_world, f"{question}/everything", value="busy", **more)
        counts = answer["counts"][0] if question == "heatmap" else answer["counts"]
        assert sum(counts) == 3, question
        assert counts[0] == counts[-1] == 1
        assert None not in [*answer["lower"], answer["upper"]]
    found = ask(engine_world, "top/everything", value="busy", aggregate="p50", by="process")
    assert 0 <= found["entries"][0]["value"] <= 1.1e307


def test_values_that_may_be_negative_have_no_shares(engine_world: World) -> None:
    """A profile of a float column is refused with what is allowed; by default another is taken."""
    engine_world.insert("everything", [everything(busy=value) for value in (-3.0, 1.0)])
    refused = engine_world.get("/api/v1/hosts/everything", SIX_SECONDS | {"value": "busy"})
    assert refused.status_code == 400
    assert "Allowed: events, latency, written, rows" in refused.json()["errors"][0]["detail"]
    assert ask(engine_world, "hosts/everything", min_events=0)["hosts"][0]["distance"] == 0


@pytest.mark.parametrize(
    ("question", "query", "parameter", "said"),
    [
        ("timeseries/offcputime", {"aggregate": "mean"}, "aggregate", "Allowed: sum, count"),
        ("timeseries/offcputime", {"by": "process,pid"}, "by", "one column"),
        ("timeseries/offcputime", {"by": "lengths"}, "by", "is a histogram"),
        ("top/everything", {"by": "pid,latencies"}, "by", "Allowed: time, hostname, process"),
        ("flamegraph/offcputime", {"by": "elapsd"}, "by", "'elapsed'?"),
        ("timeseries/marker", {"aggregate": "avg"}, "aggregate", "Allowed: sum, count"),
        (
            "timeseries/everything",
            {"value": "latencies", "aggregate": "sum"},
            "aggregate",
            "Allowed: p50",
        ),
        ("heatmap/everything", {"scale": "linear"}, "scale", "log2"),
        ("heatmap/everything", {"value": "busy", "scale": "log2"}, "scale", "linear"),
        ("heatmap/offcputime", {"value": "rows"}, "value", "Allowed: elapsed, count"),
        ("values/offcputime/elapsed", {}, "column", "Allowed: time, hostname"),
        ("values/offcputime/proces", {}, "column", "'process'?"),
    ],
)
def test_what_makes_no_sense_is_refused(
    world: World, question: str, query: dict[str, str], parameter: str, said: str
) -> None:
    """Aggregates, scales and groups that the value or the column does not have."""
    response = world.get(f"/api/v1/{question}", params=query)
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["parameter"] == parameter
    assert said in error["detail"]
