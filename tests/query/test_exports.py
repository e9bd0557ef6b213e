"""Answers in other programs' formats, read back by what those programs read them with."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.grafana import nodes
from tests.query.test_rows import EVERYTHING
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    import httpx

    from tests.query.world import World

SVG = "{http://www.w3.org/2000/svg}"
DAY = {"from": "2026-11-23", "to": "2026-11-24"}
FOLDED = {
    "a:b;main": 11,
    "mysqld;main;do_command;futex_wait_[k]": 12000,
    "mysqld;main;do_command;io_schedule_[k]": 3000,
    "nginx": 20,
    "nginx;main;epoll_wait_[k]": 1000,
}


def export(client: World, form: str, **query: str) -> httpx.Response:
    params = DAY | query | {"format": form}
    response = client.get("/api/v1/flamegraph/offcputime", params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith('attachment; filename="offcputime.')
    return response


def test_folded_text_has_a_stack_a_line(client: World) -> None:
    """A `;` in a process' name cannot be kept in this format and becomes `:`."""
    lines = export(client, "folded").text.splitlines()
    assert {stack: int(value) for stack, value in (line.rsplit(" ", 1) for line in lines)} == FOLDED
    assert lines == sorted(lines)


def test_grafana_reads_the_nested_set(client: World) -> None:
    """One root of level 0, each node directly below its parent, `self` without the children."""
    found = json.loads(export(client, "grafana").content)
    assert [[*each] for each in found] == [["label", "level", "value", "self"]] * len(found)
    read = nodes([tuple(each.values()) for each in found])
    assert read[0] == (("all",), 16031, 0)
    own = {";".join(path[1:]).replace("a;b", "a:b"): own for path, _, own in read if own}
    assert own == FOLDED
    nothing = json.loads(export(client, "grafana", process="none").content)
    assert nothing == [{"label": "all", "level": 0, "value": 0, "self": 0}]


def test_objects_are_one_array(client: World) -> None:
    """With the columns' names in each row, times as in other texts, also of no rows and of many."""
    params = DAY | {"format": "objects"}
    found = client.get("/api/v1/rows/offcputime", params).json()
    assert [row["pid"] for row in sorted(found, key=lambda row: str(row["time"]))][:3] == [
        100,
        100,
        200,
    ]
    assert found[0]["time"].startswith("2026-11-23T00:00:0")
    top = client.get("/api/v1/top/offcputime", params | {"by": "process", "n": "1"}).json()
    assert top == [{"process": "mysqld", "elapsed": 15000, "share": 15000 / 16031, "rows": 3}]
    assert client.get("/api/v1/rows/offcputime", params | {"pid": "1"}).json() == []
    assert client.get("/api/v1/top/offcputime", params | {"pid": "1"}).json() == []
    many = [{**row, "time": row["time"] + i} for i in range(4000) for row in waits()]
    client.insert("offcputime", sorted(many, key=lambda row: str(row["hostname"])))
    assert len(client.get("/api/v1/rows/offcputime", params).json()) == 24_006


def test_grafana_reads_a_comparison(client: World) -> None:
    """The base is on the left."""
    params = DAY | {"format": "grafana", "hostname": "web-001", "base.hostname": "web-002"}
    found = client.get("/api/v1/compare/offcputime", params).json()
    sides = (("value", "self", 7031), ("valueRight", "selfRight", 9000))
    for value, own, total in sides:
        rows = [(each["label"], each["level"], each[value], each[own]) for each in found]
        assert nodes(rows)[0] == (("all",), total, 0)


def test_the_widest_nodes_are_left_of_very_many(client: World) -> None:
    """As many as Grafana draws; each with the one above it, and all of its value."""
    rows = [
        {"time": NOON + i, "hostname": "h", "process": f"p{i}", "pid": 1, "reason": "blocked"}
        | {"stack": f"main;f{i};g;h", "elapsed": 1 + i // 3, "count": 1, "lengths": [0, 1]}
        for i in range(7000)
    ]
    client.insert("offcputime", rows)
    found = json.loads(export(client, "grafana", by="", hostname="h").content)
    assert len(found) == 20_000
    read = nodes([tuple(each.values()) for each in found])
    assert read[0][1] == sum(row["elapsed"] for row in rows)


def test_speedscope_reads_the_file(client: World) -> None:
    """Samples are indexes into the shared frames, root first; weights are microseconds."""
    found = json.loads(export(client, "speedscope").content)
    frames = [frame["name"] for frame in found["shared"]["frames"]]
    (one,) = found["profiles"]
    stacks = {
        ";".join(frames[i] for i in sample): weight
        for sample, weight in zip(one["samples"], one["weights"], strict=True)
    }
    assert stacks == {stack.replace("a:b", "a;b"): value for stack, value in FOLDED.items()}
    assert (one["type"], one["unit"], one["endValue"]) == ("sampled", "microseconds", 16031)


def test_the_nested_tree_holds_the_same_numbers(client: World) -> None:
    """Children under `children`, as d3-flame-graph reads them."""
    tree = json.loads(export(client, "tree").content)
    assert (tree["name"], tree["value"]) == ("all", 16031)
    assert [child["name"] for child in tree["children"]] == ["a;b", "mysqld", "nginx"]


def test_the_svg_stands_alone(client: World) -> None:
    """Boxes are as wide as their share, lie on their parents, and carry no script."""
    text = export(client, "svg", process="mysqld").text
    assert "script" not in text
    assert "href" not in text
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    boxes = {}
    for group in root.iter(f"{space}g"):
        title, box = group.find(f"{space}title"), group.find(f"{space}rect")
        assert title is not None
        assert box is not None
        boxes[str(title.text)] = (float(box.get("x", 0)), float(box.get("width", 0)))
    assert boxes["all: 15 ms, 100.00 %"] == (8, 1184)
    assert boxes["futex_wait_[k]: 12 ms, 80.00 %"] == (8, pytest.approx(1184 * 0.8, abs=0.01))
    left, width = boxes["io_schedule_[k]: 3 ms, 20.00 %"]
    assert left == pytest.approx(8 + 1184 * 0.8, abs=0.01)
    assert left + width == pytest.approx(1192, abs=0.02)


def test_a_comparison_is_a_picture(client: World) -> None:
    """A box is as wide as both sides together, red where there is more than in the base; its title
    says both amounts and the change.
    """
    sides = {"hostname": "web-002", "base.hostname": "web-001"}
    text = compared(client, "svg", **sides).text
    assert "script" not in text
    boxes = {
        str(group.findtext(f"{SVG}title")): group.find(f"{SVG}rect")
        for group in ET.fromstring(text).iter(f"{SVG}g")
    }
    found = {said: (float(box.get("width", 0)), box.get("fill")) for said, box in boxes.items()}
    width = 1184 / 16031
    assert found["all: base 9 ms, now 7.03 ms, \xd70.781"] == (1184, "#ebebe8")
    for said, size, colour in (
        ("futex_wait_[k]: base 5 ms, now 7 ms, \xd71.4", 12000, "#f8d7c5"),
        ("io_schedule_[k]: base 3 ms, now 0 us, gone", 3000, "#2468b4"),
        ("a;b: base 0 us, now 11 us, new", 11, "#c9481a"),
    ):
        assert found[said] == (pytest.approx(size * width, abs=0.01), colour)
    # As shares, each side is half of the root.
    text = compared(client, "svg", normalised="true", **sides).text
    assert "all: base 9 ms, now 7.03 ms, the same" in text
    assert "shares are compared" in text


def test_a_comparison_is_folded_text(client: World) -> None:
    """Two numbers a stack, base first, as difffolded.pl writes them; -n scales the base."""
    sides = {"hostname": "web-002", "base.hostname": "web-001"}
    lines = [
        "a:b;main 0 11",
        "mysqld;main;do_command;futex_wait_[k] 5000 7000",
        "mysqld;main;do_command;io_schedule_[k] 3000 0",
        "nginx 0 20",
        "nginx;main;epoll_wait_[k] 1000 0",
    ]
    for form in ("folded", "difffolded"):
        assert compared(client, form, **sides).text.splitlines() == lines
    scaled = compared(client, "folded", normalised="true", **sides).text.splitlines()
    assert scaled[1] == "mysqld;main;do_command;futex_wait_[k] 3906 7000"


# A line as flamegraph.pl reads it: the stack up to the last blank, and a number without sign and
# exponent.
FLAMEGRAPH_PL = re.compile(r"^(.*)\s+?(\d+(?:\.\d*)?)$")


def test_flamegraph_pl_reads_every_line(world: World) -> None:
    """Blanks in names, numbers at their ends, separators, names of nothing, stacks of nothing."""
    row = {"time": NOON, "hostname": "h", "pid": 1, "count": 1}
    names = {
        "io worker 1;": ("main;;f 2;  ", "io worker 1:;main;[unknown];f 2;[unknown]"),
        "a\tb\x0b\u2028c": ("x y;", "a b  c;x y;[unknown]"),
        "": (
            "std::map<int, int>::at(int) [lib.so]",
            "[unknown];std::map<int, int>::at(int) [lib.so]",
        ),
        "idle": ("", "idle"),
    }
    world.insert(
        "offcputime",
        [
            row | {"process": name, "stack": stack, "elapsed": 7}
            for name, (stack, _) in names.items()
        ],
    )
    world.insert("offcputime", [row | {"process": "none", "stack": "main", "elapsed": 0}])
    lines = export(world, "folded").text.splitlines()
    found = [match.groups() for match in map(FLAMEGRAPH_PL.match, lines) if match]
    assert sorted(found) == sorted((stack, "7") for _, stack in names.values())
    assert len(found) == len(lines)
    assert export(world, "folded", by="", process="idle").text == "[no stack] 7\n"


def test_fractions_have_no_exponent(world: World) -> None:
    """As flamegraph.pl reads them; what is below zero has no width."""
    row = {"time": NOON, "hostname": "h", "process": "p", "pid": 1}
    values = {"a": 0.5, "b": 1e-5, "c": 1e-9, "d": -3.0, "e": 2e20, "f": 3.0}
    world.insert(
        "everything", [EVERYTHING | row | {"stack": each, "busy": n} for each, n in values.items()]
    )
    params = DAY | {"format": "folded", "value": "busy", "by": ""}
    text = world.get("/api/v1/flamegraph/everything", params=params).text
    assert text.splitlines() == ["a 0.5", "b 0.00001", "e 200000000000000000000", "f 3"]


def compared(client: World, form: str, **query: str) -> httpx.Response:
    answer = client.get(
        "/api/v1/compare/offcputime", DAY | query | {"by": "process", "format": form}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="offcputime.')
    return answer


def test_hostile_names_stay_text(world: World) -> None:
    """Markup, line ends and control characters in a process' and a frame's name."""
    name = '<script>alert(1)</script>\x01"&\n'
    row = {"time": NOON, "hostname": "h", "process": name, "pid": 1, "elapsed": 5}
    world.insert("offcputime", [row | {"stack": f"main;{name}"}])
    svg = export(world, "svg").text
    assert "<script" not in svg
    ET.fromstring(svg)
    assert export(world, "folded").text.count("\n") == 1
    (line,) = csv.DictReader(io.StringIO(rows(world, "csv").text, newline=""))
    assert line["process"] == name
    for form in ("tree", "speedscope"):
        assert name in json.dumps(
            json.loads(export(world, form).content), ensure_ascii=False
        ).replace("\\n", "\n").replace('\\"', '"').replace("\\u0001", "\x01")


def rows(client: World, form: str, **query: str) -> httpx.Response:
    params = DAY | query | {"format": form}
    response = client.get("/api/v1/rows/offcputime", params=params)
    assert response.status_code == 200, response.text
    return response


def test_rows_are_csv_with_readable_times(client: World) -> None:
    """All rows by default, in the order asked for, however many pieces they come in."""
    found = list(csv.DictReader(io.StringIO(rows(client, "csv", order="time").text)))
    assert [row["pid"] for row in found] == ["100", "100", "200", "300", "400", "500"]
    assert (
        found[0].items()
        >= {
            "time": "2026-11-23T00:00:00.000000Z",
            "hostname": "web-001",
            "process": "mysqld",
            "pid": "100",
            "reason": "blocked",
            "stack": "main;do_command;futex_wait_[k]",
            "elapsed": "5000",
            "count": "1",
        }.items()
    )
    assert rows(client, "csv", process="nobody").text.startswith("time,hostname,")


def test_rows_are_ndjson_with_their_types(client: World) -> None:
    """One object a line, numbers as numbers."""
    lines = rows(client, "ndjson", order="-elapsed", limit="2").text.splitlines()
    assert [json.loads(line)["elapsed"] for line in lines] == [7000, 5000]


def test_more_rows_than_a_piece_are_all_there_once(world: World) -> None:
    """5,001 rows of few moments: pieces end inside a moment."""
    base = waits()[0]
    world.insert(
        "offcputime",
        [base | {"time": NOON + i % 3 * SECOND, "pid": i} for i in range(5001)],
    )
    for order in ("time", "-time", "pid", "-process"):
        lines = rows(world, "ndjson", order=order).text.splitlines()
        assert sorted(json.loads(line)["pid"] for line in lines) == list(range(5001))
    assert len(rows(world, "csv", limit="4500").text.splitlines()) == 4501
    listed = world.post("/api", json={"offcputime": {"elements": ["pid"]}}).json()["offcputime"]
    assert len(listed) == 5001


def test_a_series_may_have_any_name(world: World) -> None:
    """Processes called `time` and `other` lose nothing beside the moment and the rest."""
    base = waits()[0]
    names = {"time": 4, "other": 3, "x": 2, "y": 1}
    world.insert(
        "offcputime", [base | {"process": name, "elapsed": of} for name, of in names.items()]
    )
    path = "/api/v1/timeseries/offcputime"
    params = DAY | {"n": "2", "points": "1", "by": "process"}
    lines = world.get(path, params=params | {"format": "ndjson"}).text.splitlines()
    rows = [json.loads(line) for line in lines]
    found = {(row["series"], row["rest"]): row["value"] for row in rows}
    assert found == {("time", False): 4, ("other", False): 3, ("other", True): 3}
    text = world.get(path, params=params | {"format": "csv"}).text
    table = [line.split(",")[1:] for line in text.splitlines()[1:]]
    assert table == [[row["series"], str(row["value"]), str(row["rest"]).lower()] for row in rows]


def test_a_frame_named_as_the_root_keeps_its_name(world: World) -> None:
    """`all` is a good name for a process and a function; the root of 2016 is another node."""
    world.insert("offcputime", [waits()[0] | {"process": "all", "stack": "all;main"}])
    tree = json.loads(export(world, "tree").content)
    asked = {"offcputime": {"elements": ["stack", "elapsed"], "format": "flamegraph"}}
    seed = world.post("/api", json=asked).json()
    assert [tree["name"], tree["children"][0]["name"]] == ["all", "all"]
    assert [seed["name"], seed["children"][0]["name"]] == ["root", "all"]


@pytest.mark.parametrize(
    ("question", "header"),
    [
        ("timeseries", "time,series,value,rest"),
        ("heatmap", "time,lower,events,microseconds"),
        ("histogram", "lower,upper,events"),
        ("top", "process,elapsed,share,rows"),
        ("compare", "frame,level,value,base_value,delta"),
        ("hosts", "host,group,distance,total,events,frames"),
        ("values/process", "value,rows,amount"),
    ],
)
def test_every_question_has_a_table(client: World, question: str, header: str) -> None:
    """As CSV with its columns named, and as NDJSON with as many lines."""
    name, _, column = question.partition("/")
    path = f"/api/v1/{name}/offcputime" + (f"/{column}" if column else "")
    text = client.get(path, params=DAY | {"format": "csv"}).text
    assert text.splitlines()[0] == header
    lines = client.get(path, params=DAY | {"format": "ndjson"}).text.splitlines()
    assert len(lines) == len(list(csv.reader(io.StringIO(text)))) - 1 > 0
    keys: Any = [list(json.loads(line)) for line in lines]
    assert keys == [re.split(",", header)] * len(lines)


FORMULAS = (
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "-5",
    "'=1",
    "''+1",
)
HARMLESS = ("a=b", "1-2", "'quoted'", "[k]", "", "it's")


def test_a_cell_is_no_formula(world: World) -> None:
    """In every table of every question; the text comes back by taking one apostrophe away."""
    texts = [*FORMULAS, *HARMLESS]
    base = {"time": NOON, "hostname": "web-1", "pid": -5, "elapsed": 3, "count": 1}
    world.insert(
        "offcputime", [base | {"process": text, "stack": text, "reason": ""} for text in texts]
    )
    for question, column in (
        ("rows/offcputime", "process"),
        ("top/offcputime?by=process&n=100", "process"),
        ("timeseries/offcputime?by=process&n=100&points=1", "series"),
        ("values/offcputime/process?n=100", "value"),
        ("compare/offcputime?base.any=pid", "frame"),
    ):
        path, _, query = question.partition("?")
        given = dict(each.split("=") for each in query.split("&") if each)
        text = world.get(f"/api/v1/{path}", params=DAY | given | {"format": "csv"}).text
        cells = {row[column] for row in csv.DictReader(io.StringIO(text, newline=""))}
        for formula in FORMULAS:
            assert f"'{formula}" in cells, (question, formula, cells)
        assert {
            each for each in cells if each.lstrip("' ")[:1] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
        } <= {
            "",
            *(f"'{formula}" for formula in FORMULAS),
        }
        assert {"a=b", "1-2", "'quoted'", "it's"} <= cells


def test_a_negative_number_stays_a_number(world: World) -> None:
    """As a column of numbers, and as a group of such a column."""
    base = {"time": NOON, "hostname": "web-1", "process": "x", "pid": -5, "stack": "", "elapsed": 3}
    world.insert("offcputime", [base | {"count": 1, "reason": ""}])
    for question in ("rows/offcputime", "top/offcputime", "timeseries/offcputime"):
        params = DAY | {"format": "csv"} | ({} if question.startswith("rows") else {"by": "pid"})
        text = world.get(f"/api/v1/{question}", params=params).text
        assert "-5" in text.replace("\r\n", ",").split(","), (question, text)
    values = world.get("/api/v1/values/offcputime/pid", params=DAY | {"format": "csv"}).text
    assert values == "value,rows,amount\r\n-5,1,3\r\n"
