"""Frames of a comparison, a base without the side, and files for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.query.parse.timerange import iso
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

BOX = {"from": iso(NOON + 4 * SECOND), "to": iso(NOON + 6 * SECOND)}
RANGE = {"base.from": iso(NOON), "base.to": iso(NOON + 10 * SECOND)}


@pytest.fixture
def client(engine_world: World) -> World:
    """Ten seconds of one stack; for two of them a new one, and an old one is missing."""
    row = waits()[0] | {"process": "mysqld", "count": 1, "lengths": [0, 0, 1]}
    rows = []
    for second in range(10):
        at = row | {"time": NOON + second * SECOND}
        rows.append(at | {"stack": "main;work;work;lock", "elapsed": 1000})
        new = "main;work;sync" if second in (4, 5) else "main;idle"
        size = {"elapsed": 9000, "lengths": [0] * 12 + [1]} if second in (4, 5) else {"elapsed": 50}
        rows.append(at | {"stack": new} | size)
    engine_world.insert("offcputime", rows)
    return engine_world


def ask(world: World, **more: str | int) -> Any:
    answer = world.get("/api/v1/compare/offcputime", BOX | RANGE | {"by": ""} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(frames: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {each["name"]: (each["value"], each["base_value"]) for each in frames}


def test_frames_are_new_gone_or_changed(client: World) -> None:
    """Recursion counts once; ratio and share are of both sides; the largest first."""
    answer = ask(client, **{"base.rest": "time"})
    assert listed(answer["new"]) == {"sync": (18_000, 0)}
    assert listed(answer["gone"]) == {"idle": (0, 400)}
    assert listed(answer["frames"]) == {
        "main": (20_000, 8_400),
        "work": (20_000, 8_000),
        "lock": (2_000, 8_000),
    }
    work = next(each for each in answer["frames"] if each["name"] == "work")
    assert (work["ratio"], work["share"], work["base_share"]) == (2.5, 1, 8_000 / 8_400)
    assert answer["new"][0]["ratio"] is None
    assert (answer["seconds"], answer["base_seconds"]) == (2, 8)
    assert (answer["total"], answer["base_total"]) == (20_000, 8_400)


def test_a_base_leaves_out_the_side(client: World) -> None:
    """Its time, so that the same sizes elsewhere are left; or the box of both, which may be in the
    same time.
    """
    sizes = {"lengths__holds": "4,8"}
    elsewhere = ask(client, **sizes, **{"base.rest": "time"})
    assert (elsewhere["total"], elsewhere["base_total"]) == (2_000, 8_400)
    rest = ask(client, **sizes, **{"base.rest": "box"})
    assert rest["base_total"] == 8_400 + 18_000
    assert rest["base_seconds"] == 10
    whole = ask(client, **sizes)
    assert whole["base_total"] == 8_400 + 2_000


def test_a_comparison_is_a_file(client: World) -> None:
    """Two columns a stack, base first; tables for a ticket."""
    query = BOX | RANGE | {"base.rest": "time", "by": "process"}
    folded = client.get("/api/v1/compare/offcputime", query | {"format": "difffolded"})
    assert folded.text.splitlines() == [
        "mysqld;main;idle 400 0",
        "mysqld;main;work;sync 0 18000",
        "mysqld;main;work;work;lock 8000 2000",
    ]
    ticket = client.get("/api/v1/compare/offcputime", query | {"format": "markdown"})
    assert ticket.headers["content-disposition"] == 'attachment; filename="offcputime.md"'
    assert "| `sync` | 0 us | 18 ms | 0 % -> 90 % |  |" in ticket.text
    assert "| `work` | 8 ms | 20 ms | 95.2 % -> 100 % | 2.5 |" in ticket.text


def test_a_wrong_rest_is_refused(client: World) -> None:
    """With what is allowed; and a list of frames has a bound."""
    for asked, told in (
        ({"base.rest": "x" * 10_000}, "Allowed: time, box"),
        ({"n": 100_000}, "not a whole number from 1 to 1000"),
    ):
        answer = client.get("/api/v1/compare/offcputime", BOX | RANGE | asked)  # type: ignore[arg-type]
        assert (answer.status_code, told in answer.text) == (400, True), answer.text
