"""The binaries in which stacks break or frames have no name, from rows as agents send them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.stacks.walk import BROKEN, NAMELESS
from kscope.query.answers.binaries import FIXES
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving import Serving

MINUTES = 20
FAULTS = {
    "web-1": [
        ("libfoo.so.1", NAMELESS, "nameless_frames", 50),
        ("[anonymous]", NAMELESS, "nameless_frames", 30),
        ("node", "stack not in memory", "broken_stacks", 4),
        ("app", "table not loaded", "broken_stacks", 3),
        *((f"lib{n}.so", NAMELESS, "nameless_frames", 20 + n) for n in range(6)),
    ],
    "web-2": [
        ("node", "stack not in memory", "broken_stacks", 5),
        ("rare", "table not loaded", "broken_stacks", 0),
        ("libfoo.so.1", "no rules and no frame pointer", "broken_stacks", 1),
    ],
    "web-3": [],
}


def rows(host: str) -> list[dict[str, Any]]:
    """An interval's row, and those about binaries. The first of them has no loss."""
    faults = FAULTS[host]
    nameless = sum(count for *_, column, count in faults if column == "nameless_frames")
    interval = {"state": "running", "elapsed": 60_000_000, "row_count": 40, "frames": 500}
    about = [
        {"state": "stacks", "binary_name": name, "reason": reason, column: count, "memory": 5e7}
        for name, reason, column, count in faults
    ]
    found = [interval | {"frames_unknown": nameless, "memory": 5e7}, *about]
    return [row | {"probe": "offcputime"} for row in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Twenty minutes of three hosts, now and before the days of single rows."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        for ago in (timedelta(), timedelta(days=40)):
            for host in FAULTS:
                sent = []
                for minute in range(1, MINUTES + 1):
                    time = datetime.now(UTC) - ago - timedelta(minutes=minute)
                    sent += [row | {"time": time.isoformat()} for row in rows(host)]
                running.post({"hostname": host, "agent": sent})
        yield running


def binaries(server: Serving, **filters: str) -> dict[tuple[str, str], dict[str, Any]]:
    answer = server.get("/api/v1/quality/offcputime", **filters).json()
    return {(each["name"], each["column"]): each for each in answer["binaries"]}


RANGES = [{"from": "now-1h"}, {"from": "now-41d", "to": "now-39d"}]


@pytest.mark.parametrize("span", RANGES, ids=["rows", "rollups"])
def test_the_worst_binaries_are_named(server: Serving, span: dict[str, str]) -> None:
    """Five of each fault, with share, count, worst host, reason and fix."""
    found = binaries(server, **span)
    assert list(found) == [
        ("node", "broken_stacks"),
        ("libfoo.so.1", "nameless_frames"),
        ("app", "broken_stacks"),
        ("[anonymous]", "nameless_frames"),
        *((f"lib{n}.so", "nameless_frames") for n in (5, 4, 3)),
    ]
    node = found["node", "broken_stacks"]
    assert (node["count"], node["host"], node["hosts"]) == (9 * MINUTES, "web-2", 2)
    assert node["share"] == pytest.approx(9 / 120)
    assert node["reason"] == "stack not in memory"
    assert "--unwind-memory" in found["app", "broken_stacks"]["fix"]
    library = found["libfoo.so.1", "nameless_frames"]
    assert (library["count"], library["hosts"]) == (50 * MINUTES, 1)
    assert library["share"] == pytest.approx(50 / 1500)
    assert "dbgsym" in library["fix"]
    assert "--perf-basic-prof" in found["[anonymous]", "nameless_frames"]["fix"]


def test_a_filter_by_host_holds(server: Serving) -> None:
    """Shares are of that host's rows; a host without faults has none."""
    found = binaries(server, hostname="web-2")
    assert set(found) == {("node", "broken_stacks"), ("libfoo.so.1", "broken_stacks")}
    assert found["node", "broken_stacks"]["share"] == pytest.approx(5 / 40)
    assert binaries(server, hostname="web-3") == {}
    assert binaries(server, hostname__ne="web-2")["node", "broken_stacks"]["hosts"] == 1


def test_rows_about_binaries_are_no_intervals(server: Serving) -> None:
    """They do not hide a gap, do not count as agents' intervals, and do not change a mean."""
    answer = server.get("/api/v1/quality/offcputime", **{"from": "now-1h"}).json()
    assert {each["column"] for each in answer["lacks"]} == {"frames_unknown"}
    assert answer["agents"] == 3
    asked = {"from": "now-1h", "by": "hostname", "value": "memory"}
    means = server.get("/api/v1/top/agent", **asked).json()["entries"]
    assert {each["key"][0]: each["value"] for each in means} == dict.fromkeys(FAULTS, 5e7)


def test_a_table_says_the_same(server: Serving) -> None:
    """The command line and spreadsheets have one sentence a binary."""
    text = server.get("/api/v1/quality/offcputime", **{"from": "now-1h", "format": "csv"}).text
    assert "frames of libfoo.so.1 had no name on their hosts; install debug symbols" in text
    assert "stacks broke in app: table not loaded; a larger --unwind-memory" in text


def test_each_reason_has_a_fix() -> None:
    """The agent has no other reasons than those that the server knows."""
    assert set(FIXES) == {*BROKEN.values(), NAMELESS}
