"""Every number that the page shows, against the rows behind it.

The rows are made up, one set for each category from its columns; they are read back through
`/api/v1/rows` and summed here.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.shown import legend, wait_for
from tests.page.test_charts import HANDOFF, UNITS, WRITTEN
from tests.page.written import SCALES, at_once, percent, quantity
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playwright.sync_api import Page

    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Several values of several units, a count, a label, two stacks, charts that count rows.
MIXED = """\
table: mixed
prettyname: Mixed
columns:
  - {name: process, type: string, prettyname: Process}
  - {name: kind, type: label, prettyname: Kind}
  - {name: stack, type: stack, prettyname: Stack}
  - {name: other_stack, type: stack, prettyname: Other stack}
  - {name: took, type: elapsed, prettyname: Took}
  - {name: spun, type: float, unit: ns, prettyname: Spun}
  - {name: size, type: bytes, prettyname: Size}
  - {name: level, type: float, unit: "%", prettyname: Level}
  - {name: sizes, type: histogram, unit: bytes, prettyname: Sizes}
charts:
  - {kind: flamegraph, stack: stack, value: took, by: kind}
  - {kind: flamegraph, stack: other_stack}
  - {kind: timeseries, value: size, by: process}
  - {kind: timeseries, by: kind}
  - {kind: timeseries, value: level}
  - {kind: heatmap, value: took}
  - {kind: heatmap, value: sizes}
  - {kind: histogram, value: took}
  - {kind: top, by: kind}
  - {kind: top, value: size, by: process}
"""
MADE_UP = {"handoff": HANDOFF, "units": UNITS, "mixed": MIXED}
BUILT_IN = [
    *("agent", "biolatency", "biosnoop", "execsnoop", "exitsnoop", "hardirqs", "killsnoop"),
    *("marker", "offcputime", "offwaketime", "oomkill", "opensnoop", "pagefaults", "pressure"),
    *("profile", "runqlat", "softirqs", "syscalls", "tcplife", "tcpretrans", "wakeuptime"),
]
STACKS = [
    "main;work;write_[k]",
    "main;work;work;read_[k]",
    "worker_main;work",
    "start;main;main_loop",
    "process0;wait [libc.so.6]",
]
MINUTES = 20
# The timeline's own question; charts below it ask for fewer points, whose bins are larger.
TIMELINE = re.compile(r"/timeseries/.*&points=120$")


@dataclass(frozen=True)
class World:
    server: Serving
    end: datetime

    @property
    def range(self) -> dict[str, str]:
        start = self.end - timedelta(minutes=MINUTES + 5)
        return {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{self.end:%Y-%m-%dT%H:%M:%SZ}"}

    def category(self, table: str) -> dict[str, Any]:
        found = self.server.get("/api/v1/categories").json()["categories"]
        return next(one for one in found if one["table"] == table)

    def rows(self, table: str) -> list[dict[str, Any]]:
        answer = self.server.get(f"/api/v1/rows/{table}", limit=1000, **self.range).json()
        assert answer["next"] is None
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


@pytest.fixture(scope="module")
def world(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    del built_page
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "mine").mkdir()
    for table, text in MADE_UP.items():
        (folder / f"mine/{table}.yaml").write_text(text)
    with serving(folder, "--categories", folder / "mine") as started:
        end = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        made = World(started, end)
        for table in (*BUILT_IN, *MADE_UP):
            _fill(made, made.category(table))
        yield made


def _fill(world: World, category: dict[str, Any]) -> None:
    chance = random.Random(category["table"])
    own = [one for one in category["columns"] if one["name"] not in ("time", "hostname")]
    for k, host in enumerate(("web-1", "web-2")):
        rows = []
        for minute in range(1, MINUTES):
            for _ in range(1 + (minute + k) % 3):
                time = world.end - timedelta(minutes=minute, seconds=chance.randrange(50))
                row = {one["name"]: _value(one, chance, time) for one in own}
                rows.append(row | {"time": time.isoformat()})
        body = {"hostname": host, "time": rows[0]["time"], category["table"]: rows}
        world.server.post(body)


def _value(column: dict[str, Any], chance: random.Random, time: datetime) -> Any:
    name, kind = column["name"], column["type"]
    made = {
        "count": lambda: chance.randrange(1, 2000),
        "elapsed": lambda: chance.randrange(1, 3_000_000),
        "bytes": lambda: chance.randrange(1, 50_000_000),
        "int": lambda: chance.randrange(100),
        "float": lambda: round(chance.random() * 90, 3),
        "bool": lambda: chance.random() < 0.5,
        "ip": lambda: f"192.0.2.{chance.randrange(4)}",
        "stack": lambda: chance.choice(STACKS),
        "histogram": lambda: [chance.randrange(5) for _ in range(12)],
        "timestamp": time.isoformat,
    }
    return made.get(kind, lambda: f"{name}{chance.randrange(3)}")()


def _quantity(value: float, unit: str) -> str:
    number = quantity(value, unit)
    return number if unit in SCALES or unit == "%" else f"{number} {unit}"


def _unit(category: dict[str, Any], name: str) -> str:
    column = next((one for one in category["columns"] if one["name"] == name), None)
    return (column["unit"] or column["prettyname"].lower()) if column else "rows"


def _averaged(category: dict[str, Any], name: str) -> bool:
    return any(one["name"] == name and one["type"] == "float" for one in category["columns"])


def _sum(rows: Iterable[dict[str, Any]], name: str) -> float:
    return sum(1 if name == "rows" else row[name] for row in rows)


def _open(page: Page, world: World, table: str, query: str = "") -> None:
    address = "".join(f"&{key}={value}" for key, value in world.range.items())
    page.goto(f"{world.server.read}/?table={table}{address}{query}")


@pytest.mark.parametrize("table", [*BUILT_IN, *MADE_UP])
def test_the_timeline_is_of_the_rows(world: World, page: Page, table: str) -> None:
    """Figures, legend and axis, for each value that can be chosen."""
    category, rows = world.category(table), world.rows(table)
    assert rows
    page.add_init_script(WRITTEN)
    with page.expect_response(TIMELINE) as asked:
        _open(page, world, table)
    by = page.get_by_label("Split by").input_value()
    values = page.get_by_label("Value", exact=True)
    offered = values.locator("option").evaluate_all("all => all.map(one => one.value)")
    first = values.input_value()
    for name in [first, *(one for one in offered if one != first)]:
        if name != first:
            with page.expect_response(TIMELINE) as asked:
                values.select_option(name)
        unit, averaged = _unit(category, name), _averaged(category, name)
        whole = _sum(rows, name) / (len(rows) if averaged else 1)
        _wait_for_figures(page, "mean" if averaged else "sum", whole, unit, len(rows))
        if by != "-":
            _check_legend(page, rows, name, by, unit, averaged=averaged)
        if not averaged:
            _check_axis(page, asked.value.json(), rows, name, unit)


def _check_axis(
    page: Page, answer: dict[str, Any], rows: list[dict[str, Any]], name: str, unit: str
) -> None:
    """Its highest mark is near the highest sum a second, in the unit that it says."""
    bins: Counter[int] = Counter()
    for row in rows:
        at = (row["time"] - answer["times"][0]) // answer["step"]
        bins[at] += 1 if name == "rows" else row[name]
    highest = max(bins.values()) / (answer["step"] / 1e6) * _SECONDS.get(unit, 1)
    # The axis is drawn in the frame after the figures; rows may be drawn wider than a step.
    wait_for(page, lambda: highest / 9 <= _top(_axis(page)) <= highest * 3)


def _axis(page: Page) -> list[str]:
    texts = page.locator(".timeline canvas").evaluate(
        "canvas => (window.written.get(canvas) ?? []).map(one => one.text)"
    )
    return [text for text in texts if re.match(r"[\d.]", text) and not re.search("[:-]", text)]


_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
_TIMES = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "B": 1} | {
    f"{letter}iB": 2 ** (10 * (k + 1)) for k, letter in enumerate("KMGT")
}
_PER = {"/s": 1, "/min": 60, "/h": 3600}


def _top(texts: list[str]) -> float:
    """The highest mark, a second; only that one says its unit."""
    per = next((one for one in _PER if any(text.endswith(one) for text in texts)), "/s")
    return max(map(_number, texts), default=0) / _PER[per]


def _number(text: str) -> float:
    found = re.match(r"([\d.]+) ?([KMGT]iB|[kMGTB]\b)?", text)
    assert found, text
    return float(found[1]) * _TIMES.get(found[2], 1)


def _wait_for_figures(page: Page, what: str, value: float, unit: str, rows: int) -> None:
    near = {_quantity(value * factor, unit) for factor in (1 - 1e-9, 1, 1 + 1e-9)}
    words = "|".join(map(re.escape, near))
    expected = re.compile(rf"^{what} ({words}) . {rows:,} rows$")
    expect(page.locator(".figures")).to_have_text(expected)


def _check_legend(
    page: Page, rows: list[dict[str, Any]], name: str, by: str, unit: str, *, averaged: bool
) -> None:
    groups = defaultdict(list)
    for row in rows:
        groups[str(row[by])].append(row)
    expect(page.locator(".facts .legend > *")).to_have_count(len(groups))
    for text in legend(page, "on average" if averaged else "in all"):
        group, _, words = text.partition(" ")
        some = groups[group]
        value = _sum(some, name) / (len(some) if averaged else 1)
        near = {_quantity(value * factor, unit) for factor in (1 - 1e-9, 1, 1 + 1e-9)}
        assert words in near, (name, text, value)


def _paths(rows: list[dict[str, Any]], stack: str, name: str) -> list[tuple[list[str], float]]:
    return [
        (row[stack].split(";") if row[stack] else [], 1 if name == "rows" else row[name])
        for row in rows
    ]


def _bare(frame: str) -> str:
    return re.sub(r"_\[k\]$| \[[^\]]+\]$", "", frame)


@pytest.mark.parametrize("table", [*BUILT_IN, *MADE_UP])
def test_the_flame_graph_is_of_the_rows(world: World, page: Page, table: str) -> None:
    """Self, total and share of each frame, the root's tooltip, the share of a search."""
    category, rows = world.category(table), world.rows(table)
    charts = [one for one in category["charts"] if one["kind"] == "flamegraph"]
    for k, chart in enumerate(charts):
        name = chart.get("value", "rows")
        group = f"&stack={chart['stack']}&value={name}&group={chart.get('by', '-')}"
        _open(page, world, table, f"{group}&search=%5Emain%24")
        unit, paths = _unit(category, name), _paths(rows, chart["stack"], name)
        whole = sum(value for _, value in paths)
        main = sum(value for path, value in paths if "main" in path)
        expect(page.locator(".matched")).to_have_text(f"{percent(main, whole)} matched")
        # With a search each frame has its own line.
        page.get_by_label("Search frames").fill(".")
        _check_frames(page, paths, unit, whole)
        graph = page.get_by_role("application", name="Flame graph")
        graph.press("ArrowDown")
        said = page.locator(".flame [aria-live]").first
        expect(said).to_contain_text(f"{_told(whole, unit)} ")
        expect(said).to_contain_text("100 % of all")
        if len(charts) > 1:
            expect(page.get_by_label("Flame graph of")).to_have_value(str(k))


def _check_frames(
    page: Page, paths: list[tuple[list[str], float]], unit: str, whole: float
) -> None:
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for path, value in paths:
        own.update({_bare(frame): value for frame in path[-1:]})
        for frame in {_bare(frame) for frame in path}:
            total[frame] += value
    table = page.get_by_role("table", name="Frames")
    expect(table).to_have_attribute("aria-rowcount", str(len(total) + 1))
    shown = table.locator("tbody tr").evaluate_all(
        "all => all.map(row => [row.querySelector('button').ariaLabel,"
        " ...[...row.querySelectorAll('td.number')].map(cell => [cell.innerText, cell.title])])"
    )
    assert {name for name, *_ in shown} == set(total)
    for frame, (self_text, self_share), (total_text, total_share) in shown:
        dash = "\N{EN DASH}"
        assert self_text == (_told(own[frame], unit) if own[frame] else dash), frame
        assert total_text == _told(total[frame], unit), frame
        assert self_share == f"{percent(own[frame], whole)} of all", frame
        assert total_share == f"{percent(total[frame], whole)} of all", frame


TIMES = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}


def _told(value: float, unit: str) -> str:
    """A sum as the flame graph tells it, without the words of a rate: time per time is a number."""
    if unit not in TIMES:
        return _quantity(value, unit)
    return at_once(value * TIMES[unit], (MINUTES + 5) * 60)


@pytest.mark.parametrize("table", [*BUILT_IN, *MADE_UP])
def test_every_chart_is_of_the_rows(world: World, page: Page, table: str) -> None:
    """Return the data of each chart, with its title and unit."""
    category, rows = world.category(table), world.rows(table)
    configs = world.server.get(f"/api/v1/charts/{table}").json()["charts"]
    answers: list[tuple[str, dict[str, Any]]] = []
    pattern = re.compile(r"/api/v1/(top|timeseries|heatmap|histogram)/")
    page.on(
        "response",
        lambda one: answers.append((one.url, one)) if pattern.search(one.url) else None,
    )
    _open(page, world, table, "&view=charts")
    figures = page.locator("figure")
    expect(page.get_by_role("tab", name="Rows")).to_be_visible()
    if page.get_by_role("tab", name="Charts").is_visible():
        expect(figures).not_to_have_count(0)
    page.wait_for_load_state("networkidle")
    captions = figures.locator("figcaption").all_inner_texts()
    by_title = {config["title"]: config for config in configs}
    expect(figures.locator(".plot canvas")).to_have_count(len(captions))
    for title in captions:
        config = by_title[title]
        parameters = dict(config["query"])
        question = parameters.pop("question")
        name = parameters["value"]
        assert config["unit"] == _unit(category, name)
        found = [
            one.json()
            for url, one in answers
            if f"/{question}/" in url
            and all(f"{key}={value}" in url for key, value in parameters.items())
        ]
        assert found, title
        _check_chart(config["kind"], found[-1], rows, name, category)


def _check_chart(
    kind: str,
    answer: dict[str, Any],
    rows: list[dict[str, Any]],
    name: str,
    category: dict[str, Any],
) -> None:
    averaged = _averaged(category, name)
    if kind == "top":
        groups: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            groups[tuple(str(row[by]) for by in answer["by"])] += 1 if name == "rows" else row[name]
        shown = {tuple(one["key"]): one["value"] for one in answer["entries"]}
        assert shown == {key: pytest.approx(groups[key]) for key in shown}
        assert sum(shown.values()) <= sum(groups.values())
    elif kind == "timeseries" and not averaged:
        total = sum(value or 0 for one in answer["series"] for value in one["values"])
        assert total == pytest.approx(_sum(rows, name))
    elif kind in ("heatmap", "histogram"):
        counts = answer["counts"]
        shown_events = sum(map(sum, counts)) if kind == "heatmap" else sum(counts)
        histogram = any(
            one["name"] == name and one["type"] == "histogram" for one in category["columns"]
        )
        count = next((one["name"] for one in category["columns"] if one["type"] == "count"), "rows")
        events = sum(sum(row[name]) for row in rows) if histogram else None
        assert shown_events in (events, len(rows), _sum(rows, count)), name
