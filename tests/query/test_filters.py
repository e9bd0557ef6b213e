"""Every operator on every kind of column, and what is said about a wrong one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import re2

from kscope.query.questions import QUESTIONS
from kscope.query.scan import regex
from kscope.query.scan.parallel import together
from kscope.store.backends.deadline import Deadline
from kscope.store.backends.errors import QueryTimeout
from tests.query.test_rows import EVERYTHING
from tests.query.world import waits

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}


def pids(client: World, query: dict[str, str]) -> list[int]:
    response = client.get("/api/v1/rows/offcputime", params=DAY | {"order": "time"} | query)
    assert response.status_code == 200, response.text
    answer = response.json()
    column = answer["columns"].index("pid")
    return [row[column] for row in answer["rows"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"process": "nginx"}, [200, 500]),
        ({"process__ne": "nginx"}, [100, 100, 300, 400]),
        ({"process__in": "nginx,a;b"}, [200, 400, 500]),
        ({"process__in": '["a;b"]'}, [400]),
        ({"process__in": "*"}, [100, 100, 200, 300, 400, 500]),
        ({"process__in": "*", "pid__in": "*"}, [100, 100, 200, 300, 400, 500]),
        ({"process__in": '["*"]'}, []),
        ({"process__in": "*,nginx"}, [200, 500]),
        ({"process__not_in": "nginx,mysqld"}, [400]),
        ({"process__contains": "SQL"}, []),
        ({"process__contains": "sql"}, [100, 100, 300]),
        ({"process__startswith": "n"}, [200, 500]),
        ({"process__not_startswith": "n"}, [100, 100, 300, 400]),
        ({"process__regex": "^(nginx|a.b)$"}, [200, 400, 500]),
        ({"process__not_regex": "x$"}, [100, 100, 300, 400]),
        ({"process__gt": "mysqld"}, [200, 500]),
        ({"stack__contains": "futex"}, [100, 300]),
        ({"stack__not_contains": "main"}, [500]),
        ({"stack__startswith": "main;epoll"}, [200]),
        ({"stack__regex": "(?i)FUTEX|io_sch"}, [100, 100, 300]),
        ({"stack": "main"}, [400]),
        ({"pid": "300"}, [300]),
        ({"pid__in": "100,500"}, [100, 100, 500]),
        ({"pid__gte": "200", "pid__lt": "400"}, [200, 300]),
        ({"elapsed__gte": "5ms"}, [100, 300]),
        ({"elapsed__lte": "20"}, [400, 500]),
        ({"elapsed__ne": "20", "process": "nginx"}, [200]),
        ({"hostname": "web-002", "process": "mysqld"}, [300]),
        ({"time__gt": "2026-11-23T00:00:03Z"}, [400, 500]),
    ],
)
def test_an_operator_lets_its_rows_through(
    client: World, query: dict[str, str], expected: list[int]
) -> None:
    """Case matters, negations are exact complements, conditions all hold."""
    assert pids(client, query) == expected


def test_a_thousand_values_are_a_filter(engine_world: World) -> None:
    """Of a text, a name, a number and an address; a thousand and one are refused."""
    row = EVERYTHING | {"path": "/tmp/7", "process": "p7", "pid": 7, "peer": "10.0.0.7"}
    engine_world.insert("everything", [row])
    places = {"path": "/tmp/", "process": "p", "pid": "", "peer": "10.0.0."}
    for column, before in places.items():
        values = [f"{before}{i % 200}" for i in range(1000)]
        for suffix, count in (("in", 1), ("not_in", 0)):
            query = DAY | {f"{column}__{suffix}": ",".join(values)}
            answer = engine_world.get("/api/v1/rows/everything", params=query)
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["rows"]) == count, (column, suffix)
        many = DAY | {f"{column}__in": ",".join([*values, values[0]])}
        assert engine_world.get("/api/v1/rows/everything", params=many).status_code == 400


def test_an_address_is_found_however_it_is_written(engine_world: World) -> None:
    """`::1` has many forms; what is no address is refused."""
    engine_world.insert("everything", [EVERYTHING])
    for given in ("::1", "0:0:0:0:0:0:0:1", "0000::0001"):
        for name in ("peer", "peer__in"):
            answer = engine_world.get("/api/v1/rows/everything", params=DAY | {name: given})
            assert len(answer.json()["rows"]) == 1, (name, given)
    refused = engine_world.get("/api/v1/rows/everything", params=DAY | {"peer": "localhost"})
    assert "is not an IPv4 or IPv6 address" in refused.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ({"proces": "x"}, "proces", "Did you mean 'process'?"),
        ({"process__like": "x"}, "process__like", "Allowed: eq, gt"),
        ({"pid__contains": "1"}, "pid__contains", "Allowed: eq, gt, gte, lt, lte, in"),
        ({"pid": "many"}, "pid", "'many' is not a whole number"),
        ({"pid": "9223372036854775808"}, "pid", "64 bits"),
        ({"pid": "9" * 400}, "pid", f"{'9' * 40} does not fit 64 bits"),
        ({"elapsed": "5 parsecs"}, "elapsed", "one of the units us"),
        ({"process__regex": "(("}, "process__regex", "missing )"),
        ({"process": "a\0b"}, "process", "NUL"),
        ({"process__in": "[1"}, "process__in", "not a JSON array"),
        ({"lengths__holds": "5000"}, "lengths__holds", "needs two sizes, the smaller first"),
        ({"lengths__holds": "16,2"}, "lengths__holds", "needs two sizes, the smaller first"),
        ({"elapsed__holds": "5ms"}, "elapsed__holds", "needs two sizes, the smaller first"),
        ({"elapsed__holds": "5ms,long"}, "elapsed__holds", "one of the units us"),
        ({"from": "yesterday"}, "from", "'yesterday' is not a time. Allowed: ISO 8601"),
        ({"from": "now", "to": "now-1h"}, "from", "must be before 'to'"),
        ({"from": "1795392000000"}, "from", "milliseconds, it seems: write 1795392000000000,"),
        ({"limit": "0"}, "limit", "a whole number from 1 to 10000"),
        ({"order": "stac"}, "order", "Did you mean 'stack'?"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(
    client: World, query: dict[str, str], parameter: str, said: str
) -> None:
    """The problem document points at the parameter."""
    response = client.get("/api/v1/rows/offcputime", params=query)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    (error,) = response.json()["errors"]
    assert error["parameter"] == parameter
    assert said in error["detail"]


def test_filters_are_bounded(client: World) -> None:
    """Both ways in say how many there may be; so many are answered, also on both sides of a
    comparison.
    """
    most = [("pid__ne", str(number)) for number in range(200)]
    one = {"pid": 1, "expr": "!="}
    for filters, conditions, status in (
        (most, [one] * 200, 200),
        ([*most, most[0]], [one] * 201, 400),
    ):
        base = [(f"base.{name}", value) for name, value in filters]
        asked = {
            "offcputime": {
                "elements": ["pid"],
                "constraints": [{"oper": "and", "conditions": conditions}],
            }
        }
        for response in (
            client.get("/api/v1/rows/offcputime", params=[*DAY.items(), *filters]),
            client.get("/api/v1/compare/offcputime", params=[*DAY.items(), *filters[:200], *base]),
            client.post("/api", json=asked),
        ):
            assert response.status_code == status, response.text
            assert status == 200 or "at most 200 filters" in response.text


def test_all_mistakes_come_at_once(client: World) -> None:
    """Three wrong parameters, three errors."""
    wrong = {"pid": "x", "from": "y", "order": "time", "proces": "z"}
    response = client.get("/api/v1/rows/offcputime", params=wrong)
    named = [error["parameter"] for error in response.json()["errors"]]
    assert named == ["pid", "proces", "from"]


def test_an_unknown_table_is_not_found(client: World) -> None:
    """The likeliest name is offered."""
    response = client.get("/api/v1/rows/offcputim")
    assert response.status_code == 404
    assert "Did you mean 'offcputime'?" in response.json()["detail"]


def test_a_pattern_that_backtracks_elsewhere_does_not_hang(client: World) -> None:
    """The classic (a+)+$ takes linear time."""
    assert pids(client, {"stack__regex": "(a+)+$(m|a|i|n)*x{1000}"}) == []


class _Slow:
    """A pattern that takes its time over each text, and counts them."""

    def __init__(self, seen: list[str], seconds: float) -> None:
        self.seen, self.seconds = seen, seconds

    def search(self, text: str) -> bool:
        self.seen.append(text)
        time.sleep(self.seconds)
        return True


def test_a_deadline_is_of_all_patterns_together(
    client: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matching is charged to the question: twenty patterns get no more time than one."""
    texts = [f"{'a' * 60_000};{i}" for i in range(30)]
    client.insert("offcputime", [waits()[0] | {"stack": text} for text in texts])
    seen: list[str] = []
    monkeypatch.setattr(regex, "compiled", lambda _: _Slow(seen, 0.05))
    category = client.catalog.get("offcputime")
    assert category is not None
    asked = QUESTIONS["top"].read(
        category, [*DAY.items(), *(("stack__regex", str(i)) for i in range(20))]
    )

    async def ask() -> None:
        with pytest.raises(QueryTimeout):
            await QUESTIONS["top"].ask(client.store.reader.within(Deadline(0.5)), asked)

    client.run(ask())
    assert 0 < len(seen) < 30, "one pattern's texts, of twenty patterns'"


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["x"] * 21, "the question has 21 regular expressions; use at most 20"),
        (["x" * 1001], "the pattern has 1,001 characters; use at most 1,000"),
        ([r"\pL" * 300], "pattern too large"),
        (["x", "(("], "missing )"),
    ],
)
def test_patterns_are_bounded(client: World, patterns: list[str], said: str) -> None:
    """In number, in length and in what they compile to."""
    query = [*DAY.items(), *(("stack__regex", each) for each in patterns)]
    answer = client.get("/api/v1/rows/offcputime", params=query)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


def test_patterns_are_not_kept(client: World) -> None:
    """Once a question is answered the library's cache of compiled patterns is empty."""
    for i in range(200):
        pids(client, {"stack__regex": f"main.*{i}(a|b|c)*x{{500}}"})
    assert re2._Regexp._make.cache_info().currsize == 0


def test_a_failed_part_ends_the_others() -> None:
    """If one part fails, the other parts stop, and the error is that part's."""
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("slow")

    async def bad() -> None:
        await asyncio.sleep(0)
        raise QueryTimeout("late")

    with pytest.raises(QueryTimeout):
        asyncio.run(together(slow(), bad(), slow()))
    assert ended == ["slow", "slow"]
