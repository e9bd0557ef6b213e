"""Rows that are sent as columns: the same rows, also on a server that takes no columns."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.agent.rows.packing import payloads
from kscope.client import Logger
from kscope.client.encoding import UnreadableBodyError, decode
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.sender import Sender
from kscope.client.spool import Spool, waiting
from kscope.declare.files.catalog import load_catalog
from kscope.errors import KscopeError
from tests.agent.fakeserver import fake_server, problem
from tests.commands import command
from tests.days import DAY, SPAN
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

MANY, FEW = 64, 63
BUSY = problem(503, "busy", Retry_After="0")


def sent(payload: Payload) -> dict[str, Any]:
    """Return the body as it is sent."""
    return decode(payload.body, payload.encoding)


def of(rows: list[dict[str, Any]], **envelope: Any) -> Payload:
    return Payload.of("cpu", {"hostname": "h", **envelope, "cpu": rows})


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"process": "nginx", "n": n} for n in range(count)]


def spool_in(folder: Path) -> Spool:
    return Spool(folder, max_bytes=10**6, max_age=86400.0, lost=lambda *_: None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_the_columns_of_a_body() -> None:
    """Texts that repeat are places in `strings`, histograms their slots; others are as in rows."""
    rows = [
        {"process": "nginx", "name": f"n{n}", "n": n, "x": 0.5, "h": [0, n, 0, 2]}
        for n in range(64)
    ]
    assert sent(of(rows, stacks=["main"])) == {
        "hostname": "h",
        "stacks": ["main"],
        "strings": ["nginx"],
        "cpu": {
            "process": {"strings": [0] * 64},
            "name": [f"n{n}" for n in range(64)],
            "n": list(range(64)),
            "x": [0.5] * 64,
            "h": {
                "slots": [3, *[1, 3] * 63],
                "counts": [2, *(count for n in range(1, 64) for count in (n, 2))],
                "ends": [1, *range(3, 128, 2)],
            },
        },
    }


def test_stacks_are_texts_that_repeat() -> None:
    """Those of a Logger, which has no `stacks`."""
    rows = [{"stack": f"main;f{n % 2}"} for n in range(MANY)]
    columns = {"stack": {"strings": [0, 1] * (MANY // 2)}}
    assert sent(of(rows)) == {"hostname": "h", "strings": ["main;f0", "main;f1"], "cpu": columns}


def test_few_rows_stay_rows() -> None:
    """A person can read them."""
    assert sent(of(numbered(FEW))) == {"hostname": "h", "cpu": numbered(FEW)}
    assert isinstance(sent(of(numbered(MANY)))["cpu"], dict)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "nginx", "mysqld"]),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=66),
    st.lists(st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=1)), max_size=3),
    st.dictionaries(st.text(max_size=1), st.integers(), max_size=1),
)
COLUMNS = st.dictionaries(
    st.sampled_from(["process", "n", "strings", "h", "stack", "time"]),
    st.lists(VALUES, min_size=1, max_size=4),
    max_size=4,
)


def without_empty_slots(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row without empty slots at the end of a histogram, as a server stores it."""
    return {name: trimmed(value) for name, value in row.items()}


def trimmed(value: Any) -> Any:
    if isinstance(value, list) and {type(each) for each in value} <= {int} and len(value) <= 64:
        return value[: max((slot + 1 for slot, count in enumerate(value) if count), default=0)]
    return value


@given(COLUMNS, st.integers(0, 70), st.booleans())
def test_columns_hold_the_same_rows(
    values: dict[str, list[Any]],
    count: int,
    gap: bool,  # noqa: FBT001
) -> None:
    """Also mixed kinds of values, values of no column, and rows of unlike columns."""
    rows = [{name: some[n % len(some)] for name, some in values.items()} for n in range(count)]
    if gap and count and values:
        del rows[count // 2][next(iter(values))]
    payload = of(rows, stacks=["main"])
    content = payload.content()
    assert payload.rows == count
    assert content["stacks"] == ["main"]
    assert "strings" not in content
    same = [without_empty_slots(row) for row in content["cpu"]]
    assert repr(same) == repr([without_empty_slots(row) for row in rows])
    if (as_rows := payload.as_rows()) is not None:
        assert (as_rows.key, as_rows.rows, sent(as_rows)) == (payload.key, count, dict(content))


@pytest.mark.parametrize(
    "odd",
    [
        {"process": "nginx"},
        {"process": "nginx", "n": 1, "more": 2},
        {"process": "nginx", "m": 1},
        {"process": "nginx", "n": {"a": 1}},
        {"process": "nginx", "n": [1]},
        {},
    ],
)
def test_rows_that_are_unlike_stay_rows(odd: dict[str, Any]) -> None:
    """So the server's words are about the row that differs."""
    rows = [*numbered(MANY), odd]
    assert sent(of(rows)) == {"hostname": "h", "cpu": rows}


def test_histograms_that_are_none_stay_rows() -> None:
    """Too long ones, and those of other values than counts: columns would hide them."""
    for odd in ([0] * 65, [1.0], [True], [None], ["1"], [[1]]):
        rows = [{"h": [1]}] * MANY + [{"h": odd}]
        assert sent(of(rows))["cpu"] == rows


@pytest.mark.parametrize("old", [False, True])
def test_each_row_is_stored_once(old: bool) -> None:  # noqa: FBT001
    """An older server refuses columns: it gets the same rows under the same key, then rows only."""
    with fake_server() as server:
        server.old = old
        with Logger(server.url, interval=60, batch=100, hostname="h") as log:
            for n in range(300):
                log("cpu", process="nginx", n=n)
            log.flush()
            assert log.counts.stored == 300
    taken = [each for each in server.received if not (old and each.has_columns)]
    assert [row["n"] for each in taken for row in each.body["cpu"]] == list(range(300))
    assert len({each.key for each in taken}) == 3
    refused, *more = [each for each in server.received if each.has_columns]
    assert [each.has_columns for each in server.received] == (
        [True, False, False, False] if old else [True] * 3
    )
    if old:
        assert not more
        assert refused.key == taken[0].key


def test_a_server_that_is_replaced_gets_columns() -> None:
    """Columns are tried again with the connection."""
    with fake_server() as server:
        endpoint = Endpoint(server.url, longest_open=0.0)
        server.old = True
        assert endpoint.post(of(numbered(MANY))).stored
        server.old = False
        assert endpoint.post(of(numbered(MANY))).stored
        endpoint.close()
    assert [each.has_columns for each in server.received] == [True, False, True]


def test_a_server_that_is_busy_in_between_loses_no_row() -> None:
    """It refuses columns and then is busy: both forms are sent again under one key."""
    with fake_server() as server:
        server.old = True
        server.answers = [BUSY, BUSY]
        with Logger(server.url, interval=60) as log:
            for n in range(MANY):
                log("cpu", process="nginx", n=n)
            log.flush()
            assert log.counts.stored == MANY
    assert [each.has_columns for each in server.received] == [True, False] * 3
    assert len({each.key for each in server.received}) == 1


def refusing_odd_numbers(body: dict[str, Any]) -> Any:
    faults = [(f"/cpu/{n}/n", "odd") for n, row in enumerate(body["cpu"]) if row["n"] % 2]
    return problem(422, "some are odd", *faults[:100]) if faults else None


@pytest.mark.parametrize("old", [False, True])
def test_a_refused_row_is_named_and_the_others_arrive(old: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """By its place among the rows, and with its values, though columns were sent."""
    rows = [{"process": "nginx", "n": 2 * n + (n == 70)} for n in range(100)]
    with fake_server() as server:
        server.old = old
        server.refusal = refusing_odd_numbers
        with Logger(server.url, interval=60) as log:
            for row in rows:
                log("cpu", **row)
            with pytest.raises(KscopeError, match=r"/cpu/70/n: odd .*\"n\": 141,"):
                log.flush()
            assert (log.counts.stored, log.counts.refused) == (99, 1)
        spool = spool_in(tmp_path)
        spool.put(of(rows))
        sender = Sender(spool, Endpoint(server.url))
        sender.stop(time.monotonic() + 20)
    (aside,) = waiting(spool.refused)
    assert decode(aside.body(), aside.encoding)["cpu"] == [rows[70]]
    last = server.received[-1].body["cpu"]
    assert [row["n"] for row in last] == [2 * n for n in range(100) if n != 70]


def test_a_spool_has_bodies_of_both_forms(tmp_path: Path) -> None:
    """Those that an older agent left are sent as they are; a restart keeps new ones."""
    older = of(numbered(100)).as_rows()
    assert older
    spool = spool_in(tmp_path)
    spool.put(older)
    spool.put(of(numbered(100)))
    spool = spool_in(tmp_path)
    with fake_server() as server:
        Sender(spool, Endpoint(server.url)).stop(time.monotonic() + 20)
    assert [each.has_columns for each in server.received] == [False, True]
    assert [each.body["cpu"] for each in server.received] == [numbered(100)] * 2
    assert server.received[0].key == older.key
    assert spool.rows == 0


def test_columns_that_are_too_large_are_halved() -> None:
    """As rows are: each half has all its values."""
    rows = [{**row, "h": [0, row["n"]]} for row in numbered(200)]
    whole = of(rows, stacks=["main"])
    parts = (whole.rest(range(100, 200)), whole.only(range(100, 200)))
    assert [part.content()["cpu"] for part in parts] == [
        [{**rows[0], "h": []}, *rows[1:100]],
        rows[100:],
    ]
    assert [part.content()["stacks"] for part in parts] == [["main"]] * 2
    assert all(isinstance(sent(part)["cpu"], dict) for part in parts)


def test_a_damaged_body_is_sent_as_it_is() -> None:
    """This machine cannot make rows of it; the server says what is wrong."""
    body = json.dumps({"hostname": "h", "cpu": {"n": {"strings": [7]}}}).encode()
    damaged = Payload("cpu", "0" * 32, 1, body, "")
    assert damaged.as_rows() is None
    with pytest.raises(UnreadableBodyError):
        damaged.content()


def test_an_interval_of_a_probe_keeps_its_stacks() -> None:
    """Each stack is in the body once, and rows refer to it by its place."""
    category = next(each for each in load_catalog() if each.table == "offcputime")
    rows = [
        {"process": "nginx", "pid": n, "stack": f"main;f{n % 3}", "elapsed": n} for n in range(MANY)
    ]
    (payload,) = payloads(category, rows, "web-001", 0.0)
    body = sent(payload)
    assert body["stacks"] == ["main;f0", "main;f1", "main;f2"]
    assert body["offcputime"]["stack"] == [n % 3 for n in range(MANY)]
    assert body["offcputime"]["process"] == {"strings": [0] * MANY}


def test_an_imported_recording_is_sent_as_columns(tmp_path: Path) -> None:
    """Also the rows before the first that has its own time, under the key of a rows' body."""
    samples = "".join(
        f"app 7 [000] {second}.000000: 1 cpu-clock:\n\t1 main (/bin/app)\n\n"
        for second in range(100, 200)
    )
    file = tmp_path / "recorded.txt"
    file.write_text(samples)
    given = ("--format", "perf", "--time", "2026-11-28T12:00:00Z", "--hostname", "lab")
    with fake_server() as server:
        done = command("import", "profile", file, *given, "--server", server.url)
        assert done.returncode == 0, done.stderr
    (received,) = server.received
    assert received.has_columns
    times = [row["time"] for row in received.body["profile"]]
    assert (times[0], times[99]) == ("2026-11-28T12:00:00Z", "2026-11-28T12:01:39Z")


def test_many_rows_and_few_are_stored_alike(server: Serving) -> None:
    """Texts, numbers, truths, stacks and histograms, as columns and as rows."""
    hosts = {"many": 1000, "few": 10}
    for host, batch in hosts.items():
        with Logger(server.ingest, hostname=host, interval=60, batch=batch) as log:
            for n in range(200):
                log("offcputime", time=f"{DAY}T12:00:00.{n:06}Z", process=f"p{n % 7}", pid=n,
                    stack=f"main;f{n % 5}", elapsed=n, lengths=[0, n % 3, 0, 1])  # fmt: skip
                log("agent", time=f"{DAY}T12:00:00.{n:06}Z", probe=f"p{n}", state="running")
            log.flush()
    for table in ("offcputime", "agent"):
        stored = [rows(server, table, host) for host in hosts]
        assert len(stored[0]) == 200
        assert stored[0] == stored[1]


def test_a_server_takes_columns_as_they_are(server: Serving) -> None:
    """It refuses none, which would be sent again as rows. Stacks are texts, as in a Logger."""
    given = [
        {"time": f"{DAY}T12:00:00.{n:06}Z", "process": f"p{n % 7}", "pid": n,
         "stack": f"main;f{n % 5}", "elapsed": n, "lengths": [0, n % 3]}
        for n in range(MANY)
    ]  # fmt: skip
    body = {"hostname": "as-it-is", "offcputime": given}
    payload = Payload.of("offcputime", body)
    assert isinstance(sent(payload)["offcputime"], dict)
    answer = server.send(payload.body, "/api/v1/ingest", Content_Encoding=payload.encoding)
    assert answer.json()["stored"] == {"offcputime": MANY}


def rows(server: Serving, table: str, host: str) -> list[dict[str, Any]]:
    """Return a host's rows, oldest first, without its name."""
    span = {**SPAN, "limit": 1000}
    said = server.get(f"/api/v1/rows/{table}", hostname=host, order="time", **span).json()
    found = [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]
    return [{name: value for name, value in row.items() if name != "hostname"} for row in found]
