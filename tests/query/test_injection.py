"""No text of a user's reaches SQL as text: attacks through every parameter and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from kscope.query.questions import QUESTIONS
from kscope.query.sql.operators import SUFFIXES
from tests.query.test_rows import EVERYTHING
from tests.query.world import catalog, waits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.query.world import World

SPAN = {"from": "2026-11-23", "to": "2026-11-24"}
# Quotes and comments of every engine, stacked statements, other tables, files, pauses, escapes of
# each dialect, and what a driver's own parameter marks look like.
CORPUS = (
    "' OR '1'='1",
    '" OR ""="',
    "` OR `1`=`1",
    "1 OR 1=1",
    "1) OR (1=1",
    "'; DROP TABLE kscope_rows_offcputime; --",
    "1; DELETE FROM kscope_string",
    "' UNION SELECT text, 1, 1 FROM kscope_string --",
    "') UNION SELECT sql, 2 FROM sqlite_master --",
    "' AND (SELECT COUNT(*) FROM information_schema.tables) > 0 #",
    "\\' OR 1=1 -- ",
    "'||(SELECT text FROM kscope_string LIMIT 1)||'",
    "1 AND SLEEP(5)",
    "'/**/OR/**/1=1/*",
    "%' OR '%'='",
    "%s %d %(x)s ? :x {0} {x}",
    "x' INTO OUTFILE '/tmp/kscope",
    "ATTACH DATABASE '/tmp/kscope.db' AS x",
    "load_extension('x')",
    "0x4f52",
    "\u02bc OR 1=1",
    "\uff07 OR 1=1",
)
HARMLESS = (200, 400, 404, 422)


@pytest.fixture
def client(engine_world: World) -> Iterator[World]:
    engine_world.insert("offcputime", waits())
    engine_world.insert("everything", [EVERYTHING | {"process": "mysqld"}])
    before = contents(engine_world)
    yield engine_world
    assert contents(engine_world) == before


def contents(world: World) -> list[list[str]]:
    tables = ("kscope_rows_offcputime", "kscope_rows_everything", "kscope_string", "kscope_stack")
    counted = [world.database.rows(f"SELECT COUNT(*) FROM {table}") for table in tables]
    return [*[row[0] for row in counted], ["mysqld"] * len(world.database.rows(_MYSQLD))]


_MYSQLD = "SELECT 1 FROM offcputime WHERE process = 'mysqld'"


def addresses() -> list[tuple[str, str]]:
    """Every question with each parameter and filter that it takes."""
    category = catalog().get("everything")
    assert category is not None
    filters = [column.name for column in category.all_columns]
    suffixes = ["", "__x", *(f"__{suffix}" for suffix in SUFFIXES)]
    found = []
    for question in QUESTIONS.values():
        names = ["from", "to", *(p.name for p in question.parameters), "base.process"]
        names += ["base.any", "nosuch"]
        found += [(question.name, name) for name in names]
    return found + [("flamegraph", f"{name}{suffix}") for name in filters for suffix in suffixes]


def attacks(client: World, turn: int) -> Sequence[str]:
    """Some each turn, so that each is tried on every parameter of a kind; fewer where asking
    takes longer.
    """
    count = 7 if client.database.name == "sqlite" else 3
    return [CORPUS[(turn * count + i) % len(CORPUS)] for i in range(count)]


def test_no_parameter_lets_sql_in(client: World) -> None:
    """Each attack is a value like any other, or a mistake that is named; nothing changes."""
    for turn, (question, name) in enumerate(addresses()):
        path = f"/api/v1/{question}/everything" + ("/process" if question == "values" else "")
        for attack in attacks(client, turn):
            response = client.get(path, SPAN | {name: attack})
            assert response.status_code in HARMLESS, (path, name, attack, response.text)
            if response.status_code == 200 and name in ("process", "path", "state", "stack"):
                assert response.json()["rows"] == 0, (path, name, attack)


def test_no_name_of_a_parameter_table_or_column_lets_sql_in(client: World) -> None:
    """Attacks in the place of names are unknown names."""
    for attack in CORPUS:
        assert client.get("/api/v1/rows/offcputime", SPAN | {attack: "1"}).status_code == 400
        for path in (f"rows/{attack}", f"values/offcputime/{attack}"):
            response = client.get(httpx_path(path), SPAN)
            assert response.status_code in (400, 404), (path, response.text)


def httpx_path(path: str) -> str:
    return "/api/v1/" + quote(path)


def bodies(attack: str) -> Iterator[tuple[Any, bool]]:
    """The question of 2016 with the attack in each of its fields, and whether it is a mistake."""

    def asked(**changed: Any) -> dict[str, Any]:
        return {"offcputime": {"elements": ["process"]} | changed}

    def condition(oper: Any = "and", **given: Any) -> dict[str, Any]:
        return asked(constraints=[{"oper": oper, "conditions": [given]}])

    yield {attack: {"elements": ["process"]}}, True
    yield asked(elements=[attack]), True
    yield asked(limit=attack), True
    yield asked(format=attack), True
    yield asked(**{attack: 1}), True
    yield condition(attack, process="x", expr="="), True
    yield condition(process="x", expr=attack), True
    yield condition(**{attack: "x"}, expr="="), True
    yield condition(pid=attack, expr="="), True
    yield condition(time=attack, expr="="), True
    for symbol in ("=", "<=", "contains"):
        yield condition(process=attack, expr=symbol), False
    yield condition(stack=attack, expr="contains"), False


def test_no_field_of_the_seeds_question_lets_sql_in(client: World) -> None:
    """Names and numbers are refused, texts are compared as they are and found nowhere."""
    for attack in CORPUS:
        for body, mistake in bodies(attack):
            response = client.post("/api", json=body)
            assert response.status_code in ((400, 404) if mistake else (200,)), (
                body,
                response.text,
            )
            if not mistake and "<=" not in str(body):
                assert response.json() == {"offcputime": []}, body


def test_attacks_that_are_stored_are_found_as_they_are(engine_world: World) -> None:
    """A process with such a name is found by it, by a part of it and by its pattern."""
    base = waits()[0]
    engine_world.insert(
        "offcputime", [base | {"process": attack, "pid": 9000} for attack in CORPUS]
    )
    for attack in CORPUS:
        for name in ("process", "process__contains", "process__startswith"):
            response = engine_world.get(
                "/api/v1/top/offcputime", SPAN | {name: attack, "by": "process"}
            )
            keys = [entry["key"] for entry in response.json()["entries"]]
            assert [attack] in keys, (name, attack)
