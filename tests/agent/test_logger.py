"""`kscope.client.Logger`, as a script uses it."""

from __future__ import annotations

import ctypes
import enum
import ipaddress
import random
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from kscope.client import Logger
from kscope.client.values import time_of
from kscope.errors import KscopeError
from tests.agent.disks import fill, small_disk
from tests.agent.fakeserver import fake_server, problem
from tests.agent.strangers import stranger
from tests.serving import ROOT, serving

BUSY = problem(503, "busy", Retry_After="0")
INVALID = problem(422, "/cpu/0/n: not a number", ("/cpu/0/n", "not a number"))


def test_rows_arrive_together_with_their_own_times() -> None:
    """The rows of a table are one request, each row with the time of the call."""
    with fake_server() as server:
        with Logger(server.url, hostname="web-001", interval=60) as log:
            log("cpu", process="a", n=1)
            log("cpu", process="b", n=2)
            log("disk", device="sda")
        cpu, disk = server.received
    assert cpu.body["hostname"] == "web-001"
    assert [row["n"] for row in cpu.body["cpu"]] == [1, 2]
    assert all(row["time"].endswith("Z") for row in cpu.body["cpu"])
    assert len(disk.body["disk"]) == 1


def test_a_full_disk_loses_no_rows_while_the_server_is_there(tmp_path: Path) -> None:
    """They are sent from memory; bad ones are named, and the others arrive."""
    with small_disk(tmp_path / "disk") as ballast, fake_server() as server:
        server.answers = [BUSY, problem(422, "wrong", ("/cpu/1/n", "not a number"))]
        log = Logger(server.url, interval=60, batch=3, spool=ballast.parent / "spool")
        fill(ballast)
        for n in range(7):
            log("cpu", n=n)
        with pytest.raises(KscopeError, match=r"the server refused 1 rows: .*not a number"):
            log.close(10)
        sent = [row["n"] for each in server.received[2:] for row in each.body["cpu"]]
    assert sorted(sent) == [0, 2, 3, 4, 5, 6]


def test_a_full_disk_and_no_server_are_said(tmp_path: Path) -> None:
    """Memory is bounded as without a spool, and the end says how many rows were not sent."""
    with small_disk(tmp_path / "disk") as ballast:
        log = Logger(
            "http://127.0.0.1:9", interval=60, batch=2, most=4, spool=ballast.parent / "spool"
        )
        fill(ballast)
        for n in range(4):
            log("cpu", n=n)
        with pytest.raises(KscopeError, match="4 rows wait to be sent, so this one is not taken"):
            log("cpu", n=4)
        with pytest.raises(KscopeError, match="4 rows were not sent"):
            log.close(0.1)


def test_a_batch_that_is_sent_again_has_the_same_key() -> None:
    """A busy server gets the same rows under the same key until it takes them."""
    with fake_server() as server:
        server.answers = [BUSY, BUSY]
        with Logger(server.url, interval=60) as log:
            log("cpu", n=1)
        assert len(server.received) == 3
        assert len({request.key for request in server.received}) == 1


def test_a_refusal_is_not_silent() -> None:
    """The script hears what was wrong with its rows, and where."""
    with fake_server() as server:
        server.answers = [INVALID]
        log = Logger(server.url, interval=60)
        log("cpu", n="one")
        with pytest.raises(KscopeError, match="/cpu/0/n: not a number"):
            log.close()


def test_a_value_that_cannot_be_sent_is_not_silent() -> None:
    """JSON has no form for it: the call says so, and rows that are logged later arrive."""
    with fake_server() as server:
        log = Logger(server.url, interval=60)
        with pytest.raises(KscopeError, match=r"cpu: column n: \{1, 2\} has no form in JSON"):
            log("cpu", n={1, 2})
        log("cpu", n=3)
        log.close()
    assert [row["n"] for row in server.rows("cpu")] == [3]


def test_without_a_server_rows_are_kept_up_to_the_bound() -> None:
    """Logging goes on while the server is away, and says so when the bound is reached."""
    log = Logger("http://127.0.0.1:9", interval=60, most=3)
    for n in range(3):
        log("cpu", n=n)
    with pytest.raises(KscopeError, match="3 rows wait"):
        log("cpu", n=4)
    with pytest.raises(KscopeError, match="rows were not sent"):
        log.close(timeout=0.2)


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port", 5])
def test_a_wrong_address_is_said_at_once(url: str) -> None:
    """A mistake in the address is no reason to wait for the first row."""
    with pytest.raises(KscopeError, match="write it as http://host:8081"):
        Logger(url)


def test_bytes_ctypes_numbers_and_times_are_taken() -> None:
    """Logger accepts the values that scripts have, from bcc's structs to datetime."""

    class Index:
        def __index__(self) -> int:
            return 7

    class Float:
        def __float__(self) -> float:
            return 0.5

    class Scalar:
        def tolist(self) -> bool:
            return True

    class Array:
        def tolist(self) -> list[int]:
            return [1, 2]

    class Color(enum.Enum):
        RED = "red"

    comm = (ctypes.c_char * 16)(*b"mysqld\0junk")
    slots = (ctypes.c_uint64 * 3)(1, 2, 3)
    given = {
        "a": b"caf\xc3\xa9\xff\0",
        "b": bytearray(b"x"),
        "c": memoryview(b"y"),
        "d": comm,
        "e": ctypes.c_int(-3),
        "f": ctypes.c_uint64(2**63 - 1),
        "g": slots,
        "h": ctypes.c_bool(1),  # type: ignore[arg-type]
        "i": ctypes.c_char_p(b"text"),
        "j": Index(),
        "k": Float(),
        "l": Scalar(),
        "m": Array(),
        "n": Decimal("1.5"),
        "o": Path("/x"),
        "p": ipaddress.ip_address("::1"),
        "q": Color.RED,
        "r": "a\0b",
        "s": ctypes.c_double(0.25),
        "t": (1, 2),
    }
    with fake_server() as server:
        with Logger(server.url, interval=60) as log:
            log("cpu", **given)
        (row,) = server.rows("cpu")
    del row["time"]
    assert row == {
        "a": "caf\u00e9\ufffd", "b": "x", "c": "y", "d": "mysqld", "e": -3, "f": 2**63 - 1,
        "g": [1, 2, 3], "h": True, "i": "text", "j": 7, "k": 0.5, "l": True, "m": [1, 2], "n": 1.5,
        "o": "/x", "p": "::1", "q": "red", "r": "ab", "s": 0.25, "t": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1764331200.5, "2025-11-28T12:00:00.500000Z"),
        (ctypes.c_double(1.5), "1970-01-01T00:00:01.500000Z"),
        (datetime(2025, 11, 28, 12, tzinfo=UTC), "2025-11-28T12:00:00Z"),
        (datetime(2025, 11, 28, 14, tzinfo=timezone(timedelta(hours=2))), "2025-11-28T12:00:00Z"),
        ("2025-11-28T12:00:00", "2025-11-28T12:00:00"),
    ],
)
def test_a_time_may_have_many_forms(given: object, sent: str) -> None:
    """Seconds since 1970, a datetime with an offset, or text as it is."""
    assert time_of(given) == sent


def test_a_datetime_without_an_offset_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `datetime.now()` makes it."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert time_of(datetime(2025, 11, 28, 12)) == "2025-11-28T06:30:00Z"  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("n", {1: 2}, "{1: 2} has no form in JSON"),
        ("n", float("nan"), "nan has no form in JSON; leave the column out"),
        ("n", 2**63, "more than 64 bits"),
        pytest.param("n", 10**5000, "more than 64 bits", id="huge"),
        ("n", [[1]], "[1] has no form"),
        ("n", iter([1]), "has no form in JSON"),
        ("n", object(), "has no form in JSON"),
        ("time", 1e18, "is not a number of seconds since 1970"),
        ("time", True, "True is not a time"),
        ("time", float("inf"), "inf has no form"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_call(
    column: str, value: object, told: str
) -> None:
    """The error names table, column, value and row."""
    log = Logger("http://127.0.0.1:9", interval=60)
    with pytest.raises(KscopeError) as raised:
        log("cpu", process="mysqld", **{column: value})
    assert str(raised.value).startswith(f"cpu: column {column}: ")
    assert told in str(raised.value)
    assert "process" in str(raised.value).partition("(in the row")[2]
    log.close(0)


@pytest.mark.parametrize(
    "table", [5, None, "", "CPU", "../x", "hostname", "strings", "a b", "x" * 41]
)
def test_a_table_that_cannot_be_is_refused_by_the_call(table: str) -> None:
    """A name that no category can have."""
    log = Logger("http://127.0.0.1:9", interval=60)
    with pytest.raises(KscopeError, match="is not the name of a table"):
        log(table, n=1)
    log.close(0)


def test_rows_beside_a_refused_one_arrive(tmp_path: Path) -> None:
    """A real server refuses three of 250 rows: the others are stored, and the error shows one."""
    with serving(tmp_path) as server:
        log = Logger(server.ingest, hostname="h", batch=1000, interval=60)
        for n in range(250):
            bad = n in (3, 100, 249)
            log("marker", kind="deploy", message=5 if bad else str(n))
        with pytest.raises(KscopeError) as raised:
            log.close(30)
        rows = server.get("/api/v1/rows/marker", **{"from": "now-1h", "limit": 1000}).json()["rows"]
    assert len(rows) == 247
    assert "the server refused 3 rows" in str(raised.value)
    assert "/marker/3/message" in str(raised.value)
    assert '"message": 5' in str(raised.value)


def test_calls_go_on_after_a_refusal() -> None:
    """The next flush reports it; no row that is logged in the meantime is lost."""
    with fake_server() as server:
        server.answers = [INVALID]
        log = Logger(server.url, interval=60, batch=1)
        log("cpu", n="one")
        server.wait_for(1)
        for n in range(20):
            log("cpu", n=n)
        with pytest.raises(KscopeError, match="refused 1 rows"):
            log.flush()
        log.close()
    assert [row["n"] for row in server.rows("cpu")][1:] == list(range(20))


@pytest.mark.parametrize("silent", [False, True])
def test_the_end_is_short_without_a_server(silent: bool) -> None:  # noqa: FBT001
    """Refused or never answered, even in the middle of a request: the rows are counted."""
    with stranger(b"", keep=True) as server:
        url = server.url if silent else "http://127.0.0.1:9"
        began = time.monotonic()
        log = Logger(url, interval=60, batch=1, close_within=0.5)
        for n in range(3):
            log("cpu", n=n)
        with pytest.raises(KscopeError, match="3 rows were not sent to"):
            log.close()
        assert time.monotonic() - began < 10


def test_rows_beside_one_with_an_unknown_column_arrive(tmp_path: Path) -> None:
    """A column may be new to the server; but nothing keeps the rows beyond the end."""
    row = {"process": "mysqld", "pid": 1, "stack": "main;work", "elapsed": 5}
    with serving(tmp_path) as server:
        log = Logger(server.ingest)
        for extra in ({}, {"foo": 1}, {}):
            log("offcputime", **row, **extra)
        with pytest.raises(KscopeError, match="there is no column 'foo'"):
            log.close()
        rows = server.get("/api/v1/rows/offcputime", **{"from": "now-1h"}).json()["rows"]
    assert len(rows) == 2


def test_with_a_spool_rows_outlive_the_process(tmp_path: Path) -> None:
    """No error: they are kept, and the next Logger sends them."""
    with stranger(b"", keep=True) as nobody:
        with Logger(nobody.url, spool=tmp_path, close_within=0.2) as log:
            for n in range(3):
                log("cpu", n=n)
        url = nobody.url
    (kept,) = tmp_path.rglob("*-3-cpu-*.json*")
    with fake_server() as server:
        folder = server.url.removeprefix("http://").replace(":", "_")
        kept.parent.parent.rename(tmp_path / folder)
        with Logger(server.url, spool=tmp_path) as log:
            log("cpu", n=3)
            log.flush()
    assert sorted(row["n"] for row in server.rows("cpu")) == [0, 1, 2, 3]
    assert url != server.url
    assert not list(tmp_path.rglob("*-cpu-*"))


FORKING = """if 1:
    import os, sys
    from kscope.client import Logger
    from kscope.errors import KscopeError
    log = Logger(sys.argv[1], spool=sys.argv[2], interval=60)
    log("cpu", n=1)
    # As if another thread were in a call at that moment.
    log._lock.acquire()
    child = os.fork()
    if not child:
        for call in (lambda: log("cpu", n=2), log.flush):
            try:
                call()
            except KscopeError as error:
                print(error)
        log.close()
        sys.exit()
    log._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    log.close()
"""


def test_a_child_sends_no_rows_of_its_parent(tmp_path: Path) -> None:
    """A fork copies the rows that wait, but no thread: the child must not send them, nor wait."""
    with fake_server() as server:
        command = [sys.executable, "-c", FORKING, server.url, tmp_path]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.count("make another one in the child") == 2
    assert ran.stderr == ""
    assert [row["n"] for row in server.rows("cpu")] == [1]


SCRIPT = """if 1:
    import sys
    from kscope.client import Logger
    from kscope.errors import KscopeError
    from tests.children import peak
    log = Logger("http://127.0.0.1:9", batch=1000, most=50_000, close_within=0.2)
    log("cpu", n=0)
    before = peak()
    refused = 0
    for n in range(1_000_000):
        try:
            log("cpu", process="mysqld" * 10, n=n)
        except KscopeError:
            refused += 1
    print(refused, peak() - before, flush=True)
    %s
"""


@pytest.mark.parametrize("ends", ["log.close()", "pass"])
def test_a_million_rows_without_a_server_are_bounded(ends: str) -> None:
    """Each call beyond the bound says so; the end tells the number, with `close` or without."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % ends], cwd=ROOT, capture_output=True, text=True, check=False
    )
    refused, grown = map(int, done.stdout.split())
    assert refused == 950_001
    assert grown < 40
    assert "50000 rows were not sent to http://127.0.0.1:9" in done.stderr


def test_large_rows_are_bounded_too() -> None:
    """In bytes, where few rows are many."""
    log = Logger("http://127.0.0.1:9", interval=60, most_bytes=100_000)
    value = random.Random(1)
    most = []
    with suppress(KscopeError):
        for _ in range(1000):
            log("cpu", text=value.randbytes(50_000).hex())
            most.append(1)
    assert 1 < len(most) < 100
    with pytest.raises(KscopeError, match="rows were not sent"):
        log.close(0)
