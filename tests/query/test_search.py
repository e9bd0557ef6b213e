"""Search and completion: what runs through matching frames, counts under the other filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.query.world import waits

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}


@pytest.fixture
def client(engine_world: World) -> World:
    engine_world.insert("offcputime", waits())
    return engine_world


def ask(world: World, question: str, **more: str | int) -> Any:
    answer = world.get(f"/api/v1/{question}", DAY | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_search_sums_what_runs_through_its_frames(client: World) -> None:
    """A stack with two matching frames counts once; a frame's name matches, not the whole stack."""
    found = ask(client, "search/offcputime", match="^(futex|do_)")
    assert (found["value"], found["events"], found["rows"]) == (15_000, 6, 3)
    assert (found["total"], found["all_events"], found["all_rows"]) == (16_031, 18, 6)
    assert (found["found"], found["unit"]) == (2, "us")
    assert found["frames"] == [
        {"name": "do_command", "value": 15_000, "events": 6, "rows": 3},
        {"name": "futex_wait_[k]", "value": 12_000, "events": 3, "rows": 2},
    ]
    text = ask(client, "search/offcputime", text="futex", hostname="web-002")
    assert (text["value"], text["rows"], text["total"]) == (7_000, 1, 7_031)
    # As the filter by this search finds it.
    filtered = ask(client, "top/offcputime", stack__regex="(^|;)(futex|do_)", by="hostname")
    assert filtered["total"] == found["value"]


def test_frames_are_offered_by_their_weight(client: World) -> None:
    """Without a text all frames; nothing at all is a search too."""
    frames = ask(client, "search/offcputime", n=2)["frames"]
    assert [each["name"] for each in frames] == ["main", "do_command"]
    none = ask(client, "search/offcputime", text="nothing")
    assert (none["value"], none["events"], none["frames"]) == (0, 0, [])


def test_values_are_counted_under_the_other_filters(client: World) -> None:
    """Several values of one column at once; rows and time of each."""
    both = ask(client, "values/offcputime/process", process__in="mysqld,nginx", prefix="")
    assert [(each["value"], each["rows"], each["amount"]) for each in both["values"]] == [
        ("mysqld", 3, 15_000),
        ("nginx", 2, 1_020),
    ]
    assert (both["measured"], both["unit"]) == ("elapsed", "us")
    one = ask(client, "values/offcputime/process", hostname="web-002", prefix="my", amount="count")
    assert one["values"] == [{"value": "mysqld", "rows": 1, "amount": 2}]
    frames = ask(client, "values/offcputime/stack", prefix="futex", process="mysqld")
    assert frames["values"] == [{"value": "futex_wait_[k]", "rows": 2, "amount": 12_000}]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"text": "a", "match": "b"}, "a search has a text"),
        ({"match": "("}, "not a regular expression"),
        ({"match": "x" * 1001}, "at most 1,000"),
        ({"text": "x" * 59_000 + "\0"}, "NUL"),
    ],
)
def test_a_bad_search_is_refused(world: World, asked: dict[str, str], told: str) -> None:
    """With the parameter that is wrong."""
    answer = world.get("/api/v1/search/offcputime", DAY | asked)
    assert (answer.status_code, told in answer.text) == (400, True), answer.text
