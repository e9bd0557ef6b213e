"""Every chart of every category shows what it declares: its value, its unit, its groups."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.generate.render import render
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = (
    (),
    ("count",),
    ("elapsed",),
    ("elapsed", "count"),
    ("count", "bytes", "elapsed"),
    ("float",),
    ("float", "count"),
    ("count", "count"),
)
GROUPS = ((), ("string",), ("label",), ("string", "label"), ("bool", "string"), ("ip",))
SAMPLE: dict[str, Any] = {
    "string": "s", "label": "l", "bool": True, "ip": "10.0.0.1", "count": 2, "elapsed": 500,
    "bytes": 7000, "float": 0.5, "histogram": [1, 2], "stack": "main;work",
}  # fmt: skip
ROWS = 3
CHARTS = """\
charts:
  - {kind: timeseries}
  - {kind: top}
  - {kind: top, value: rows, title: Told}
  - {kind: flamegraph, stack: stack0}
  - {kind: flamegraph, stack: stack1, value: rows}
  - {kind: heatmap, value: histogram0}
  - {kind: histogram, value: histogram0}
  - {kind: timeseries, value: histogram0, aggregate: p99}
  - {kind: top, aggregate: count}
"""
GRAFANA = {"us": "µs", "bytes": "bytes", "widgets": "suffix: widgets"}


def made_up() -> Iterator[tuple[str, list[str], str]]:
    """Yield a table, its columns' types and its charts, if it declares any."""
    for at, (values, groups) in enumerate(itertools.product(VALUES, GROUPS)):
        types = [*groups, *values, "histogram", "stack", "stack"]
        yield f"derived{at}", types, ""
        yield f"declared{at}", types, CHARTS


def columns(types: list[str]) -> list[tuple[str, str]]:
    """Name the columns by type and number."""
    return [(f"{kind}{types[:at].count(kind)}", kind) for at, kind in enumerate(types)]


def declaration(table: str, types: list[str], charts: str) -> str:
    unit = {"float": ", unit: widgets"}
    lines = [
        f"  - {{name: {name}, type: {kind}, prettyname: The {name}{unit.get(kind, '')}}}\n"
        for name, kind in columns(types)
    ]
    return f"table: {table}\ncolumns:\n{''.join(lines)}{charts}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("charts") / "mine"
    made.mkdir()
    for table, types, charts in made_up():
        (made / f"{table}.yaml").write_text(declaration(table, types, charts))
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    config = folder.parent / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\n")
    with serving(folder.parent, "--config", config) as running:
        for table, types, _ in made_up():
            row = {name: SAMPLE[kind] for name, kind in columns(types)}
            running.post({"hostname": "web-001", table: [row] * ROWS})
        yield running


def declared(server: Serving) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield each category with each of its charts, as the page reads and draws it."""
    for category in server.get("/api/v1/categories").json()["categories"]:
        charts = server.get(f"/api/v1/charts/{category['table']}").json()["charts"]
        assert len(charts) == len(category["charts"])
        for chart, drawn in zip(category["charts"], charts, strict=True):
            yield category, chart, drawn


def question_of(drawn: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the question that a chart asks, and its parameters."""
    parameters = dict(drawn["query"])
    return parameters.pop("question"), parameters


def test_each_answer_has_the_value_and_the_unit_that_its_chart_declares(server: Serving) -> None:
    """So does the answer to a question without parameters, for the first chart of its kind."""
    seen: set[tuple[str, str]] = set()
    for category, chart, drawn in declared(server):
        place = (category["table"], chart["kind"])
        assert (drawn["title"], drawn["unit"]) == (chart["title"], chart["unit"]), place
        question, asked = question_of(drawn)
        questions = [asked]
        questions += [{}] if place not in seen else []
        seen.add(place)
        for parameters in questions:
            answer = server.get(f"/api/v1/{question}/{category['table']}", **parameters).json()
            assert answer["value_column"] == chart["value"], place
            assert answer["unit"] == chart["unit"], place
            if "aggregate" in chart and parameters:
                assert answer["aggregate"] == chart["aggregate"], place
            if "by" in answer:
                by = answer["by"] if isinstance(answer["by"], list) else [answer["by"]]
                assert [name for name in by if name] == [
                    name for name in [chart.get("by")] if name
                ], place


def test_a_title_that_nobody_wrote_names_the_value(server: Serving) -> None:
    for category, chart, _ in declared(server):
        if category["table"].startswith(("derived", "declared")) and chart["title"] != "Told":
            names = {column["name"]: column["prettyname"] for column in category["columns"]}
            assert names.get(chart["value"], "Rows") in chart["title"]
            if "by" in chart:
                assert chart["title"].endswith(f"by {names[chart['by']].lower()}")


def test_what_counts_rows_counts_rows(server: Serving) -> None:
    """Though the rows have values that could be summed."""
    for table, types, charts in made_up():
        for value in ("rows", *(name for name, kind in columns(types) if kind == "elapsed")):
            answer = server.get(f"/api/v1/top/{table}", value=value).json()
            assert answer["total"] == ROWS * (1 if value == "rows" else SAMPLE["elapsed"])
        if charts:
            assert server.get(f"/api/v1/top/{table}").json()["total"] == ROWS
            assert server.get(f"/api/v1/flamegraph/{table}").json()["total"] == ROWS


def test_groups_are_a_label_or_else_a_string(server: Serving) -> None:
    """Default charts, and rankings without declared groups, choose their groups."""
    for table, types, _ in made_up():
        first = {kind: name for name, kind in reversed(columns(types))}
        expected = first.get("label") or first.get("string")
        answer = server.get(f"/api/v1/top/{table}").json()
        assert answer["by"] == [expected or "hostname"], table
    for _, chart, _ in declared(server):
        if chart["kind"] == "top":
            assert chart["by"]


def test_a_ranking_of_opened_files_counts_them(server: Serving) -> None:
    """Files by error are not summed by the time that they took."""
    row = {"process": "cat", "pid": 1, "path": "/x", "access": "read", "elapsed": 700}
    server.post({"hostname": "web-001", "opensnoop": [{**row, "error": "ENOENT"}] * 4})
    answer = server.get("/api/v1/top/opensnoop", by="error").json()
    assert (answer["value_column"], answer["unit"], answer["total"]) == ("rows", "rows", 4)


def test_grafana_sums_what_the_page_sums(folder: Path) -> None:
    """Each panel's query has the value of its chart, and the panel its unit.

    A union has no table in SQL, so its only dashboard is that of the API.
    """
    catalog = load_catalog(["builtin", folder])
    files = render(catalog)
    for category, source in itertools.product(catalog, ("mysql", "clickhouse", "api")):
        name = f"grafana/generated/{source}/{category.table}.json"
        if category.union and source != "api":
            assert name not in files
            continue
        charts = [
            each
            for each in category.charts
            if each.kind not in ("heatmap", "histogram")
            and (each.aggregate != "p99" or source == "api")
        ]
        panels = [
            panel
            for panel in json.loads(files[name])["panels"]
            if not panel["title"].endswith("compared with the range before")
        ]
        for chart, panel in zip(charts, panels, strict=True) if charts else ():
            (target,) = panel["targets"]
            column = category.column(chart.value)
            if source == "api":
                params = {each["key"]: each["value"] for each in target["url_options"]["params"]}
                assert params["value"] == (chart.value or "rows")
            else:
                sql = target["rawSql"].replace("`", "")
                summed = f"(kscope_rows.{chart.value}" if column else "count(*)"
                assert summed in sql, (category.table, chart)
            assert panel["title"] == chart.title
            unit = panel["fieldConfig"]["defaults"]["unit"]
            if column and column.unit in GRAFANA:
                assert unit == GRAFANA[column.unit]
            if column is None:
                assert unit == "short"


WAITS = """\
table: waits
columns:
  - {name: process, type: string, prettyname: Process}
  - {name: elapsed, type: elapsed, prettyname: Waited}
  - {name: n, type: count}
charts:
  - {kind: timeseries, value: elapsed, aggregate: max, by: process}
  - {kind: top, value: elapsed, aggregate: avg, by: process}
  - {kind: top, value: elapsed, aggregate: p99, by: process}
  - {kind: top, value: elapsed, aggregate: count, by: process}
"""


def test_a_chart_shows_the_aggregate_that_it_declares(tmp_path: Path) -> None:
    """In its title, its question, its answer, and a question without parameters; the database keeps
    it after the file is gone.
    """
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "waits.yaml").write_text(WAITS)
    rows = [{"process": "p", "elapsed": us, "n": n} for us, n in ((10, 1), (60, 2))]
    with serving(tmp_path, "--categories", folder) as server:
        server.post({"hostname": "h", "waits": rows})
        before = server.get("/api/v1/charts/waits").json()["charts"]
        titles = [chart["title"] for chart in before]
        assert titles[:2] == ["Waited (max) over time, by process", "Most Waited (avg), by process"]
        questions = [question_of(chart) for chart in before]
        asked = [server.get(f"/api/v1/{name}/waits", **given).json() for name, given in questions]
        assert [answer["aggregate"] for answer in asked] == ["max", "avg", "p99", "count"]
        assert [answer["unit"] for answer in asked] == ["us", "us", "us", "events"]
        assert max(value for value in asked[0]["series"][0]["values"] if value) == 30
        assert asked[1]["entries"][0]["value"] == pytest.approx(70 / 3)
        assert asked[3]["entries"][0]["value"] == 3
        assert server.get("/api/v1/timeseries/waits").json()["aggregate"] == "max"
        assert server.get("/api/v1/timeseries/waits", value="elapsed").json()["aggregate"] == "sum"
    (folder / "waits.yaml").write_text("table: waits\ncolumns: 5\n")
    with serving(tmp_path, "--categories", folder) as server:
        assert server.get("/api/v1/charts/waits").json()["charts"] == before
