"""One row: by its id, with the rows around it of the same host and process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}


def ask(world: World, **more: str | int) -> Any:
    answer = world.get("/api/v1/rows/offcputime", DAY | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_row_opens_by_its_id_with_its_neighbours(engine_world: World) -> None:
    """Of the same host and process, whatever range and filters say; the newest first."""
    rows = [waits()[0] | {"time": NOON + i * SECOND, "pid": i} for i in range(10)]
    others = [waits()[0] | {"time": NOON + 5 * SECOND, "process": "nginx"}]
    engine_world.insert("offcputime", [*rows, *others, rows[5] | {"hostname": "db", "pid": 99}])
    listed = ask(engine_world, hostname="web-001", process="mysqld")
    assert listed["at"] is None
    pid = listed["columns"].index("pid")
    of_row_5 = listed["ids"][[row[pid] for row in listed["rows"]].index(5)]
    opened = ask(engine_world, row=of_row_5, around=2, process="elsewhere")
    assert [row[pid] for row in opened["rows"]] == [7, 6, 5, 4, 3]
    assert opened["at"] == 2
    assert opened["ids"][2] == of_row_5
    first = ask(engine_world, row=ask(engine_world, order="pid", limit=1)["ids"][0], around=1)
    assert ([row[pid] for row in first["rows"]], first["at"]) == ([1, 0], 1)


def test_rows_of_one_moment_have_their_own_ids(world: World) -> None:
    """An interval's rows have all its time."""
    world.insert("offcputime", [waits()[0] | {"pid": i} for i in range(5)])
    ids = ask(world)["ids"]
    assert len(set(ids)) == 5
    opened = [ask(world, row=each, around=0) for each in ids]
    assert [each["rows"] for each in opened] == [[row] for row in ask(world)["rows"]]


def test_a_row_that_is_none_is_refused(client: World) -> None:
    """A row that is gone, text, a flood."""
    for row, told in (
        (f"{NOON}.0.12345", "there is no such row"),
        (f"{NOON}.7.0", "there is no such row"),
        ("5", "is not a row of this API"),
        ("9" * 50_000, "is not a row of this API"),
    ):
        answer = client.get("/api/v1/rows/offcputime", {"row": row})
        assert (answer.status_code, told in answer.text) == (400, True), answer.text
