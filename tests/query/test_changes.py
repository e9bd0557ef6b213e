"""`changes`: the cause is named, in sentences, over HTTP and in every database."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import sqlalchemy as sa

from kscope.query.across import changes
from kscope.query.across.readings import read_table
from kscope.query.parse.timerange import iso
from kscope.store.backends import sqlite
from kscope.store.backends.errors import QueryTimeout
from kscope.store.housekeeping.loop import roll_up
from tests.databases import SQLiteFile
from tests.query import minutes
from tests.query.world import NOON, World

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "/api/v1/changes"
SPAN = {"from": str(minutes.START), "to": str(minutes.END)}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the three hosts, one of them ill: nothing changes it."""
    world = World(SQLiteFile(tmp_path_factory.mktemp("filled") / "kernelscope.db"))
    minutes.fill(world)
    yield world
    world.close()


def ask(world: World, **more: Any) -> dict[str, Any]:
    answer = world.get(ADDRESS, SPAN | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def detail(world: World, **more: Any) -> str:
    answer = world.get(ADDRESS, SPAN | more)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["detail"])


def everything(found: dict[str, Any]) -> list[str]:
    """Return the sentences of the unusual findings and of their evidence."""
    return [
        text
        for each in found["findings"]
        for text in (each["text"], *(more["text"] for more in each["evidence"]))
    ]


def test_the_cause_is_named_in_every_database(engine_world: World) -> None:
    """The host, the process, the frame, both rates; the disk's p99; the marker and the losses."""
    minutes.fill(engine_world)
    found = ask(engine_world)
    texts = everything(found)
    assert "On db-2, mysqld in jbd2_log_wait_commit: 0.02 to 2.7 threads waiting" in texts
    (lengths,) = [text for text in texts if "p99" in text]
    assert re.fullmatch(r"On db-2, block I/O latency of \w+: p99 8.2 ms to 2.1 s", lengths)
    assert {host for each in found["findings"] for host in each["hosts"]} == {"db-2"}
    assert [each["host"] for each in found["by_host"]] == ["db-2"]
    assert found["markers"][0]["seconds"] == -30
    assert "this begins 30 s after the marker 'config change' on db-2" in found["text"]
    assert found["losses"][0] | {"text": ""} == {
        "host": "db-2",
        "table": "offcputime",
        "lost": 42,
        "text": "",
    }
    assert found["done"]
    assert found["read"] == found["of"] == 3


def test_sentences_are_words_with_kinds(filled: World) -> None:
    """The parts make up the text, and name hosts, processes, frames and values."""
    for each in ask(filled)["findings"]:
        assert "".join(words["text"] for words in each["sentence"]) == each["text"]
        kinds = {words["text"]: words["kind"] for words in each["sentence"]}
        assert kinds["db-2"] == "host"
        assert "value" in kinds.values()


def test_a_finding_links_to_its_view(filled: World) -> None:
    """The link has the range and the filters, which select what the finding says."""
    checked = 0
    for each in ask(filled)["findings"]:
        given = parse_qsl(urlsplit(each["link"]).query, strict_parsing=True)
        state = dict(given)
        assert state["table"] == each["table"]
        assert state["from"] == iso(minutes.START).replace(".000000", "")
        filters = [text.partition("=")[::2] for name, text in given if name == "filter"]
        assert filters == [tuple(pair) for pair in each["filters"]]
        if each["kind"] == "place" and each["unit"] != "at once":
            value = {"value": "elapsed", "by": "", "points": "1"}
            series = filled.get(f"/api/v1/timeseries/{each['table']}", SPAN | dict(filters) | value)
            total = sum(sum(one["values"]) for one in series.json()["series"])
            assert total / (minutes.END - minutes.START) == pytest.approx(each["now"])
            checked += 1
    assert checked


def test_a_quiet_range_has_nothing_unusual(filled: World) -> None:
    """The answer says so, and is an answer."""
    span = {
        "from": str(minutes.START - 20 * minutes.MINUTE),
        "to": str(minutes.START - minutes.MINUTE),
    }
    found = filled.get(ADDRESS, span).json()
    assert found["findings"] == []
    assert ": nothing unusual" in found["text"]


def test_a_host_that_stops_while_others_go_on_is_silent(world: World) -> None:
    """Its last row says since when; the waits that are missing are not listed."""
    minutes.fill(world, ill="", silent="db-3")
    found = ask(world)["findings"]
    assert [each["kind"] for each in found] == ["silent"]
    assert found[0]["hosts"] == ["db-3"]
    assert found[0]["text"] == "db-3 is silent since 02:54"


def test_a_stream_has_whole_answers_and_ends_with_the_best(filled: World) -> None:
    """Each line is an answer; only the last one is done, and equals the one without a stream."""
    response = filled.request(
        "GET", ADDRESS, params=SPAN, headers={"Accept": "application/x-ndjson"}
    )
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["text"] == ask(filled)["text"]


def test_a_day_s_sum_is_no_row_of_its_midnight(engine_world: World) -> None:
    """The rows begin at 22:30: two hours before the range are too few to compare with."""
    minutes.fill(engine_world, begin=NOON - 90 * minutes.MINUTE)
    engine_world.run(roll_up(engine_world.store, NOON + 24 * 60 * minutes.MINUTE))
    end = NOON + 90 * minutes.MINUTE
    found = ask(engine_world, **{"from": str(end - 60 * minutes.MINUTE), "to": str(end)})
    told = {each["table"]: each["why"] for each in found["tables"]}
    assert told["offcputime"] == "nothing to compare with: the rows begin too late"
    assert found["findings"] == []


def test_a_newer_data_type_does_not_fill_a_pause(engine_world: World) -> None:
    """Hosts that were off for hours are compared with the time in which they were heard."""
    minutes.fill(engine_world)
    before = NOON - 8 * 60 * minutes.MINUTE
    wait = {"process": "mysqld", "pid": 1, "stack": "main", "elapsed": 1, "count": 1}
    old = [{"time": before, "hostname": host, **wait} for host in minutes.HOSTS]
    engine_world.insert("offcputime", old)
    span = 16 * minutes.MINUTE
    found = ask(engine_world, **{"from": str(minutes.END - span), "to": str(minutes.END)})
    assert any("mysqld in jbd2_log_wait_commit: 0.02 to " in text for text in everything(found))
    assert {host for each in found["findings"] for host in each["hosts"]} == {"db-2"}


@pytest.mark.parametrize(
    ("baseline", "more", "begins", "ends"),
    [
        ("before", {}, minutes.START - 144 * minutes.MINUTE, minutes.START),
        ("hosts", {}, minutes.START, minutes.END),
        (
            "range",
            {"base.from": str(NOON), "base.to": str(NOON + 60 * minutes.MINUTE)},
            NOON,
            NOON + 60 * minutes.MINUTE,
        ),
    ],
)
def test_each_baseline_finds_it(
    filled: World, baseline: str, more: dict[str, str], begins: int, ends: int
) -> None:
    """The time before, the other hosts, or a range that a person names."""
    found = ask(filled, baseline=baseline, **more)
    assert (found["base_from"], found["base_to"]) == (begins, ends)
    assert any("jbd2_log_wait_commit" in text for text in everything(found))


@pytest.mark.parametrize("baseline", ["day", "week"])
def test_without_rows_to_compare_with_nothing_is_claimed(filled: World, baseline: str) -> None:
    """A day ago there was no row: no finding, and each table says why."""
    found = ask(filled, baseline=baseline)
    assert found["findings"] == found["more"] == []
    told = {each["table"]: each["why"] for each in found["tables"]}
    assert told["offcputime"] == "nothing to compare with: the rows begin too late"


def test_tables_without_a_filtered_column_are_inactive(filled: World) -> None:
    """They are listed with the reason, and left out."""
    found = ask(filled, stack__has="jbd2_log_wait_commit_[k]")
    states = {each["table"]: (each["state"], each["why"]) for each in found["tables"]}
    assert states["offcputime"][0] == "read"
    assert states["biolatency"] == ("inactive", "biolatency has no such column")
    assert {each["table"] for each in found["findings"]} == {"offcputime"}
    assert found["of"] == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"nosuch": "1"},
            "nosuch: unknown parameter or column 'nosuch'. Allowed: from, to, presets",
        ),
        ({"baseline": "month"}, "baseline: unknown baseline 'month'"),
        (
            {"baseline": "range"},
            "base.from: is missing: baseline=range needs base.from and base.to",
        ),
        ({"base.from": "now"}, "base.from: is only for baseline=range"),
        ({"n": "0"}, "n: '0' is not a whole number from 1 to 200"),
        ({"n": "201"}, "n: '201' is not a whole number from 1 to 200"),
        ({"hostname__regex": "("}, "hostname__regex"),
        ({"stack__gt": "x"}, "stack__gt: unknown operator for stack (stack) 'gt'"),
    ],
)
def test_mistakes_say_what_to_write(filled: World, more: dict[str, str], said: str) -> None:
    """Each names its parameter."""
    assert said in detail(filled, **more)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (minutes.END + 10**12, minutes.END + 10**12 + minutes.MINUTE),
        (minutes.START, minutes.START + 1),
        (NOON - 3650 * 86_400 * 10**6, minutes.END),
        (-(10**18), 10**18),
    ],
    ids=["no data", "a microsecond", "ten years", "all times"],
)
def test_any_range_is_answered(filled: World, start: int, end: int) -> None:
    """Without findings, since there is nothing to compare with, and without an error."""
    for address in (ADDRESS, "/api/v1/overview"):
        answer = filled.get(address, {"from": str(start), "to": str(end)})
        assert answer.status_code == 200, answer.text
    assert filled.get(ADDRESS, {"from": str(start), "to": str(end)}).json()["findings"] == []


@pytest.mark.parametrize("address", [ADDRESS, "/api/v1/overview"])
def test_a_flood_of_filters_is_refused(filled: World, address: str) -> None:
    """Before any category is read, with one sentence."""
    many = [("process", str(i)) for i in range(201)]
    answer = filled.get(address, many)
    assert answer.status_code == 400
    assert "a question takes at most 200 filters" in answer.json()["detail"]
    assert len(answer.content) < 2000
    wrong = [(f"no{i}", "x") for i in range(400)]
    assert filled.get(address, wrong).status_code == 400


def test_at_the_deadline_the_answer_says_what_is_missing(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that are read by then are said; a notice counts the others."""
    is_read = asyncio.Event()

    async def late(reader: Any, scope: Any, *others: Any) -> Any:
        if scope.category.table == "tcpretrans":
            await is_read.wait()
            raise QueryTimeout("the question was cancelled at its deadline")
        found = await read_table(reader, scope, *others)
        if scope.category.table == "offcputime":
            is_read.set()
        return found

    monkeypatch.setattr(changes, "read_table", late)
    found = ask(filled)
    assert found["done"]
    (notice,) = found["notices"]
    assert "data types were not read before the deadline" in notice["text"]
    states = {each["table"]: (each["state"], each["why"]) for each in found["tables"]}
    assert states["tcpretrans"] == ("waiting", "not read before the deadline")
    assert states["offcputime"][0] == "read"


def test_a_client_that_goes_away_ends_the_work(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its first line; tables that are still read are given up, and all readers are free."""
    ended = []
    reader = filled.store.reader

    async def endless(shared: Any, scope: Any, *others: Any) -> Any:
        if scope.category.table == "offcputime":
            return await read_table(shared, scope, *others)
        stream = reader.stream(sa.select(sa.literal(1)))
        try:
            await anext(stream)
            await asyncio.Event().wait()
        finally:
            ended.append(scope.category.table)
            await stream.aclose()

    async def free() -> int:
        async with AsyncExitStack() as held:
            for _ in range(sqlite.READERS):
                stream = reader.stream(sa.select(sa.literal(1)))
                held.push_async_callback(stream.aclose)
                await anext(stream)
            return sqlite.READERS

    monkeypatch.setattr(changes, "read_table", endless)
    monkeypatch.setattr(changes, "_FIRST", 0)
    assert b'"done":false' in filled.run(first_line(filled))
    assert "biolatency" in ended
    assert filled.run(free()) == sqlite.READERS


async def first_line(world: World) -> bytes:
    """Return the first line of the stream, whose client then goes away."""
    got, lines = asyncio.Event(), []
    request = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if request:
            return request.pop()
        await got.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            lines.append(message["body"])
            got.set()

    headers = {"host": "localhost", "accept": "application/x-ndjson"}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": ADDRESS,
        "query_string": urlencode(SPAN).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await world.app(scope, receive, send)
    return b"".join(lines)
