"""Presets: filters that a category declares, which a question asks for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.model import Catalog
from tests.query.world import NOON, SECOND
from tests.store.opened import category

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
FILE = """\
table: waits
columns:
  - {name: process, type: string}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed, rate: threads waiting}
  - {name: count, type: count}
  - {name: busy, type: float, default: 0}
presets:
  - name: without idle
    default: true
    help: event loops
    filter: {stack__not_regex: "(^|;)epoll_wait(;|$)"}
  - {name: without short & rare, filter: {elapsed__gte: 1ms, count__gt: 1}}
"""
STACKS = (
    ("main;epoll_wait", 900_000, 3),
    ("main;epoll_wait", 40, 3),
    ("main;my_epoll_wait", 5_000, 2),
    ("main;lock", 7_000, 1),
    ("main;lock", 60, 9),
)
IDLE, RARE = "without idle", "without short & rare"


@pytest.fixture
def waits(engine_world: World) -> World:
    """Five rows, two of them idle, three short or rare; one is both."""
    engine_world.adopt(Catalog((category(FILE, "waits.yaml"),)))
    rows = [
        {"time": NOON + i * SECOND, "hostname": f"h{i % 2}", "process": "p"}
        | {"stack": stack, "elapsed": elapsed, "count": count}
        for i, (stack, elapsed, count) in enumerate(STACKS)
    ]
    engine_world.insert("waits", rows)
    return engine_world


def answer(world: World, question: str, **asked: Any) -> dict[str, Any]:
    found = world.get(f"/api/v1/{question}/waits", params=DAY | asked)
    assert found.status_code == 200, found.text
    decoded: dict[str, Any] = found.json()
    return decoded


def test_every_question_takes_a_preset(waits: World) -> None:
    """Rows that fail a filter of a preset are in no answer; no preset is applied unasked."""
    asked = {"preset": IDLE}
    assert answer(waits, "flamegraph")["total"] == 912_100
    assert answer(waits, "flamegraph", **asked)["total"] == 12_060
    assert len(answer(waits, "rows", **asked)["rows"]) == 3
    assert answer(waits, "histogram", value="elapsed", **asked)["total"] == 12
    assert answer(waits, "top", by="hostname", **asked)["total"] == 12_060
    frames = waits.get("/api/v1/values/waits/stack", params=DAY | asked).json()["values"]
    assert {each["value"] for each in frames} == {"main", "lock", "my_epoll_wait"}
    compared = answer(waits, "compare", hostname="h0", **{"base.hostname": "h1"}, **asked)
    assert (compared["total"], compared["base_total"]) == (5_060, 7_000)
    folded = waits.get("/api/v1/flamegraph/waits", params=DAY | asked | {"format": "folded"})
    assert folded.text == "p;main;lock 7060\np;main;my_epoll_wait 5000\n"


def test_an_answer_tells_what_each_preset_hides(waits: World) -> None:
    """Shown and hidden add up to all; a row that two presets hide counts for the first."""
    both = {"preset": [RARE, IDLE]}
    for question in ("flamegraph", "timeseries", "top"):
        assert answer(waits, question)["meta"]["hidden"] == []
        assert answer(waits, question, **both)["meta"]["hidden"] == [
            {"preset": RARE, "value": 7_100, "rows": 3},
            {"preset": IDLE, "value": 900_000, "rows": 1},
        ]
        part = answer(waits, question, preset=IDLE, hostname="h1", elapsed__lt="1ms")
        assert part["meta"]["hidden"] == [{"preset": IDLE, "value": 40, "rows": 1}]
    assert answer(waits, "flamegraph", **both)["total"] == 5_000
    counted = answer(waits, "timeseries", value="busy", **both)["meta"]["hidden"]
    assert counted[1] == {"preset": IDLE, "value": None, "rows": 1}
    compared = answer(waits, "compare", preset=IDLE, **{"base.preset": RARE})
    assert [compared[of]["hidden"][0]["preset"] for of in ("meta", "base_meta")] == [IDLE, RARE]


def test_presets_are_described_and_misspelt_ones_are_named(waits: World) -> None:
    """The page knows which it asks for; an unknown name is an error with the likely one."""
    (described,) = waits.get("/api/v1/categories").json()["categories"]
    assert described["presets"] == [
        {"name": IDLE, "default": True, "help": "event loops"},
        {"name": RARE, "default": False, "help": ""},
    ]
    wrong = waits.get("/api/v1/top/waits", params={"preset": ["", IDLE, "without idel"]})
    assert wrong.status_code == 400
    (error,) = wrong.json()["errors"]
    assert error["parameter"] == "preset"
    assert "Did you mean 'without idle'?" in error["detail"]
    flood = waits.get("/api/v1/top/waits", params={"preset": [IDLE] * 501})
    assert flood.status_code == 400


def test_a_filter_that_is_wrong_is_found_with_the_file(world: World) -> None:
    """The check of a new file names the line and the cure; nothing is generated from it."""
    wrong = FILE.replace("stack__not_regex", "stack__not_rexeg")
    checked = world.post("/api/v1/check", content=wrong).json()
    (problem,) = checked["problems"]
    assert (problem["line"], problem["path"]) == (12, "presets[0].filter.stack__not_rexeg")
    assert "Did you mean 'not_regex'?" in problem["message"]
    assert checked["category"] is None
