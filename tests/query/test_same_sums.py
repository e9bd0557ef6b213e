"""A table that is summed and loses its rows by age answers as one that keeps them all."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kscope.declare.model import Catalog
from kscope.store.housekeeping.loop import retain, roll_up
from tests.numbers import EXACT, is_sum
from tests.query.world import SECOND
from tests.store.opened import category

if TYPE_CHECKING:
    from tests.query.world import World

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
T0 = 20_000 * 24 * HOUR
COLUMNS = """\
columns:
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: count, type: count}
  - {name: sizes, type: histogram}
"""
ADDED = """\
  - {name: kind, type: label, default: old}
  - {name: more, type: count, default: 3}
  - {name: spread, type: histogram, default: []}
"""
Steps = list[tuple[str, Any]]
AGES = "retention: 4d\nrollup: {1h: 20d, 1d: 40d}\n"
PRESETS = """\
presets:
  - {name: no locks, filter: {stack__not_regex: [lock, semaphore]}}
  - {name: only p, filter: {process__in: "p,r"}}
"""
HOURS = 150

ROW = st.fixed_dictionaries(
    {
        "time": st.integers(0, 4 * HOURS).map(lambda quarter: T0 + quarter * HOUR // 4),
        "hostname": st.sampled_from("ab"),
        "process": st.sampled_from(["p", "q", "p "]),
        "pid": st.integers(1, 2),
        "stack": st.sampled_from(["", "main;io", "main;lock", "main"]),
        "elapsed": st.integers(0, 9) | st.integers(2**52, 2**57),
        "count": st.integers(0, 3),
        "sizes": st.lists(st.integers(0, 2), max_size=3),
    }
)
HOURS_LATER = st.integers(0, HOURS + 10)
STEP = st.one_of(
    st.tuples(st.just("write"), st.lists(ROW, min_size=1, max_size=6)),
    st.tuples(st.just("roll up"), HOURS_LATER),
    st.tuples(st.just("retain"), HOURS_LATER),
    st.tuples(st.just("add columns"), st.none()),
)
# In minutes after T0.
SPAN = st.tuples(st.integers(0, HOURS * 60), st.integers(1, HOURS * 60))
FILTERS = (
    {},
    {"process": "p"},
    {"hostname__ne": "a"},
    {"stack__contains": "main"},
    {"kind": "old"},
    {"pid": "1"},
    {"elapsed__gte": "5"},
    {"preset": "no locks"},
    {"preset": ["only p", "no locks"], "hostname": "a"},
)
QUESTIONS = (
    ("flamegraph", {"by": "process"}),
    ("flamegraph", {"value": "count"}),
    ("flamegraph", {"value": "more", "by": "hostname"}),
    ("top", {"by": "hostname,process"}),
    ("top", {"by": "process", "aggregate": "avg"}),
    ("top", {"by": "kind", "aggregate": "count"}),
    ("top", {"by": "stack", "value": "rows"}),
    ("timeseries", {"by": "process", "points": "5"}),
    ("timeseries", {"by": "", "value": "more", "points": "200"}),
    ("histogram", {"value": "sizes"}),
    ("histogram", {"value": "spread"}),
)


def wait(hour: int, host: str, elapsed: int, **others: Any) -> dict[str, Any]:
    common = {"process": "p", "pid": 1, "stack": "main;io", "count": 2, "sizes": [0, 1]}
    time = T0 + hour * HOUR + hour % 4 * HOUR // 4
    return common | {"time": time, "hostname": host, "elapsed": elapsed} | others


# Two days, one of them summed before there are more columns, and rows of both that come late.
STEPS = [
    ("write", [wait(hour, host, 1) for hour in range(0, 51, 5) for host in "ab"]),
    ("roll up", 30),
    ("write", [wait(hour, "b", 10, sizes=[4]) for hour in range(0, 40, 7)]),
    ("add columns", None),
    ("write", [wait(hour, "a", 100, kind="new", more=5, spread=[1, 1]) for hour in (1, 2, 45)]),
    ("roll up", 53),
    ("write", [wait(hour, "a", 100, stack="main") for hour in (1, 2, 45)]),
    ("retain", 130),
]
ASKED = [
    ((20, 50 * 60), {}),
    ((20, 50 * 60 + 5), {"kind": "old"}),
    ((25 * 60 + 10, 25 * 60), {"elapsed__gte": "5"}),
    ((20, 50 * 60), {"preset": ["only p", "no locks"], "hostname": "a"}),
]
PATIENT = settings(
    max_examples=6, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
tables = itertools.count()


class Pair:
    """Two tables that get the same rows; `aged` alone has sums, and loses rows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = next(tables)
        self.adopt(COLUMNS)

    def adopt(self, columns: str) -> None:
        aged = category(f"table: aged_{self.number}\n{AGES}{PRESETS}{columns}", "aged.yaml")
        plain = category(f"table: plain_{self.number}\n{PRESETS}{columns}", "plain.yaml")
        self.world.adopt(Catalog((aged, plain)))

    def play(self, step: str, argument: Any) -> None:
        if step == "write":
            ordered = sorted(argument, key=lambda row: str(row["hostname"]))
            for table in ("aged", "plain"):
                self.world.insert(f"{table}_{self.number}", ordered)
        elif step == "add columns":
            self.adopt(COLUMNS + ADDED)
        else:
            housekeeping = roll_up if step == "roll up" else retain
            self.world.run(housekeeping(self.world.store, T0 + argument * HOUR))

    def ask(self, table: str, question: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = self.world.get(f"/api/v1/{question}/{table}_{self.number}", asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def same(self, question: str, span: tuple[int, int], asked: dict[str, Any]) -> str:
        """Ask both, the second for the whole buckets that the first may have given."""
        aged = self.ask("aged", question, asked | {"from": span[0], "to": span[1]})
        if any("removed by retention" in notice["text"] for notice in aged["notices"]):
            return "gone"
        whole = {name: aged["meta"][name] for name in ("from", "to")}
        plain = self.ask("plain", question, asked | whole)
        assert aged["meta"]["rows"] == plain["meta"]["rows"]
        assert plain["meta"]["source"] == "raw"
        assert is_sum(told(aged), told(plain)), (question, asked)
        assert is_sum(aged["meta"]["hidden"], plain["meta"]["hidden"]), (question, asked)
        source: str = aged["meta"]["source"]
        return source


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's figures; a step may be longer if only sums exist."""
    if "series" in answer:
        return {each["name"]: sum(each["values"]) for each in answer["series"]}
    entries = answer.get("entries", ())
    if any((each["value"] or 0) >= EXACT for each in entries):
        # Rounded sums of groups that are almost equal may be in another order.
        answer = answer | {"entries": sorted(entries, key=lambda each: list(each["key"]))}
    return {name: part for name, part in answer.items() if name not in ("table", "meta", "notices")}


@pytest.mark.timeout(300)
def test_sums_and_rows_give_the_same_answers(engine_world: World) -> None:
    """Rollups equal rows for all ranges and filters, with late rows and new columns."""
    sources = set()

    @PATIENT
    @example(steps=STEPS, asked=ASKED)
    @given(
        steps=st.lists(STEP, min_size=3, max_size=9),
        asked=st.lists(st.tuples(SPAN, st.sampled_from(FILTERS)), min_size=2, max_size=2),
    )
    def hold(steps: Steps, asked: list[tuple[tuple[int, int], dict[str, Any]]]) -> None:
        pair = Pair(engine_world)
        for step in steps:
            pair.play(*step)
        pair.play("add columns", None)
        for (start, length), chosen in asked:
            span = (T0 + start * MINUTE, T0 + (start + length) * MINUTE)
            sources.update(pair.same(name, span, chosen | more) for name, more in QUESTIONS)

    hold()
    assert {"rollup 1d + rollup 1h + raw", "raw"} <= sources
