"""Unions: rows of other categories under one name, each in one state."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kscope.declare.files.union import with_unions
from kscope.declare.model import Catalog
from kscope.store.housekeeping.loop import roll_up
from tests.query.world import SECOND
from tests.store.opened import category

if TYPE_CHECKING:
    from tests.query.world import World

HOUR = 3600 * SECOND
T0 = 20_000 * 24 * HOUR
RUNS = """\
table: runs_N
columns:
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: samples, type: count}
"""
WAITS = """\
table: waits_N
columns:
  - {name: reason, type: label}
  - {name: process, type: string}
  - {name: pid, type: int}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: lengths, type: histogram}
presets:
  - {name: no locks, filter: {stack__not_regex: [lock, semaphore]}}
"""
AGES = "retention: 4d\nrollup: {1h: 20d, 1d: 40d}\n"
WALL = """\
table: wall_N
union:
  on CPU: runs_N
  lock:
    table: waits_N
    filter: {reason__in: "blocked,idle", stack__not_regex: "(^|;)io(;|$)"}
    hidden_by: no locks
  to run: {table: waits_N, filter: {reason: preempted}}
  disk: {table: waits_N, filter: {stack__regex: "(^|;)io(;|$)"}}
  others: waits_N
states: [on CPU, to run, disk, lock, others]
presets:
  - {name: busy, filter: {state__ne: others}}
charts:
  - {kind: flamegraph, stack: stack, value: elapsed, by: state}
  - {kind: timeseries, value: elapsed, by: state}
"""
STATES = ("on CPU", "to run", "disk", "lock", "others")
ROW = st.fixed_dictionaries(
    {
        "time": st.integers(0, 600).map(lambda quarter: T0 + quarter * HOUR // 4),
        "hostname": st.sampled_from("ab"),
        "process": st.sampled_from(["p", "q", "p "]),
        "pid": st.integers(1, 2),
        "stack": st.sampled_from(["", "main;io", "main;lock", "main;io;lock", "main;iota"]),
        "elapsed": st.integers(0, 9) | st.integers(2**40, 2**45),
        "reason": st.sampled_from(["preempted", "blocked", "idle", "uninterruptible"]),
        "table": st.sampled_from(["runs", "waits"]),
    }
)


Rows = list[dict[str, Any]]
PATIENT = settings(
    max_examples=6, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
numbers = itertools.count()


def state_of(row: dict[str, Any]) -> str:
    """Return the state by the declaration, without SQL."""
    if row["table"] == "runs":
        return "on CPU"
    if row["reason"] == "preempted":
        return "to run"
    if "io" in row["stack"].split(";"):
        return "disk"
    return "lock" if "lock" in row["stack"] and row["reason"] in ("blocked", "idle") else "others"


class Wall:
    """A union of two new tables, with rows."""

    def __init__(self, world: World, rows: Rows, *, wall: str = WALL) -> None:
        self.world = world
        self.number = str(next(numbers))
        self.rows = [row | {"state": state_of(row)} for row in rows]
        self.adopt(wall)
        for row in rows:
            self._insert(row)

    def adopt(self, *unions: str) -> None:
        texts = (f"{AGES}{RUNS}", f"{AGES}{WAITS}", *unions)
        files = [category(text.replace("_N", self.name), "x.yaml") for text in texts]
        found, problems = with_unions(files)
        assert problems == []
        self.world.adopt(Catalog(tuple(found)))

    @property
    def name(self) -> str:
        return f"_{self.number}"

    def _insert(self, row: dict[str, Any]) -> None:
        names = ("time", "hostname", "process", "pid", "stack", "elapsed")
        runs = row["table"] == "runs"
        own = {"samples": 1} if runs else {"reason": row["reason"], "lengths": [1]}
        self.world.insert(row["table"] + self.name, [{name: row[name] for name in names} | own])

    def ask(self, question: str, of: str = "wall", **asked: Any) -> dict[str, Any]:
        path, _, column = question.partition("/")
        address = "/".join(filter(None, ["/api/v1", path, f"{of}{self.name}", column]))
        answer = self.world.get(address, asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def sums(self, *keys: str, **wanted: str) -> dict[tuple[str, ...], int]:
        found: Counter[tuple[str, ...]] = Counter()
        for row in self.rows:
            if all(row[name] == value for name, value in wanted.items()):
                found[tuple(row[key] for key in keys)] += row["elapsed"]
        return dict(found)


def entries(answer: dict[str, Any]) -> dict[tuple[str, ...], int]:
    return {tuple(each["key"]): each["value"] for each in answer["entries"]}


def wait(hour: int, stack: str, reason: str, table: str = "waits") -> dict[str, Any]:
    common = {"hostname": "a", "process": "p", "pid": 1, "elapsed": 10**hour % 977 + hour}
    return common | {"time": T0 + hour * HOUR, "stack": stack, "reason": reason, "table": table}


TWO_DAYS = [
    wait(hour, stack, reason, table)
    for hour, (stack, reason, table) in enumerate(
        [
            ("main", "", "runs"),
            ("main;io", "preempted", "waits"),
            ("main;io;lock", "blocked", "waits"),
            ("main;lock", "blocked", "waits"),
            ("main;lock", "uninterruptible", "waits"),
            ("main;iota", "blocked", "waits"),
            ("", "idle", "waits"),
        ]
        * 7
    )
]


def test_each_row_is_in_exactly_one_state(engine_world: World) -> None:
    """Sums by state are those of the members' rows, from rows and from sums."""
    sources = set()

    @PATIENT
    @example(rows=TWO_DAYS, closed=60, start=0, asked={})
    @given(
        rows=st.lists(ROW, min_size=5, max_size=12),
        closed=st.sampled_from([0, 60, 151]),
        start=st.integers(0, 60),
        asked=st.sampled_from([{}, {"hostname": "a"}, {"state": "disk"}]),
    )
    def hold(rows: Rows, closed: int, start: int, asked: dict[str, str]) -> None:
        wall = Wall(engine_world, rows)
        engine_world.run(roll_up(engine_world.store, T0 + closed * HOUR))
        begin = T0 + start * HOUR
        wall.rows = [row for row in wall.rows if row["time"] >= begin]
        chosen = asked | {"from": begin, "to": T0 + 150 * HOUR + SECOND}
        top = wall.ask("top", by="state,process,hostname", n=1000, **chosen)
        assert entries(top) == wall.sums("state", "process", "hostname", **asked)
        assert top["total"] == sum(entries(top).values())
        graph = wall.ask("flamegraph", by="state", **chosen)
        assert (graph["total"], graph["rows"]) == (top["total"], top["meta"]["rows"])
        series = wall.ask("timeseries", points=7, **chosen)["series"]
        states = {each["name"]: sum(each["values"]) for each in series}
        assert states == {state: value for (state,), value in wall.sums("state", **asked).items()}
        assert [*states] == [state for state in STATES if state in states]
        if not asked:
            parts = [wall.ask("top", of, **chosen)["total"] for of in ("runs", "waits")]
            assert sum(parts) == top["total"]
        sources.add(top["meta"]["source"])

    hold()
    assert "rollup 1d + rollup 1h + raw" in sources


def test_all_questions_work_as_of_other_categories(engine_world: World) -> None:
    """Values, rows, sizes, hosts, comparisons, presets, exports, and filters on the state."""
    wall = Wall(engine_world, TWO_DAYS)
    span = {"from": T0, "to": T0 + 50 * HOUR}
    found = wall.ask("values/state", **span)["values"]
    assert {each["value"]: each["rows"] for each in found} == Counter(
        row["state"] for row in wall.rows
    )
    assert wall.ask("histogram", value="elapsed", **span)["total"] == len(TWO_DAYS)
    assert sum(map(sum, wall.ask("heatmap", value="elapsed", **span)["counts"])) == len(TWO_DAYS)
    assert [each["host"] for each in wall.ask("hosts", min_events=1, **span)["hosts"]] == ["a"]
    for operator, states in (
        ("__in", "disk,lock"),
        ("__not_in", "on CPU,to run,others"),
        ("__regex", "^(disk|lock)$"),
        ("__gte", "disk"),
    ):
        kept = wall.ask("top", by="state", **span, **{f"state{operator}": states})
        names = {("disk",), ("lock",)} | (
            {("on CPU",), ("others",), ("to run",)} if operator == "__gte" else set()
        )
        assert entries(kept).keys() == names
    compared = wall.ask("compare", **span, state="disk", **{"base.state": "lock"})
    assert compared["total"] == wall.sums("state")["disk",]
    assert compared["base_total"] == wall.sums("state")["lock",]
    busy = wall.ask("flamegraph", preset="busy", **span)
    (hidden,) = busy["meta"]["hidden"]
    assert hidden["value"] == wall.sums("state")["others",]
    assert hidden["value"] + busy["total"] == wall.ask("flamegraph", **span)["total"]
    folded = engine_world.get(f"/api/v1/flamegraph/wall{wall.name}", span | {"format": "folded"})
    assert any(line.startswith("on CPU;main ") for line in folded.text.splitlines())
    assert wall.ask("quality", **span)["agents"] == 0


def test_rows_of_a_union_come_page_by_page(engine_world: World) -> None:
    """In any order: each row once, with its state, as in one answer of all."""
    wall = Wall(engine_world, TWO_DAYS[:14] * 2)
    span = {"from": T0, "to": T0 + 50 * HOUR}
    for order in ("time", "-time", "-elapsed", "state", "process"):
        whole = wall.ask("rows", order=order, limit=100, **span)
        names = whole["columns"]
        assert names == ["time", "hostname", "state", "process", "pid", "stack", "elapsed"]
        found: list[list[Any]] = []
        page = wall.ask("rows", order=order, limit=3, **span)
        while True:
            found += page["rows"]
            if page["next"] is None:
                break
            page = engine_world.get(page["next"]).json()
        assert found == whole["rows"]
        assert len(found) == 28
        told = Counter((row[0], row[2], row[6]) for row in found)
        assert told == Counter((row["time"], row["state"], row["elapsed"]) for row in wall.rows)
        key = names.index(order.removeprefix("-"))
        keys = [row[key] for row in found]
        assert keys == sorted(keys, reverse=order.startswith("-"))
        lines = engine_world.get(
            f"/api/v1/rows/wall{wall.name}", span | {"order": order, "format": "ndjson"}
        ).text.splitlines()
        assert len(lines) == 28


def test_a_union_takes_no_rows(world: World) -> None:
    """It has no table; the error says where rows go."""
    wall = Wall(world, [])
    assert f"wall{wall.name}" not in world.store.schema.categories
    described = world.get("/api/v1/categories").json()["categories"]
    (union,) = (each for each in described if each["union"])
    assert union["union"] == [f"runs{wall.name}", f"waits{wall.name}"]
    assert union["columns"][2]["words"] == list(STATES)
