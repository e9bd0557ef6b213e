"""More groups than an answer holds: the heaviest are shown, the rest is exact, the loop is free."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from kscope.query.scan import heaviest, read, same_stacks
from kscope.query.scan import largest as series_of_largest
from kscope.server.app import read_app
from kscope.server.garbage_collection import collect_young_only
from kscope.server.http.metrics import Metrics
from kscope.store.housekeeping.loop import roll_up
from tests.databases import changing
from tests.numbers import LARGEST, is_sum
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
HOUR = 3600 * SECOND
SUMMED = {"from": "2026-11-23T00:30:00Z", "to": "2026-11-23T03:30:00Z"}


def some_rows(count: int) -> list[dict[str, Any]]:
    """Rows of four hours, of stacks and processes that are anything but equal."""
    chance = random.Random(7)
    base = waits()[0]
    return [
        base
        | {
            "time": NOON + chance.randrange(4 * HOUR),
            "hostname": f"web-{chance.randrange(3)}",
            "process": f"p{int(chance.paretovariate(0.7)) % 60}",
            "pid": chance.randrange(40),
            "stack": f"main;f{int(chance.paretovariate(0.8)) % 50};g{chance.randrange(3)}",
            "elapsed": chance.randrange(1000),
            "count": 1 + chance.randrange(5),
        }
        for _ in range(count)
    ]


def summed(world: World) -> list[Any]:
    """Store hourly sums in the middle, rows at both ends; return the rows in the middle."""
    rows = some_rows(600)
    world.insert("offcputime", sorted(rows, key=lambda row: row["hostname"]))
    world.run(roll_up(world.store, NOON + 3 * HOUR + HOUR // 2))
    return [row for row in rows if NOON + HOUR // 2 <= row["time"] < NOON + 3 * HOUR + HOUR // 2]


def let_few_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (heaviest, same_stacks):
        monkeypatch.setattr(module, "RANKED_HERE", 5)
    monkeypatch.setattr(read, "MOST_GROUPS", 10)
    monkeypatch.setattr(series_of_largest, "_MOST_GROUPS", 10)


@pytest.fixture(scope="module")
def summed_once(module_world: World) -> tuple[World, list[Any]]:
    return module_world, summed(module_world)


@pytest.fixture
def summed_world(
    summed_once: tuple[World, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> tuple[World, list[Any]]:
    """Few groups fit into an answer; the tests only ask."""
    let_few_fit(monkeypatch)
    return summed_once


@pytest.fixture
def growing_world(engine_world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, list[Any]]:
    let_few_fit(monkeypatch)
    return engine_world, summed(engine_world)


def ask(world: World, question: str, **parameters: Any) -> dict[str, Any]:
    answer = world.get(f"/api/v1/{question}", SUMMED | parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sums(rows: list[Any], *names: str) -> dict[tuple[Any, ...], Counter[str]]:
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in rows:
        key = tuple(row[name] for name in names)
        found[key].update(elapsed=row["elapsed"], count=row["count"], rows=1)
    return found


def test_a_flame_graph_shows_the_heaviest_and_the_exact_rest(
    summed_world: tuple[World, list[Any]],
) -> None:
    """Of sums and rows together; a notice says how many groups there are."""
    world, rows = summed_world
    by_stack = sums(rows, "process", "stack")
    heavy = sorted((each["elapsed"] for each in by_stack.values()), reverse=True)
    total = sum(row["elapsed"] for row in rows)
    graph = ask(world, "flamegraph/offcputime", by="process")
    assert "rollup" in graph["meta"]["source"]
    assert (graph["total"], graph["rows"]) == (total, len(rows))
    assert graph["count"][0] == sum(row["count"] for row in rows)
    names = [graph["names"][i] for i in graph["name"]]
    at = names.index("other")
    assert graph["level"][at] == 1
    assert graph["value"][at] == graph["self"][at] == graph["rest"] == total - sum(heavy[:10])
    assert sum(graph["self"]) == total
    (notice,) = graph["notices"]
    assert f"There are {len(by_stack):,} groups" in notice["text"]
    for form in ("folded", "svg", "pprof", "tree", "speedscope"):
        address = "/api/v1/flamegraph/offcputime"
        assert world.get(address, SUMMED | {"format": form}).status_code == 200
    folded = world.get("/api/v1/flamegraph/offcputime", SUMMED | {"format": "folded"}).text
    assert sum(int(line.rpartition(" ")[2]) for line in folded.splitlines()) == total


@pytest.mark.parametrize("aggregate", ["sum", "count", "avg", "min", "max"])
@pytest.mark.parametrize("by", [("stack",), ("process", "stack"), ("pid",)])
def test_a_ranking_of_very_many_is_that_of_the_rows(
    summed_world: tuple[World, list[Any]], aggregate: str, by: tuple[str, ...]
) -> None:
    """Values, totals and the number of groups, whether sums answer or rows."""
    world, rows = summed_world
    grouped: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for row in rows:
        grouped[tuple(str(row[name]) for name in by)].append(row)
    measure = {
        "sum": lambda some: sum(row["elapsed"] for row in some),
        "count": lambda some: sum(row["count"] for row in some),
        "avg": lambda some: sum(row["elapsed"] for row in some) / sum(row["count"] for row in some),
        "min": lambda some: min(row["elapsed"] / row["count"] for row in some),
        "max": lambda some: max(row["elapsed"] / row["count"] for row in some),
    }[aggregate]
    expected = {key: measure(some) for key, some in grouped.items()}
    found = ask(world, "top/offcputime", by=",".join(by), aggregate=aggregate, n=4)
    assert found["groups"] == len(expected)
    shown = [(tuple(each["key"]), each["value"]) for each in found["entries"]]
    assert [value for _, value in shown] == pytest.approx(sorted(expected.values())[:-5:-1])
    assert all(value == pytest.approx(expected[key]) for key, value in shown)
    if aggregate in ("sum", "count"):
        assert found["total"] == sum(expected.values())
    assert found["meta"]["rows"] == len(rows)


def test_every_other_question_keeps_its_totals(summed_world: tuple[World, list[Any]]) -> None:
    """A time series' rest, both sides of a comparison, each host's total, values' rows."""
    world, rows = summed_world
    total = sum(row["elapsed"] for row in rows)
    series = ask(world, "timeseries/offcputime", by="process", n=3, points=7)["series"]
    assert sum(sum(each["values"]) for each in series) == total
    assert len(series) == 4
    compared = ask(world, "compare/offcputime", **{"base.any": "hostname", "hostname": "web-1"})
    assert compared["base_total"] == total
    assert compared["total"] == sum(r["elapsed"] for r in rows if r["hostname"] == "web-1")
    hosts = ask(world, "hosts/offcputime", min_events=1)
    by_host = {key: each["elapsed"] for (key,), each in sums(rows, "hostname").items()}
    assert {each["host"]: each["total"] for each in hosts["hosts"]} == by_host
    assert "groups" in hosts["notices"][0]["text"]
    values = ask(world, "values/offcputime/pid", n=5)
    assert values["more"]
    pids = sorted((each["rows"] for each in sums(rows, "pid").values()), reverse=True)
    assert [each["rows"] for each in values["values"]] == pids[:5]


def test_hosts_are_the_same_however_often_the_rows_are_read(
    engine_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few pairs of hosts and stacks fit into an answer; those of their processes do not."""
    base = waits()[0] | {"count": 3}
    rows = [
        base
        | {
            "time": NOON + i * SECOND,
            "hostname": f"web-{host}",
            "process": f"p{i % 20}",
            "stack": f"main;f{i % 3};g{host * (i % 7)}",
            "elapsed": 100 + i,
        }
        for host in range(2)
        for i in range(120)
    ]
    for host in range(2):
        engine_world.insert("offcputime", rows[host * 120 : (host + 1) * 120])
    once = ask_hosts(engine_world)
    pairs = {(row["hostname"], row["stack"]) for row in rows}
    monkeypatch.setattr(read, "MOST_GROUPS", len(pairs))
    again = ask_hosts(engine_world)
    assert once["groups"] == again["groups"]
    for one, other in zip(once["hosts"], again["hosts"], strict=True):
        # Shares are added up in another order.
        assert one["distance"] == pytest.approx(other["distance"])
        assert [one[name] for name in COUNTED] == [other[name] for name in COUNTED]
    assert not once["notices"]
    assert once["meta"]["rows"] == len(rows)
    by_host = sums(rows, "hostname")
    for each in once["hosts"]:
        found = by_host[(each["host"],)]
        assert (each["total"], each["events"]) == (found["elapsed"], found["count"])


COUNTED = ("host", "group_name", "total", "events", "rows", "few")


def ask_hosts(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get(
        "/api/v1/hosts/offcputime", DAY | {"min_events": 1, "n": 100}
    ).json()
    return found


def test_absurd_sums_are_ranked_too(
    growing_world: tuple[World, list[Any]],
) -> None:
    """Groups beyond 64 bits together have the largest number as their total."""
    world, rows = growing_world
    absurd = [rows[0] | {"process": f"big{i}", "elapsed": LARGEST} for i in range(12)]
    world.insert("offcputime", absurd)
    found = ask(world, "top/offcputime", by="process,stack", n=3)
    assert found["total"] == LARGEST
    assert [each["value"] for each in found["entries"]] == [LARGEST] * 3
    graph = ask(world, "flamegraph/offcputime", by="process")
    assert is_sum(graph["total"], 10 * LARGEST)
    assert graph["rest"] == 0


def test_the_rest_is_of_the_same_moment_as_the_groups(
    growing_world: tuple[World, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All values double before each statement: the rest's share of the whole stays exact."""
    world, _ = growing_world
    question = {"by": "process", "elapsed__gte": "0"}
    before = ask(world, "flamegraph/offcputime", **question)
    backend = world.store.backend
    fetch = backend.fetch
    rows = "kscope_rows_offcputime"
    doubled = changing(world.database, rows, "elapsed = elapsed * 2", "elapsed > 0")

    async def doubling(*asked: Any) -> Any:
        await asyncio.to_thread(world.database.run, doubled)
        return await fetch(*asked)

    monkeypatch.setattr(backend, "fetch", doubling)
    found = ask(world, "flamegraph/offcputime", **question)
    assert found["total"] > before["total"]
    assert found["rest"] * before["total"] == before["rest"] * found["total"]
    assert found["rest"] > 0


MANY = 400_000
_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many} - 1)
INSERT INTO kscope_rows_offcputime SELECT {columns} FROM kscope_rows_offcputime, n
"""


def fill(database: Any) -> None:
    """Make very many rows of the one that is stored, each with a different pid."""
    names = [
        row[0]
        for row in database.rows("SELECT name FROM pragma_table_info('kscope_rows_offcputime')")
    ]
    changed = {"time": "time + i", "pid": "pid + i", "elapsed": "(i * 7919) % 100003"}
    columns = ", ".join(changed.get(name, f'"{name}"') for name in names)
    database.run(_FILL.format(many=MANY, columns=columns))


async def turns(loop_free: httpx.AsyncClient, path: str, **parameters: str) -> Turns:
    """Ask, and count the loop's turns; the longest is in seconds of the loop's own processor."""
    asked = loop_free.get(f"/api/v1/{path}", params=DAY | parameters)
    done = asyncio.ensure_future(asked)
    number, longest, before = 0, 0.0, time.thread_time()
    while not done.done():
        await asyncio.sleep(0.001)
        now = time.thread_time()
        number, longest, before = number + 1, max(longest, now - before), now
    return Turns(number, longest, await done)


class Turns(NamedTuple):
    number: int
    longest: float
    answer: httpx.Response


@pytest.mark.timeout(400)
def test_a_question_over_many_groups_leaves_the_loop_free(
    world: World, request: pytest.FixtureRequest
) -> None:
    """400,000 pids are ranked elsewhere: no turn of the loop that ranks works for more than 50 ms.

    Counted is what the loop's thread does itself, so that a busy machine makes no difference.
    """
    world.insert("offcputime", [waits()[0]])
    fill(world.database)
    before = gc.get_threshold()
    request.addfinalizer(lambda: gc.set_threshold(*before))
    collect_young_only()
    patient = replace(world.settings, query_deadline=300.0)
    live: Any = SimpleNamespace(problems=(), leftovers=())
    transport = httpx.ASGITransport(read_app(world.store, live, patient, Metrics()))
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
    for path, parameters in (
        ("top/offcputime", {"by": "pid"}),
        ("top/offcputime", {"by": "pid", "aggregate": "avg"}),
        ("timeseries/offcputime", {"by": "pid"}),
        ("values/offcputime/pid", {}),
        ("flamegraph/offcputime", {"by": "pid"}),
        ("compare/offcputime", {"by": "pid"}),
        ("heatmap/offcputime", {"value": "elapsed"}),
        ("rows/offcputime", {"limit": "10000"}),
    ):
        # Compiling and importing happen once and are not measured.
        world.run(turns(client, path, **parameters, pid="1"))
        found = world.run(turns(client, path, **parameters))
        assert found.answer.status_code == 200, (path, found.answer.text[:300])
        assert found.number > 20, path
        assert found.longest < 0.05, (path, found.longest)
        answer = found.answer.json()
        assert answer["meta"]["rows"] == int(parameters.get("limit", MANY))
        if path.startswith("flamegraph"):
            assert sum(answer["self"]) == answer["total"]
            assert answer["names"].count("other") == 1
