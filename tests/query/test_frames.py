"""Filters by one exact frame, and the operators that the API offers a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kscope.query.sql.operators import SUFFIXES
from tests.query.test_cli import ask
from tests.query.world import waits

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
STACKS = (
    "main;worker_main;read",
    "worker_main;read",
    "main",
    "start;main",
    "MAIN;a_c;Übung",
    "",
    "a%c;read;main ",
    "abc;ubung;x;;y",
    "[unknown];日本 語;operator()(int, char*)",
    "a\\c;'; DROP TABLE x_--",
)
FRAMES = sorted({frame for stack in STACKS for frame in stack.split(";")})
OTHERS = ("ain", "mai", "Main", "a_", "%", "_", "a?c", "übung", "u", "worker", "main;", "MAIN ")


def stacks(world: World, **query: str) -> list[str]:
    answer = world.get("/api/v1/rows/offcputime", params=DAY | {"order": "time"} | query)
    assert answer.status_code == 200, answer.text
    at = answer.json()["columns"].index("stack")
    return [row[at] for row in answer.json()["rows"]]


def test_a_frame_is_found_exactly_and_nowhere_else(engine_world: World) -> None:
    """The first, a middle, the last and the only frame are found; a part of one is not."""
    rows = [waits()[0] | {"stack": stack} for stack in STACKS]
    engine_world.insert("offcputime", rows)
    for frame in (*FRAMES, *(each for each in OTHERS if ";" not in each)):
        have = [each for each in STACKS if each and frame in each.split(";")]
        have_not = [each for each in STACKS if each not in have]
        # All are of one microsecond: their order is the engine's.
        assert sorted(stacks(engine_world, stack__has=frame)) == sorted(have), frame
        assert sorted(stacks(engine_world, stack__lacks=frame)) == sorted(have_not), frame


def test_a_frame_holds_for_every_question(client: World) -> None:
    """Sums of the rows with the frame and of those without add up to all."""
    for question in ("flamegraph", "top"):
        totals = [
            client.get(f"/api/v1/{question}/offcputime", params=DAY | filters).json()["total"]
            for filters in ({}, {"stack__has": "do_command"}, {"stack__lacks": "do_command"})
        ]
        assert totals == [16_031, 15_000, 1_031]
    base = {"stack__has": "main", "base.stack__has": "epoll_wait_[k]"}
    compared = client.get("/api/v1/compare/offcputime", params=DAY | base).json()
    assert (compared["total"], compared["base_total"]) == (16_011, 1000)


def test_two_frames_in_one_filter_are_refused(client: World) -> None:
    """A frame holds no `;`; the answer says which filter takes such a text."""
    for name in ("stack__has", "stack__lacks"):
        answer = client.get("/api/v1/rows/offcputime", params=DAY | {name: "main;do_command"})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["parameter"]) == (400, name)
        assert "name one frame, or use stack__contains" in error["detail"]


def test_only_a_stack_has_frames(client: World) -> None:
    """Another column's answer names the operators that it takes."""
    answer = client.get("/api/v1/rows/offcputime", params=DAY | {"process__has": "main"})
    assert answer.status_code == 400
    assert "Allowed: eq, gt" in answer.json()["errors"][0]["detail"]


def test_the_terminal_asks_for_a_frame(client: World) -> None:
    """`kscope query TABLE stack__has=FRAME` as over HTTP."""
    days = ("--from", "2026-11-23", "--to", "2026-11-24", "--format", "folded")
    found = ask("offcputime", "--sqlite", client.database.path, *days, "stack__has=epoll_wait_[k]")
    assert found == "nginx;main;epoll_wait_[k] 1000\n"


def test_the_operators_offered_are_those_that_are_taken(world: World) -> None:
    """Each column of the categories takes every operator that it lists, and no other."""
    answer = world.get("/api/v1/categories").json()
    named = {each["name"]: each for each in answer["operators"]}
    assert set(named) == set(SUFFIXES)
    assert named["not_regex"]["words"] == "does not match"
    assert named["not_regex"]["opposite_of"] == "regex"
    (everything,) = (each for each in answer["categories"] if each["table"] == "everything")
    for column in everything["columns"]:
        for suffix in SUFFIXES:
            status = _status(world, column, suffix, many=named[suffix]["many"])
            assert status == (200 if suffix in column["operators"] else 400), (column, suffix)


VALUES = {"time": "2026-11-23", "timestamp": "2026-11-23", "bool": "true", "ip": "::1"}


def _status(world: World, column: dict[str, str], suffix: str, *, many: bool) -> int:
    value = VALUES.get(column["type"], "1")
    value = "1,2" if suffix == "holds" else f"{value},{value}" if many else value
    query = DAY | {f"{column['name']}__{suffix}": value}
    return world.get("/api/v1/rows/everything", params=query).status_code


@pytest.mark.parametrize("place", ["categories", "charts/offcputime"])
def test_a_description_is_one_of_the_openapi_document(world: World, place: str) -> None:
    """Every key of the answer is described."""
    answer = world.get(f"/api/v1/{place}").json()
    document = world.get("/api/v1/openapi.json").json()
    path = f"/api/v1/{place.replace('offcputime', '{table}')}"
    content = document["paths"][path]["get"]["responses"]["200"]["content"]
    name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert set(document["components"]["schemas"][name]["properties"]) == set(answer)
