"""Categories with several charts of one kind, odd units and long ranges."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.world import minutely, past
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route

    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Two stack columns; two charts of one stack column; and a stack column without a chart.
HANDOFF = """\
table: handoff
prettyname: Who wakes whom
columns:
  - {name: process, type: string, prettyname: Sleeper}
  - {name: sleeper_stack, type: stack, prettyname: Stack of the sleeper}
  - {name: waker_stack, type: stack, prettyname: Stack of the waker}
  - {name: idle_stack, type: stack, prettyname: Stack of nobody}
  - {name: elapsed, type: elapsed, prettyname: Time slept}
  - {name: count, type: count, prettyname: Sleeps, default: 1}
charts:
  - {kind: flamegraph, stack: sleeper_stack, value: elapsed}
  - {kind: flamegraph, stack: waker_stack, value: elapsed}
  - {kind: flamegraph, stack: waker_stack, value: count, by: process, title: Wakes}
  - {kind: timeseries, value: count}
  - {kind: heatmap, value: elapsed}
  - {kind: heatmap, value: count}
  - {kind: top, value: elapsed, by: process}
  - {kind: top, value: count, by: process}
"""
ROW = {
    "process": "reader",
    "sleeper_stack": "main;read;sleep_[k]",
    "waker_stack": "irq;wake_[k]",
    "idle_stack": "idle",
    "elapsed": 5_000,
    "count": 3,
}
UNITS = """\
table: units
columns:
  - {name: process, type: string}
  - {name: spun, type: float, unit: ns, prettyname: Spun}
  - {name: waited, type: float, unit: ms, prettyname: Waited}
  - {name: lived, type: float, unit: s, prettyname: Lived}
  - {name: clock, type: float, unit: Hz, prettyname: Clock}
  - {name: busy, type: float, unit: "%", prettyname: Busy}
  - {name: forced, type: count, prettyname: Forced context switches}
  - {name: got, type: bytes, prettyname: Got}
"""
MEASURED = {
    "process": "spinner",
    "spun": 2_500_000,
    "waited": 90_000,
    "lived": 7_200,
    "clock": 2.4e9,
    "busy": 12.5,
    "forced": 123_456,
    "got": 3_221_225_472,
}


@pytest.fixture(scope="module")
def made_up(
    built_page: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Serving, str]]:
    """A server with the categories above, and the address of an hour of theirs."""
    del built_page
    folder = tmp_path_factory.mktemp("charts")
    (folder / "mine").mkdir()
    (folder / "mine/handoff.yaml").write_text(HANDOFF)
    (folder / "mine/units.yaml").write_text(UNITS)
    with serving(folder, "--categories", folder / "mine") as started:
        end, address = past(3)
        minutely(started, end, "handoff", [ROW])
        minutely(started, end, "units", [MEASURED])
        yield started, address


def _expect_widest(page: Page, frame: str, total: str = "") -> None:
    """The deepest of the widest frames, and its total."""
    row = page.get_by_role("table", name="Frames").locator("tbody tr").first
    expect(row.get_by_role("button", name=frame, exact=True)).to_be_visible()
    if total:
        expect(row.locator("td").last).to_have_text(total)


def test_every_declared_flame_graph_can_be_reached(
    made_up: tuple[Serving, str], page: Page
) -> None:
    """Other stack column, value, grouping; the address keeps the choice, in all its views."""
    server, address = made_up
    page.goto(f"{server.read}/?table=handoff{address}")
    chart = page.get_by_label("Flame graph of")
    expect(chart.locator("option")).to_have_count(4)
    offered = chart.locator("option").all_inner_texts()
    assert len(set(offered)) == 4
    assert offered[2:] == ["Wakes", "Stack of nobody"]
    _expect_widest(page, "sleep", "295 ms")
    chart.select_option(offered[1])
    _expect_widest(page, "wake", "295 ms")
    expect(page).to_have_url(re.compile("stack=waker_stack"))
    chart.select_option("Wakes")
    _expect_widest(page, "wake", "177 sleeps")
    expect(page.locator(".figures")).to_contain_text("sum 177 sleeps")
    expect(page.get_by_label("Group by")).to_have_value("process")
    page.reload()
    expect(chart.locator("option:checked")).to_have_text("Wakes")
    _expect_widest(page, "wake", "177 sleeps")
    page.get_by_role("tab", name="Sandwich").click()
    expect(chart).to_be_visible()
    _expect_widest(page, "wake")
    chart.select_option("Stack of nobody")
    _expect_widest(page, "idle", "295 ms")
    page.get_by_role("tab", name="Rows").click()
    expect(chart).to_be_hidden()
    page.go_back()
    page.go_back()
    _expect_widest(page, "wake")


def test_a_frame_is_filtered_in_its_own_stack_column(
    made_up: tuple[Serving, str], page: Page
) -> None:
    """The second stack column's frames are no frames of the first."""
    server, address = made_up
    page.goto(f"{server.read}/?table=handoff&stack=waker_stack{address}")
    frames = page.get_by_role("table", name="Frames")
    page.get_by_label("Filter the frames of the table").fill("irq")
    frames.get_by_text("irq", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Only stacks through it").click()
    expect(page).to_have_url(re.compile("filter=waker_stack__has=irq"))
    expect(page.locator(".figures")).to_contain_text("59 rows")


def test_every_further_chart_is_drawn(made_up: tuple[Serving, str], page: Page) -> None:
    """A second chart of a kind, and a timeline of another value than the flame graph's."""
    server, address = made_up
    page.goto(f"{server.read}/?table=handoff&view=charts{address}")
    charts = page.locator("figure")
    expect(charts.get_by_role("img")).to_have_count(4)
    titles = charts.locator("figcaption").all_inner_texts()
    assert len(set(titles)) == 4


# The texts that a canvas writes, each with its start and end.
WRITTEN = """
window.written = new Map();
for (const one of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D]) {
    const write = one.prototype.fillText, clear = one.prototype.fillRect;
    one.prototype.fillText = function (text, x, y, ...rest) {
        const width = this.measureText(text).width;
        const shift = {center: width / 2, right: width, end: width}[this.textAlign] ?? 0;
        const at = this.getTransform().transformPoint({x: x - shift, y});
        const right = at.x + width * this.getTransform().a;
        if (!window.written.has(this.canvas)) window.written.set(this.canvas, []);
        window.written.get(this.canvas).push({text, left: at.x, right, y: Math.round(at.y)});
        return write.call(this, text, x, y, ...rest);
    };
    one.prototype.fillRect = function (x, y, width, height) {
        const whole = this.canvas.width <= width * this.getTransform().a + 1;
        if (whole && height * this.getTransform().d >= this.canvas.height - 1)
            window.written.set(this.canvas, []);
        return clear.call(this, x, y, width, height);
    };
}
"""


def _written(canvas: Locator) -> list[dict[str, float | str]]:
    """The texts of the last picture of a canvas."""
    return canvas.evaluate("canvas => window.written.get(canvas) ?? []")


def _readable(canvas: Locator) -> list[str]:
    """The texts; none is cut off, and none touches another on its line."""
    width = canvas.evaluate("canvas => canvas.width")
    found = sorted(_written(canvas), key=lambda one: (one["y"], one["left"]))
    for one in found:
        assert one["left"] >= 0, one
        assert one["right"] <= width + 0.5, one
    for one, other in pairwise(found):
        assert one["y"] != other["y"] or one["right"] < other["left"], (one, other)
    return [str(one["text"]) for one in found]


@pytest.mark.parametrize(
    ("value", "most", "summed"),
    [
        ("spun", "3 ms", "2.5 ms"),
        ("waited", "1 min 30 s", "1 min 30 s"),
        ("lived", "2 h", "2 h"),
        ("clock", "3 GHz", "2.4 GHz"),
        ("busy", "15 %", "12.5 %"),
        ("forced", "3 k/s", "7.28 M forced context switches"),
        ("got", "60 MiB/s", "177 GiB"),
    ],
)
def test_an_axis_says_its_unit_and_is_not_cut_off(
    made_up: tuple[Serving, str], page: Page, *, value: str, most: str, summed: str
) -> None:
    """Its highest mark is round; scaled units stay beside the number, long ones elsewhere."""
    server, address = made_up
    page.add_init_script(WRITTEN)
    page.goto(f"{server.read}/?table=units&value={value}{address}")
    expect(page.locator(".figures")).to_contain_text(f" {summed} ")
    page.wait_for_load_state("networkidle")
    assert most in _readable(page.locator(".timeline canvas"))
    if page.locator(".heatmap").is_visible():
        assert _readable(page.locator(".heatmap canvas"))


RANGES = ["1m", "10m", "3h", "1d", "7d", "45d", "91d", "200d", "400d", "1827d", "36500d"]


@pytest.mark.parametrize(
    ("width", "zone"),
    [
        (420, "UTC"),
        (1440, "America/New_York"),
        (1440, "Pacific/Apia"),
        (2560, "Asia/Kathmandu"),
    ],
)
def test_dates_do_not_touch(fleet: Serving, browser: Browser, *, width: int, zone: str) -> None:
    """From a minute to a hundred years, wide and narrow: several ticks, each readable."""
    context = browser.new_context(viewport={"width": width, "height": 900}, timezone_id=zone)
    page = context.new_page()
    page.add_init_script(WRITTEN)
    for back in RANGES:
        page.goto(f"{fleet.read}/?table=offcputime&zone=local&from=now-{back}&view=rows")
        page.wait_for_load_state("networkidle")
        canvas = page.locator(".heatmap canvas")  # The last one has the dates.
        texts = [text for text in _readable(canvas) if re.match(r"\d{4}$|\d\d[-:]|\d{4}-", text)]
        assert len(texts) >= 2, (back, texts)
        dates = [text for text in texts if ":" not in text]
        assert len(set(dates)) == len(dates), (back, texts)
    context.close()


def test_a_chart_tells_what_is_under_the_pointer(made_up: tuple[Serving, str], page: Page) -> None:
    """Each number in its own unit: a size is no count of events."""
    server, address = made_up
    page.goto(f"{server.read}/?table=handoff&view=charts{address}")
    figure = page.locator("figure").filter(has_text="Most Time slept")
    canvas = figure.locator(".plot canvas")
    expect(canvas).to_be_visible()
    page.wait_for_load_state("networkidle")
    tip = figure.locator(".tip")
    for share in (0.4, 0.5, 0.6):
        canvas.hover(position={"x": 200, "y": 200 * share})
        if tip.is_visible():
            break
    expect(tip).to_have_text("reader295 ms")


def test_the_rest_of_many_groups_is_no_frame(made_up: tuple[Serving, str], page: Page) -> None:
    """The sum of other groups has its own colour and label, and no filter."""
    server, address = made_up

    def with_rest(route: Route) -> None:
        answer = route.fetch().json()
        answer["name"].append(len(answer["names"]))
        answer["names"].append("other")
        answer["level"].append(1)
        for key in ("value", "self"):
            answer[key].append(5_000)
        answer["value"][0] += 5_000
        answer["total"] += 5_000
        answer["count"].append(1)
        answer["count"][0] += 1
        route.fulfill(json=answer | {"rest": 5_000})

    page.route(re.compile("/api/v1/flamegraph/"), with_rest)
    page.goto(f"{server.read}/?table=handoff{address}&search=other")
    frames = page.get_by_role("table", name="Frames")
    expect(frames).to_contain_text("[other groups]")
    expect(page.locator(".legend > .legend")).to_contain_text("many together")
    frames.get_by_text("[other groups]").click(button="right")
    expect(page.get_by_role("menu")).to_have_count(0)
    page.get_by_role("button", name="Next match").click()
    graph = page.get_by_role("application", name="Flame graph")
    expect(page.locator(".flame [aria-live]")).to_contain_text("the sum of all groups")
    graph.press("m")
    items = [text.split("\n")[0] for text in page.get_by_role("menuitem").all_inner_texts()]
    assert items == ["Zoom into it", "Copy stack"]


def test_stacks_over_the_limit_are_marked(made_up: tuple[Serving, str], page: Page) -> None:
    """The banner says how many on which hosts; the frame says what it stands for."""
    server, _ = made_up
    reason = "of rows are under [over the stack limit]: the host had too many new stacks"
    lacks = [
        {"host": f"web-{k}", "column": "row_count", "share": 0.5 / k, "count": 1000 // k}
        | {"reason": reason}
        for k in range(1, 7)
    ]
    body = {"table": "handoff", "agents": 6, "lacks": lacks, "binaries": []}
    page.route(re.compile("/api/v1/quality/"), lambda route: route.fulfill(json=body))
    rows = [ROW | {"sleeper_stack": "[over the stack limit]"}]
    end, other = past(5)
    minutely(server, end, "handoff", rows)
    page.goto(f"{server.read}/?table=handoff{other}")
    banner = page.locator(".notices")
    expect(banner).to_contain_text(f"On web-1: 50 % (1,000) {reason}.")
    expect(banner).to_contain_text("Also on web-2 (25 %, 500), web-3 (16.7 %, 333)")
    expect(banner).to_contain_text("and on 2 more.")
    expect(page.locator(".legend > .legend")).to_contain_text("many together")
    graph = page.get_by_role("application", name="Flame graph")
    graph.press("ArrowDown")
    graph.press("ArrowDown")
    expect(page.locator(".flame [aria-live]")).to_contain_text("the host's limit for the hour")
    expect(page.locator(".notices")).not_to_contain_text("frames without a name")


def test_a_time_that_is_missing_is_an_empty_cell(made_up: tuple[Serving, str], page: Page) -> None:
    """A row need not have a value in every column; its menu offers none to filter by."""
    server, address = made_up

    def without(route: Route) -> None:
        answer = route.fetch().json()
        at = [answer["columns"].index(name) for name in ("time", "process")]
        answer["rows"] = [[None if k in at else one for k, one in enumerate(answer["rows"][0])]]
        route.fulfill(json=answer)

    page.route(re.compile("/api/v1/rows/"), without)
    page.goto(f"{server.read}/?table=units&view=rows{address}")
    rows = page.get_by_role("table", name="Rows").locator("tbody tr:not([aria-hidden])")
    expect(rows).to_have_count(1)
    cells = rows.locator("td").all_inner_texts()
    assert (cells[0], cells[2]) == ("", "")
    rows.locator("td").last.click(button="right")
    expect(page.get_by_role("menuitem")).to_have_text(["Only Host web-001"])
