"""`overview`: every table and host at a glance, and what is unusual now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.query.across import amounts
from tests.query import minutes
from tests.query.world import NOON, waits

if TYPE_CHECKING:
    from tests.query.world import World

ADDRESS = "/api/v1/overview"
HOUR = 60 * minutes.MINUTE
SPAN = {"from": str(minutes.END - HOUR), "to": str(minutes.END)}


def ask(world: World, **more: Any) -> dict[str, Any]:
    answer = world.get(ADDRESS, SPAN | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_home_says_what_is_unusual_on_which_host(engine_world: World) -> None:
    """One event: its time, its host, its tables; the host's losses; the marker; nothing else."""
    minutes.fill(engine_world)
    found = ask(engine_world)
    (event,) = found["events"]
    assert event["hosts"] == ["db-2"]
    assert set(event["tables"]) == {"offcputime", "biolatency"}
    assert abs(event["from"] - minutes.START) <= minutes.MINUTE
    assert not event["silent"]
    tables = {each["table"]: each for each in found["tables"]}
    assert set(tables) == {"agent", "biolatency", "offcputime"}
    assert tables["biolatency"]["unusual"][0]["hosts"] == ["db-2"]
    assert tables["biolatency"]["unusual"][0]["text"].endswith("since 02:54")
    hosts = {each["host"]: each for each in found["hosts"]}
    assert [host for host, each in hosts.items() if each["lost"]] == ["db-2"]
    assert all(each["silent_since"] is None for each in hosts.values())
    assert [each["message"] for each in found["markers"]] == ["config change"]


def test_a_line_has_a_value_for_each_step_and_its_usual_band(world: World) -> None:
    """In threads; the band holds the quiet steps. On top is the frame that tells most."""
    minutes.fill(world)
    found = ask(world, presets="none")
    (waits_of,) = [each for each in found["tables"] if each["table"] == "offcputime"]
    assert len(waits_of["values"]) == len(found["times"]) == 60
    assert found["step"] == minutes.MINUTE
    assert waits_of["unit"] == "threads waiting"
    quiet = waits_of["values"][:50]
    assert all(waits_of["low"] <= each <= waits_of["high"] for each in quiet)
    assert sum(quiet) / 50 == pytest.approx(3 * 5.22, rel=0.05)
    assert waits_of["on_top"][0]["name"] == "pool_wait"
    assert waits_of["rows"] == 3 * 60 * 4


def test_a_silent_host_is_an_event(world: World) -> None:
    """With the time it was last heard; the others go on."""
    minutes.fill(world, ill="", silent="db-3")
    found = ask(world)
    assert [(each["silent"], each["hosts"]) for each in found["events"]] == [(True, ["db-3"])]
    silent = {each["host"]: each["silent_since"] for each in found["hosts"]}
    assert silent == {"db-1": None, "db-2": None, "db-3": minutes.START + 1}


def test_a_pause_of_all_hosts_is_not_what_is_usual(world: World) -> None:
    """Hosts that were off for a day do what they did before: only the ill one is unusual."""
    minutes.fill(world, begin=NOON - 24 * HOUR)
    minutes.fill(world)
    (event,) = ask(world)["events"]
    assert event["hosts"] == ["db-2"]


def test_filters_that_a_table_does_not_take_are_named(world: World) -> None:
    """The table stays, without them; the others are filtered."""
    minutes.fill(world)
    found = ask(world, process="mysqld", hostname="db-1", device="sda")
    tables = {each["table"]: each for each in found["tables"]}
    assert tables["offcputime"]["inactive"] == ["device"]
    assert tables["agent"]["inactive"] == ["process", "device"]
    assert tables["biolatency"]["rows"] == 0
    assert [each["host"] for each in found["hosts"]] == ["db-1"]


def test_tables_without_any_row_are_left_out(world: World) -> None:
    """A table with older rows says when the last one came."""
    assert ask(world)["tables"] == []
    world.insert("offcputime", waits())
    (table,) = ask(world)["tables"]
    assert (table["rows"], table["last"]) == (0, NOON + 5_000_000)


def test_a_table_whose_chart_counts_rows_is_about_their_number(world: World) -> None:
    """Three files a minute, each opened in 13 microseconds; not millionths of a thread."""
    world.adopt(Catalog(tuple(each for each in load_catalog() if each.table == "opensnoop")))
    opened = {"hostname": "db-1", "process": "sh", "pid": 1, "path": "/etc/hosts", "access": "read"}
    times = range(minutes.END - HOUR + 1, minutes.END, minutes.MINUTE // 3)
    world.insert("opensnoop", [opened | {"time": time, "elapsed": 13} for time in times])
    (table,) = ask(world)["tables"]
    assert (table["now_text"], table["total_text"]) == ("3 a minute", "3 opened files a minute")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (2e-9, "2 ns"),
        (640e-6, "640 µs"),
        (0.0041, "4.1 ms"),
        (2.08, "2.1 s"),
        (99.4, "99 s"),
        (100, "1 min 40 s"),
        (3599.9, "1 h"),
        (5040, "1 h 24 min"),
        (400_000, "4 d 15 h"),
    ],
)
def test_lengths_of_time_have_two_units_at_most(seconds: float, text: str) -> None:
    """As people say them."""
    assert amounts.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.424, "0.42"), (2.71, "2.7"), (38.2, "38"), (1234, "1,200"), (84_120, "84 k")],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    """Two, or three."""
    assert amounts.number(value) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(84_120, "84 k calls a second"), (0.07, "4.2 calls a minute"), (0, "0 calls a second")],
)
def test_rates_are_of_a_time_in_which_something_happens(rate: float, text: str) -> None:
    """A second, a minute, an hour or a day."""
    assert amounts.rate(rate, "calls") == text
