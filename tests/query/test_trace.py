"""Rows as a trace that Perfetto and Chrome load: held to the rules of the Trace Event Format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.query.export import trace as trace_format
from tests.query.world import NOON, SECOND, World

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
REQUEST = {"time": NOON, "hostname": "db-1", "process": "mysqld", "pid": 100, "device": "sda"}
REQUEST |= {"operation": "read", "sector": 7, "bytes": 4096, "elapsed": 300}


@pytest.fixture
def traced(world: World) -> Iterator[World]:
    """Yield an empty database of all data types."""
    world.adopt(load_catalog(["builtin"]))
    return world


def trace(client: World, table: str, **query: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/rows/{table}", params=DAY | query | {"format": "trace"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{table}.trace.json"'
    found: dict[str, Any] = json.loads(answer.content)
    _obeys(found["traceEvents"])
    return found


def _obeys(events: list[dict[str, Any]]) -> None:
    """Check what both viewers rely on."""
    times, open_slices = [], {}
    for event in events:
        assert {"name", "ph", "pid", "tid"} <= event.keys()
        assert 0 < event["pid"] < 2**31
        assert 0 < event["tid"] < 2**31
        assert event["name"]
        assert event["ph"] in ("M", "X", "i")
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "process_labels", "thread_name")
            assert not times, "names come first"
            assert all(isinstance(text, str) and text for text in event["args"].values())
            continue
        assert isinstance(event["ts"], int)
        times.append((event["ts"], -event.get("dur", 0)))
        if event["ph"] == "i":
            assert (event["s"], "dur" in event) == ("t", False)
            continue
        # On one track a slice ends before the next begins, or holds it.
        ends = open_slices.setdefault((event["pid"], event["tid"]), [])
        while ends and ends[-1] <= event["ts"]:
            ends.pop()
        assert not ends or event["ts"] + event["dur"] <= ends[-1]
        ends.append(event["ts"] + event["dur"])
    assert times == sorted(times)
    named = {(each["pid"], each["tid"]) for each in events if each["name"] == "thread_name"}
    assert {(each["pid"], each["tid"]) for each in events if each["ph"] != "M"} <= named


def names(found: dict[str, Any], kind: str, key: str = "name") -> dict[tuple[int, int], str]:
    events = (each for each in found["traceEvents"] if each["name"] == kind)
    return {(each["pid"], each["tid"]): each["args"][key] for each in events}


def shown(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in found["traceEvents"] if each["ph"] != "M"]


def test_events_are_moments_of_their_process(traced: World) -> None:
    """New programs: named by their path, with their other columns beside them."""
    row = {"hostname": "web-1", "parent_pid": 1, "user": "root", "arguments": "-l", "error": ""}
    traced.insert(
        "execsnoop",
        [
            row | {"time": NOON + 2, "process": "ls", "pid": 11, "path": "/bin/ls"},
            row | {"time": NOON + 1, "process": "sh", "pid": 10, "path": '/bin/"sh\n'},
        ],
    )
    found = trace(traced, "execsnoop")
    assert (found["displayTimeUnit"], found["otherData"]) == ("ms", {})
    first, last = shown(found)
    arguments = {"parent_pid": 1, "user": "root", "path": "/bin/ls", "arguments": "-l", "error": ""}
    assert last == {
        "name": "/bin/ls",
        "ph": "i",
        "s": "t",
        "ts": NOON + 2,
        "pid": 11,
        "tid": 11,
    } | {"args": arguments}
    assert (first["name"], first["ts"]) == ('/bin/"sh\n', NOON + 1)
    assert names(found, "process_name") == {(10, 10): "sh", (11, 11): "ls"}
    assert names(found, "process_labels", "labels")[10, 10] == "web-1"


def test_requests_are_slices_that_end_at_their_time(traced: World) -> None:
    """Those that overlap have separate tracks; those of another host's process as well."""
    traced.insert(
        "biosnoop",
        [
            REQUEST | {"time": NOON + 1000, "queued": 50},
            REQUEST | {"time": NOON + 1200, "operation": "write"},
            REQUEST | {"time": NOON + 1400, "error": "EIO"},
            REQUEST | {"hostname": "db-2", "process": "postgres"},
        ],
    )
    found = trace(traced, "biosnoop")
    slices = {each["ts"]: each for each in shown(found)}
    assert [(each["ts"] - NOON, each["dur"]) for each in shown(found)] == [
        (-300, 300),
        (700, 300),
        (900, 300),
        (1100, 300),
    ]
    assert [slices[NOON + at]["name"] for at in (700, 900, 1100)] == [
        "sda read",
        "sda write",
        "sda read",
    ]
    assert slices[NOON + 700]["args"]["queued"] == 50
    labels = names(found, "process_labels", "labels")
    hosts = {pid: host for (pid, _), host in labels.items()}
    assert sorted(hosts.values()) == ["db-1", "db-2"]
    assert 100 in hosts
    tracks = [slices[NOON + at]["tid"] for at in (700, 900, 1100)]
    assert tracks[0] == tracks[2] != tracks[1]
    assert {hosts[slices[NOON + at]["pid"]] for at in (700, 900, 1100)} == {"db-1"}


def test_waits_are_slices_of_their_thread(client: World) -> None:
    """Named by the function that waited; threads by their number where it is known."""
    wait = {"time": NOON + 9 * SECOND, "hostname": "web-001", "process": "mysqld", "pid": 100}
    client.insert("offcputime", [wait | {"tid": 101, "stack": "main;read", "elapsed": 4}])
    found = trace(client, "offcputime")
    slices = shown(found)
    assert len(slices) == 7
    last = slices[-1]
    assert (last["name"], last["dur"], last["args"]["stack"]) == ("read", 4, "main;read")
    assert (last["pid"], last["tid"]) == (100, 101)
    assert names(found, "thread_name")[100, 101] == "mysqld 101"
    assert {"io_schedule_[k]", "main"} <= {each["name"] for each in slices}


@pytest.mark.parametrize("table", ["pressure", "marker", "everything"])
def test_every_table_has_a_trace(world: World, table: str) -> None:
    """Without a process, without a length, without rows."""
    category = world.catalog.get(table)
    assert category is not None
    assert shown(trace(world, table)) == []
    row = {each.name: each.type.example for each in category.columns}
    row |= {"time": NOON, "hostname": "h"} | ({"started": NOON} if table == "everything" else {})
    world.insert(table, [row, row | {"time": NOON + 1}])
    assert len(shown(trace(world, table))) == 2


def test_a_trace_has_a_bound(client: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for no more rows than a viewer takes, says so in the file, and cuts long texts."""
    path = "/api/v1/rows/offcputime"
    refused = client.get(path, params=DAY | {"format": "trace", "limit": "100001"})
    assert refused.status_code == 400
    assert refused.json()["detail"] == "limit: format=trace has at most 100,000 rows"
    assert len(shown(trace(client, "offcputime", limit="2"))) == 2
    long = {"time": NOON, "hostname": "h", "process": "p", "pid": 1, "elapsed": 3}
    client.insert("offcputime", [long | {"stack": "main;" + "x" * 9000}])
    (event,) = shown(trace(client, "offcputime", process="p"))
    assert len(event["args"]["stack"]) == 1001
    assert len(event["name"]) == 200
    monkeypatch.setattr(trace_format, "_MOST_BYTES", 1000)
    found = trace(client, "offcputime", order="time")
    assert 0 < len(shown(found)) < 7
    assert "only" in found["otherData"]["note"]
    assert client.get("/api/v1/top/offcputime", params=DAY | {"format": "trace"}).status_code == 400


def test_threads_that_overlap_without_end_share_tracks(traced: World) -> None:
    """A flood of overlapping requests has a bounded number of tracks."""
    rows = [REQUEST | {"time": NOON + i, "elapsed": 50_000} for i in range(300)]
    traced.insert("biosnoop", rows)
    params = DAY | {"format": "trace"}
    found = json.loads(traced.get("/api/v1/rows/biosnoop", params=params).content)
    assert len(shown(found)) == 300
    assert len(names(found, "thread_name")) == 64
