"""Grafana's dashboards show what the read API answers, of rows and of sums whose rows are gone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kscope.declare.model import Catalog
from kscope.generate.render import render
from kscope.query.parse.timerange import iso
from kscope.store.housekeeping.loop import retain, roll_up
from tests.databases import ClickHouseDatabase, MariaDBDatabase, SQLiteFile
from tests.grafana import Dashboard, View, address, columns, dashboards, nodes
from tests.query.world import NOON, ROOT, SECOND, World, catalog
from tests.serving import serving
from tests.store.opened import category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import httpx

    from kscope.declare.model import Chart
    from tests.serving import Serving

HOUR, DAY = 3600, 86400
HOSTS = ("web-001", "web-002", "it's \\ a host")
START = NOON // SECOND
# When buckets were closed: rows of the first days are in sums of hours and days only.
CLOSED = 20 * DAY
MINE = """\
table: mine
columns:
  - {name: process, type: string}
  - {name: direct, type: bool}
  - {name: peer, type: ip}
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed}
  - {name: busy, type: float, unit: "%"}
  - {name: n, type: count}
charts:
  - {kind: timeseries, value: elapsed, by: process}
  - {kind: timeseries, value: elapsed}
  - {kind: timeseries, by: hostname}
  - {kind: timeseries, value: elapsed, by: direct, aggregate: avg}
  - {kind: timeseries, value: busy, by: direct, aggregate: max}
  - {kind: timeseries, value: elapsed, by: process, aggregate: count}
  - {kind: top, value: elapsed, by: process, aggregate: avg}
  - {kind: top, value: elapsed, by: peer}
  - {kind: top, value: elapsed, by: direct}
  - {kind: top, by: hostname}
  - {kind: top, value: elapsed, by: process, aggregate: min}
  - {kind: flamegraph, stack: stack, value: elapsed}
  - {kind: flamegraph, stack: stack, by: process}
retention: 14d
rollup: {1h: 90d, 1d: 2y}
"""
# Of all times; in removed hours, which are widened; of removed days and rows that are left; of rows
# that are in no sums yet; of a day without rows.
VIEWS = {
    "all": View(START - HOUR, START + 21 * DAY, DAY),
    "removed": View(START + 1800, START + 5400, 60),
    "cut": View(START + 3 * HOUR + 7, START + CLOSED + 90, HOUR),
    "new": View(START + CLOSED - 600, START + CLOSED + HOUR, 60),
    "nothing": View(START + 30 * DAY, START + 31 * DAY, 300),
}


def rows(of: str, moments: list[int]) -> list[dict[str, Any]]:
    """More groups than have a line, names that SQL and folded stacks have to care for."""
    found = []
    for at, moment in enumerate(moments):
        number = at % 13
        shared = {
            "time": NOON + moment * SECOND + at,
            "hostname": HOSTS[at % 3],
            "process": ("a;b", "main!", "it's \\", "other", "-x")[number]
            if number < 5
            else f"p{number}",
            "stack": ("main;work hard;x", "main;work;hot", "main;work", "", "main!;x")[at % 5],
            "elapsed": 100 + at * 7,
        }
        own: dict[str, Any] = {"direct": at % 2 == 0, "peer": f"10.0.0.{at % 4}", "busy": at / 8}
        if of == "offcputime":
            own = {"pid": at, "reason": "blocked", "count": 1 + at % 3, "lengths": [0, 1]}
        found.append(shared | (own | {"n": 1 + at % 4} if of == "mine" else own))
    return found


OLD = [hour * HOUR + 60 * at for hour in (0, 1, 5, 30, 100) for at in range(8)]
LEFT = [day * DAY + 977 * at for day in (8, 13, 19) for at in range(20)]
LATE = [13 * DAY + 5, 19 * DAY + 999]
NEW = [CLOSED - 30, *(CLOSED + 60 * at for at in range(20))]
# Of all of them.
ELAPSED = sum(
    row["elapsed"] for each in ([*OLD, *LEFT], [*LATE, *NEW]) for row in rows("mine", each)
)


def filled(world: World) -> World:
    """Rows of many days, then their sums, then rows that are late or new."""
    world.adopt(Catalog((*catalog(), category(MINE, "mine/mine.yaml"))))
    for moments in ([*OLD, *LEFT], [*LATE, *NEW]):
        for of in ("offcputime", "mine"):
            world.insert(of, sorted(rows(of, moments), key=lambda row: str(row["hostname"])))
        if moments[0] == OLD[0]:
            world.run(roll_up(world.store, NOON + CLOSED * SECOND))
            assert world.run(retain(world.store, NOON + CLOSED * SECOND)) > 0
    return world


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("clickhouse", marks=pytest.mark.clickhouse),
    ],
)
def aged(request: pytest.FixtureRequest) -> Iterator[World]:
    """Yield a database whose rows are partly in sums only."""
    server: Any = request.getfixturevalue("mariadb" if request.param == "mysql" else "clickhouse")
    of = MariaDBDatabase if request.param == "mysql" else ClickHouseDatabase
    world = World(of(server, server.new_database()))
    try:
        yield filled(world)
    finally:
        world.close()


def boards(of: Catalog, folder: str) -> dict[str, Dashboard]:
    files = render(Catalog(tuple(each for each in of if each.table in ("offcputime", "mine"))))
    prefix = f"grafana/generated/{folder}/"
    return {
        name.removeprefix(prefix).removesuffix(".json"): Dashboard(json.loads(text))
        for name, text in files.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class Expected:
    """The answers of the read API to the questions of a dashboard's charts."""

    get: Callable[[str, dict[str, str]], httpx.Response]
    table: str
    view: View
    hosts: Sequence[str] = ()

    def answer(self, question: str, chart: Chart, **more: str) -> dict[str, Any]:
        given = {name: getattr(chart, name) for name in ("stack", "aggregate")}
        params = {name: value for name, value in given.items() if value} | more
        params |= {"value": chart.value or "rows", "by": chart.by}
        params |= {"from": iso(self.view.since * SECOND), "to": iso(self.view.until * SECOND)}
        params |= {"hostname__in": json.dumps(self.hosts)} if self.hosts else {}
        response = self.get(f"/api/v1/{question}/{self.table}", params)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def check(self, chart: Chart, panel: dict[str, Any], shown: list[list[Any]]) -> None:
        """Compare a panel's rows, in the order of its columns."""
        place = (self.table, panel["title"], self.view)
        if panel["type"] == "flamegraph":
            expected = tree(self.answer("flamegraph", chart))
            got = {path: [value, own] for path, value, own in nodes([tuple(row) for row in shown])}
            # Without rows SQL has no root either.
            assert got == expected or (not got and [*expected.values()] == [[0, 0]]), place
        elif panel["type"] == "table":
            entries = self.answer("top", chart, n="100")["entries"]
            ranked = {entry["key"][0]: entry["value"] for entry in entries}
            assert dict(shown) == pytest.approx(ranked), place
        else:
            assert [row[0] for row in shown] == sorted(row[0] for row in shown), place
            found = self.answer("timeseries", chart, n="10")
            assert totals(found["aggregate"], shown) == listed(found), place


def tree(found: dict[str, Any]) -> dict[tuple[str, ...], list[float]]:
    """Return path -> value and self of the API's flame graph; SQL has `:` for a name's `;`."""
    names = [found["names"][name].replace(";", ":") for name in found["name"]]
    rows = list(zip(names, found["level"], found["value"], found["self"], strict=True))
    return {path: [value, own] for path, value, own in nodes(rows)}


def listed(found: dict[str, Any]) -> Any:
    rows = [
        (0, *([each["name"]] if found["by"] else []), value)
        for each in found["series"]
        for value in each["values"]
    ]
    return pytest.approx(totals(found["aggregate"], rows))


def totals(aggregate: str, rows: Iterable[Sequence[Any]]) -> dict[str, float]:
    """Return what is the same for any steps: the sums of the groups, or their greatest values.

    Of means it is only which groups there are.
    """
    found: dict[str, float] = {}
    for _, *name, value in rows:
        if value:
            before = found.get("".join(name), 0)
            adds = aggregate in ("sum", "count")
            found["".join(name)] = before + value if adds else max(before, value)
    return dict.fromkeys(found, 1) if aggregate == "avg" else found


def charts(of: Catalog, table: str) -> list[Chart]:
    found = of.get(table)
    assert found is not None
    return [chart for chart in found.charts if chart.kind not in ("heatmap", "histogram")]


def read(world: World, text: str) -> list[list[Any]]:
    """Return the rows of a statement; both clients escape texts."""
    return [
        [
            float(value) if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value) else unescaped(value)
            for value in row
        ]
        for row in world.database.rows(text)
    ]


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def test_panels_of_sql_show_what_the_api_answers(aged: World) -> None:
    """For each chart and range: each row counts once, whether it is in sums only, in sums and rows,
    late, or in rows only.
    """
    for table, board in boards(aged.catalog, aged.database.name).items():
        for name, view in VIEWS.items():
            expected = Expected(aged.get, table, view)
            for chart, (panel, text) in zip(
                charts(aged.catalog, table), board.sql(view), strict=True
            ):
                shown = read(aged, text)
                expected.check(chart, panel, shown)
                if name == "all" and panel["type"] == "flamegraph" and chart.value == "elapsed":
                    assert shown[0][:3] == ["all", 0, ELAPSED]


def test_hosts_are_chosen_by_number(aged: World) -> None:
    """No name can change a statement; those of the range are offered, also of sums alone."""
    for table, board in boards(aged.catalog, aged.database.name).items():
        for view in (VIEWS["all"], VIEWS["removed"]):
            rows = aged.database.rows(board.hosts(view))
            numbers = {unescaped(name): number for number, name in rows}
            assert numbers.keys() == {*HOSTS}
            assert [unescaped(name) for _, name in rows] == sorted(HOSTS)
        view = replace(VIEWS["cut"], hosts=[numbers[each] for each in HOSTS[1:]])
        expected = Expected(aged.get, table, view, HOSTS[1:])
        for chart, (panel, text) in zip(charts(aged.catalog, table), board.sql(view), strict=True):
            expected.check(chart, panel, read(aged, text))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with the same rows and sums, in SQLite."""
    folder = tmp_path_factory.mktemp("grafana")
    (folder / "mine").mkdir()
    (folder / "mine/mine.yaml").write_text(MINE)
    world = World(SQLiteFile(folder / "kernelscope.db"))
    try:
        filled(world)
    finally:
        world.close()
    config = folder / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\n")
    with serving(folder, "--config", config, "--sqlite", folder / "kernelscope.db") as running:
        yield running


@pytest.mark.parametrize("hosts", [(), HOSTS[1:]], ids=["all hosts", "two hosts"])
def test_panels_of_the_api_show_what_it_answers(server: Serving, hosts: tuple[str, ...]) -> None:
    """By HTTP, as Grafana's Infinity sends it and reads the answer."""
    of = Catalog((*catalog(), category(MINE, "mine/mine.yaml")))
    for table, board in boards(of, "api").items():
        for name, shown_at in VIEWS.items():
            view = replace(shown_at, hosts=hosts)
            expected = Expected(partial(get, server), table, view, hosts)
            for chart, panel in panels_of(board, charts(of, table)):
                (query,) = panel["targets"]
                found = columns(query, get(server, *address(board, query, view)))
                if "compare" in query["url"]:
                    check_sides(expected, chart, found)
                    continue
                expected.check(chart, panel, cells(found))
                if name == "all" and not hosts and chart.kind == "flamegraph" and chart.value:
                    assert found[0]["value"] == ELAPSED


def panels_of(board: Dashboard, drawn: Sequence[Chart]) -> Iterator[tuple[Chart, dict[str, Any]]]:
    """Yield each panel with its chart; a flame graph's comes again, with the range before."""
    titles = {chart.title: chart for chart in drawn}
    for panel in board.panels:
        yield titles[panel["title"].removesuffix(", compared with the range before")], panel


def get(server: Serving, path: str, params: dict[str, str]) -> httpx.Response:
    return server.get(path, **params)


def cells(found: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the rows in the order of SQL's columns; a flame graph's names as SQL has them."""
    order = ("time", "metric", "label", "level", "value", "self")
    rows = [
        {**row, "label": row["label"].replace(";", ":")} if "label" in row else row for row in found
    ]
    return [[row[name] for name in order if name in row] for row in rows]


def check_sides(expected: Expected, chart: Chart, found: list[dict[str, Any]]) -> None:
    """The base is on the left, this range on the right; both are trees of the same nodes."""
    answer = expected.answer("compare", chart)
    sides = (
        ("value", "self", "base_value", "base_self"),
        ("valueRight", "selfRight", "value", "self"),
    )
    for value, own, *columns_ in sides:
        rows = [(row["label"], row["level"], row[value], row[own]) for row in found]
        got = [[value, own] for _, value, own in nodes(rows)]
        assert got == [
            list(each) for each in zip(*(answer[name] for name in columns_), strict=True)
        ]


def test_hosts_of_the_api_are_offered_by_name(server: Serving) -> None:
    for board in boards(Catalog((*catalog(), category(MINE, "mine/mine.yaml"))), "api").values():
        query = board.variable["query"]["infinityQuery"]
        found = columns(query, get(server, *address(board, query, VIEWS["removed"])))
        assert {row["hostname"] for row in found} == {*HOSTS}


def test_every_query_of_the_dashboards_of_the_api_is_answered(server: Serving) -> None:
    """Those of the built-in categories, unions as well."""
    found = dashboards(ROOT / "grafana/generated/api")
    assert {"offcputime", "wallclock"} <= found.keys()
    for board in found.values():
        variable = board.variable["query"]["infinityQuery"]
        for query in (variable, *(panel["targets"][0] for panel in board.panels)):
            answer = get(server, *address(board, query, VIEWS["cut"]))
            assert answer.status_code == 200, (query, answer.text)
            columns(query, answer)


def test_what_is_provisioned_is_what_dashboards_choose() -> None:
    """Each data source of the example has dashboards, and each folder of them a data source."""
    sources = yaml.safe_load((ROOT / "packaging/grafana/datasources.yaml").read_text())
    plugins = [each["type"] for each in sources["datasources"]]
    chosen = []
    for folder in ("mysql", "clickhouse", "api"):
        found = dashboards(ROOT / "grafana/generated" / folder).values()
        (plugin,) = {board.found["templating"]["list"][0]["query"] for board in found}
        chosen.append(plugin)
        assert {panel["datasource"]["type"] for board in found for panel in board.panels} == {
            plugin
        }
    assert plugins == chosen
    uids = [
        json.loads(path.read_text())["uid"] for path in (ROOT / "grafana/generated").rglob("*.json")
    ]
    assert len({*uids}) == len(uids)
    assert yaml.safe_load((ROOT / "packaging/grafana/dashboards.yaml").read_text())["providers"]
