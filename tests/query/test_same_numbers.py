"""One question, the same numbers: on each engine, by each way in, and by a plain fold in Python."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kscope.query.parse.timerange import iso
from tests.commands import command
from tests.databases import SQLiteFile
from tests.mariadb import PASSWORD, USER
from tests.numbers import is_sum
from tests.query.test_rows import EVERYTHING
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from pathlib import Path

    from tests.enginefixtures import Served
    from tests.query.world import World

SPAN = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:01:00Z"}
FRAMES = ["main", "a", "b", "é", "futex_wait_[k]", "a ", "A", "x:y", "<b>"]
# A fold whose order of frames is that of the tree: names that end in what others begin with.
PROCESSES = ["mysqld", "mysqld ", "MySQLd", "a;b", "", "日本"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(NOON, NOON + 60 * SECOND - 1),
            "process": st.sampled_from(PROCESSES),
            "pid": st.integers(0, 3),
            "stack": st.lists(st.sampled_from(FRAMES), max_size=5).map(";".join),
            "elapsed": st.integers(0, 2**59) | st.integers(0, 9),
            "count": st.integers(0, 5),
        }
    ),
    max_size=12,
)
# Sums that floating point holds exactly, and the first that it does not.
ODD = [
    {"time": NOON, "process": "a", "pid": 1, "stack": stack, "elapsed": elapsed, "count": 1}
    for stack, elapsed in [("m", 2**53 - 1), ("n", 2**53 - 1), ("n", 1), ("o", 2**53), ("o", 1)]
]
PATIENT = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hosts = itertools.count()


def answer(world: World, question: str, host: str, **parameters: Any) -> dict[str, Any]:
    params = SPAN | parameters | {"hostname": host}
    response = world.get(f"/api/v1/{question}/offcputime", params)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def drawn(answer: dict[str, Any]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Path -> value and self; and the order must be that of a walk by name."""
    found, path = {}, []
    columns = [answer[key] for key in ("name", "level", "value", "self")]
    for name, level, value, own in zip(*columns, strict=True):
        path[level:] = [answer["names"][name]]
        found[tuple(path)] = (value, own)
    assert list(found) == sorted(found)
    return found


def fold(rows: list[dict[str, Any]], *by: str) -> dict[tuple[str, ...], tuple[int, int]]:
    totals: Counter[tuple[str, ...]] = Counter()
    own: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        frames = row["stack"].split(";") if row["stack"] else []
        path = ("all", *(str(row[name]) for name in by), *frames)
        own[path] += row["elapsed"]
        for end in range(1, len(path) + 1):
            totals[path[:end]] += row["elapsed"]
    return {path: (total, own[path]) for path, total in totals.items()} or {("all",): (0, 0)}


@PATIENT
@given(rows=ROWS)
@example(rows=ODD[:1])
@example(rows=ODD)
def test_every_engine_says_what_a_plain_fold_says(
    engine_world: World, rows: list[dict[str, Any]]
) -> None:
    """Flame graph, top, time series, sizes and rows of random rows with awkward names."""
    world, host = engine_world, f"host-{next(hosts)}"
    world.insert("offcputime", [row | {"hostname": host} for row in rows])

    assert is_sum(drawn(answer(world, "flamegraph", host)), fold(rows, "process"))
    by_pid = drawn(answer(world, "flamegraph", host, by="pid,process"))
    assert is_sum(by_pid, fold(rows, "pid", "process"))

    assert is_sum(drawn(answer(world, "flamegraph", host, by="count")), fold(rows, "count"))
    sizes_seen = answer(world, "top", host, by="elapsed,count", value="rows")["entries"]
    assert {tuple(map(int, each["key"])): each["value"] for each in sizes_seen} == Counter(
        (row["elapsed"], row["count"]) for row in rows
    )

    for aggregate, expected in plain_groups(rows).items():
        top = answer(world, "top", host, by="process", aggregate=aggregate)
        found = {each["key"][0]: each["value"] for each in top["entries"]}
        assert is_sum(found, expected), aggregate

    series = answer(world, "timeseries", host, by="", points=6)["series"][0]["values"]
    steps = Counter(dict.fromkeys(range(6), 0))
    for row in rows:
        steps[(row["time"] - NOON) // (10 * SECOND)] += row["elapsed"]
    assert is_sum(series, [steps[step] for step in range(6)])

    sizes = answer(world, "histogram", host, value="elapsed")
    assert dict(zip(sizes["lower"], sizes["counts"], strict=True)).items() >= slots(rows).items()
    assert sizes["total"] == sum(row["count"] for row in rows)

    listed = answer(world, "rows", host, order="time", limit=100)
    keys = ("time", "process", "pid", "stack", "elapsed", "count")
    at = [listed["columns"].index(key) for key in keys]
    assert sorted(tuple(row[i] for i in at) for row in listed["rows"]) == sorted(
        tuple(row[key] for key in keys) for row in rows
    )


def plain_groups(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["process"], []).append(row)

    def of(each: list[dict[str, Any]]) -> dict[str, Any]:
        total, events = sum(r["elapsed"] for r in each), sum(r["count"] for r in each)
        # An event of a row is in floating point, as the reference says.
        means = [float(r["elapsed"]) / r["count"] for r in each if r["count"]]
        return {
            "sum": total,
            "count": events,
            "avg": total / events if events else None,
            "min": min(means, default=None),
            "max": max(means, default=None),
        }

    found = {name: of(each) for name, each in groups.items()}
    return {
        aggregate: {name: values[aggregate] for name, values in found.items()}
        for aggregate in ("sum", "count", "avg", "min", "max")
    }


def slots(rows: list[dict[str, Any]]) -> dict[int, int]:
    counted: Counter[int] = Counter()
    for row in rows:
        if row["count"]:
            slot = max(0, (row["elapsed"] // row["count"]).bit_length() - 1)
            counted[2**slot if slot else 0] += row["count"]
    return dict(counted)


CONDITIONS = {
    "process__contains": lambda row, text: text in row["process"],
    "process": lambda row, text: row["process"] == text,
    "process__ne": lambda row, text: row["process"] != text,
    "process__gt": lambda row, text: row["process"].encode() > text.encode(),
    "process__startswith": lambda row, text: row["process"].startswith(text),
    "process__not_in": lambda row, text: row["process"] not in [text, "x"],
    "stack__contains": lambda row, text: text in row["stack"],
    "stack__not_startswith": lambda row, text: not row["stack"].startswith(text),
}


@PATIENT
@given(
    rows=ROWS,
    name=st.sampled_from(sorted(CONDITIONS)),
    text=st.sampled_from([*PROCESSES, *FRAMES, "q", "%", "_", "a;b", "m"]),
)
def test_filters_mean_what_python_means(
    engine_world: World, rows: list[dict[str, Any]], name: str, text: str
) -> None:
    """Case, trailing spaces, LIKE's wildcards and alphabets are distinguished on every engine."""
    host = f"host-{next(hosts)}"
    engine_world.insert("offcputime", [row | {"hostname": host} for row in rows])
    given_text = msgspec.json.encode([text, "x"]).decode() if name.endswith("in") else text
    found = answer(engine_world, "top", host, by="process", value="rows", **{name: given_text})
    kept = Counter(row["process"] for row in rows if CONDITIONS[name](row, text))
    assert {each["key"][0]: each["value"] for each in found["entries"]} == kept


def test_texts_are_told_apart_by_every_byte(engine_world: World) -> None:
    """Paths that differ in a space at the end or in case, grouped, filtered and matched."""
    paths = [
        "/a",
        "/a ",
        "/a  ",
        "/A",
        "",
        " ",
        "/é",
        "/e\u0301",
        "\U0001f980",
        'a"b,[c]\\',
        "\x01",
    ]
    base = EVERYTHING | {"events": 1}
    rows = [base | {"path": path, "latency": 10**i} for i, path in enumerate(paths)]
    engine_world.insert("everything", rows)

    def top(**parameters: str) -> dict[str, int]:
        asked = SPAN | {"by": "path", "value": "latency"} | parameters
        response = engine_world.get("/api/v1/top/everything", asked)
        assert response.status_code == 200, response.text
        return {each["key"][0]: each["value"] for each in response.json()["entries"]}

    every = {row["path"]: row["latency"] for row in rows}
    assert top() == every
    for path in paths:
        own = {path: every[path]}
        assert top(path=path) == own
        assert top(path__in=msgspec.json.encode([path, "no"]).decode()) == own
        others = {name: value for name, value in every.items() if name != path}
        assert top(path__not_in=msgspec.json.encode([path]).decode()) == others
    assert top(path__regex="^/a $") == {"/a ": 10}
    assert top(path__not_regex=" $").keys() == set(paths) - {"/a ", "/a  ", " "}
    asked = SPAN | {"by": "path", "value": "latency", "n": "2"}
    largest = {"sum": paths[-1:-3:-1], "max": sorted(paths)[:2]}
    for aggregate, names in largest.items():
        answer = engine_world.get("/api/v1/timeseries/everything", asked | {"aggregate": aggregate})
        found = {each["name"]: each["values"][0] for each in answer.json()["series"]}
        rest = [every[path] for path in paths if path not in names]
        kept = {name: every[name] for name in names}
        assert found == kept | {"other": sum(rest) if aggregate == "sum" else max(rest)}
    offered = engine_world.get("/api/v1/values/everything/path", SPAN).json()["values"]
    assert sorted(each["value"] for each in offered) == sorted(paths)


def test_each_way_in_gives_the_same_numbers(served: Served, tmp_path: Path) -> None:
    """The page's API, that of 2016, and the command line over HTTP and on the database itself."""
    # A server removes rows of long ago.
    begin = time.time_ns() // 1000 - 3600 * SECOND
    span = {"from": iso(begin), "to": iso(begin + 60 * SECOND)}
    rows = [row | {"time": row["time"] - NOON + begin} for row in waits()]
    for row in rows:
        served.server.post(
            {"hostname": row["hostname"], "time": iso(row["time"]), "offcputime": [sent(row)]}
        )

    def page(question: str, **parameters: str) -> Any:
        answer = served.server.get(f"/api/v1/{question}/offcputime", **(span | parameters))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def seed(**asked: Any) -> Any:
        answer = served.server.client.post(f"{served.server.read}/api", json={"offcputime": asked})
        assert answer.status_code == 200, answer.text
        return answer.json()

    ways = (["--server", served.server.read], ["--config", str(configured(served, tmp_path))])

    def typed(*options: str) -> list[str]:
        printed = [
            command_line("--from", span["from"], "--to", span["to"], *way, *options) for way in ways
        ]
        assert printed[0] == printed[1]
        return printed[0]

    tree = {path: value for path, (value, _) in drawn(page("flamegraph", by="")).items()}
    assert tree == {path: value for path, (value, _) in fold(rows).items()}
    assert nested(seed(elements=["stack", "elapsed"], format="flamegraph"), "all") == tree
    stacks = dict(line.rsplit(" ", 1) for line in typed("by=", "--format", "folded"))
    assert {tuple(stack.split(";")): int(value) for stack, value in stacks.items()} == {
        path[1:] or ("[no stack]",): own
        for path, (_, own) in drawn(page("flamegraph", by="")).items()
        if own
    }

    top = {tuple(each["key"]): each["value"] for each in page("top", by="process")["entries"]}
    listed = seed(elements=["process", "elapsed"])["offcputime"]
    summed: Counter[tuple[str]] = Counter()
    for row in listed:
        summed[row["process"],] += row["elapsed"]
    assert top == summed
    lines = typed("--top", "process", "--format", "ndjson")
    assert {(row["process"],): row["elapsed"] for row in map(json.loads, lines)} == top

    series = page("timeseries", by="process", points="6")
    values = {
        (iso(start), each["name"]): value
        for each in series["series"]
        for start, value in zip(series["times"], each["values"], strict=True)
    }
    assert sum(values.values()) == sum(top.values())
    lines = typed("-q", "timeseries", "by=process", "points=6", "--format", "ndjson")
    assert {(row["time"], row["series"]): row["value"] for row in map(json.loads, lines)} == values

    whole = page("rows", order="time")
    keys = ["hostname", "process", "pid", "stack", "elapsed", "count"]
    found = [
        [dict(zip(whole["columns"], row, strict=True))[key] for key in keys]
        for row in whole["rows"]
    ]
    listed = [[row[key] for key in keys] for row in seed(elements=keys)["offcputime"]]
    # The lists of 2016 are leaf first.
    at = keys.index("stack")
    for row in listed:
        row[at] = ";".join(reversed(row[at].split(";")))
    assert listed == found
    lines = typed("-q", "rows", "order=time", "--format", "ndjson")
    assert [[row[key] for key in keys] for row in map(json.loads, lines)] == found


def sent(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("hostname", "time")}


def nested(node: dict[str, Any], name: str) -> dict[tuple[str, ...], int]:
    found = {(name,): node["value"]}
    for child in node.get("children", ()):
        below = nested(child, child["name"])
        found |= {(name, *path): value for path, value in below.items()}
    return found


def configured(served: Served, folder: Path) -> Path:
    """Name the database in a configuration, as a person would."""
    database = served.database
    named: dict[str, Any]
    if isinstance(database, SQLiteFile):
        named = {"sqlite": str(database.path)}
    else:
        named = {"host": "127.0.0.1", "port": database.server.port, "user": USER}
        named = {database.name: named | {"password": PASSWORD, "database": database.database}}
    config = folder / "kernelscope.yaml"
    config.write_text(json.dumps({"database": named}))
    return config


def command_line(*options: str) -> list[str]:
    run = command("query", "offcputime", *options)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()
