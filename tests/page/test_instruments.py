"""Timeline and heatmap: drawing, readout, selection and link agree."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.page.recording import has_size, intervals
from tests.page.shown import boxed, chosen, expect_shown, wait_for
from tests.page.written import duration

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "", table: str = "offcputime") -> None:
    page.goto(f"{server.read}/?table={table}{query}")
    expect(page.locator(".figures")).to_contain_text("rows")
    page.wait_for_load_state("networkidle")


def _drag(
    page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Drag between two places, in pixels of the canvas."""
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=3)
    page.mouse.up()


def _picture(canvas: Locator) -> str:
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def test_every_part_of_a_bar_tells_its_rows(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Rows of a minute are drawn as wide as a minute, and all of it answers to the pointer."""
    _open(page, fleet)
    slots, sums = _by_minute(fleet_rows)
    for x in range(700, 740, 4):  # From pixel to pixel over what is more than a minute's width.
        times, sizes, events = _told(page, ".heatmap", x, 50)
        assert re.search(r"\d\d:\d\d:\d\d \S \d\d:\d\d:\d\d UTC", times)
        assert events in {f"{counts[sizes]:,} events" for counts in slots.values()} - {"0 events"}
        times, *told = _told(page, ".timeline", x, 40)
        assert re.search(r"\d\d:\d\d:\d\d \S \d\d:\d\d:\d\d UTC", times)
        assert {line.strip() for line in told} in sums.values()


def _told(page: Page, part: str, x: int, y: int) -> list[str]:
    page.locator(f"{part} canvas").hover(position={"x": x, "y": y})
    return page.locator(f"{part} .tip").inner_text().splitlines()


def _by_minute(rows: list[Row]) -> tuple[dict[str, Counter[str]], dict[str, set[str]]]:
    """Return the expected figures of each minute: waits by size, and sums by process."""
    slots: dict[str, Counter[str]] = {}
    sums: dict[str, Counter[str]] = {}
    for row in rows:
        counts = slots.setdefault(row["time"], Counter())
        for k, count in enumerate(row["lengths"]):
            counts[f"{duration(2**k)} to {duration(2 ** (k + 1))}"] += count
        sums.setdefault(row["time"], Counter())[row["process"]] += row["elapsed"]
    lines = {
        time: {f"{duration(us)}  {process}" for process, us in one.items()}
        for time, one in sums.items()
    }
    return slots, lines


def test_a_narrow_box_holds_the_rows_that_are_drawn_there(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Whichever half of a cell a box begins and ends in, the cell's rows are in it."""
    _open(page, fleet)
    for x in (700, 707, 714):
        _drag(page, page.locator(".heatmap canvas"), (x, 48), (x + 5, 51))
        expect(page).to_have_url(re.compile("box=lengths,"))
        expect_shown(page, boxed(page, fleet_rows))
        page.keyboard.press("Escape")
        expect_shown(page, fleet_rows)


def test_the_timeline_shows_just_the_box(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """Outside of it nothing is drawn or told; its bars are the minutes that they were before."""
    _open(page, fleet)
    whole = _bars(page)
    _drag(page, page.locator(".heatmap canvas"), (603, 2), (660, 100))
    expect(page).to_have_url(re.compile("box=lengths,"))
    expect_shown(page, boxed(page, fleet_rows))
    start, stop, *_ = map(float, page.url.split("box=lengths,")[1].split(","))
    inside = [bar for bar in whole if start / 1e6 <= bar[0] and bar[1] <= stop / 1e6]
    assert 2 <= len(inside) < 5
    assert _bars(page) == inside
    shades = [_shades(page, x) for x in (400, 500, 630, 700, 900)]
    assert [shade > 1 for shade in shades] == [False, False, True, False, False]


def _shades(page: Page, x: int) -> int:
    """How many colours one column of the timeline has."""
    return page.locator(".timeline canvas").evaluate(
        """(canvas, x) => {
            const pixels = canvas.getContext('2d').getImageData(x, 0, 1, canvas.height - 20).data
            return new Set(new Uint32Array(pixels.buffer)).size
        }""",
        x,
    )


def test_a_box_is_left_by_the_timeline(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """For the whole range by a button, for another range by a drag, also outside of the box."""
    _open(page, fleet)
    back = page.get_by_role("button", name="Back to the whole range")
    expect(back).to_be_hidden()
    _drag(page, page.locator(".heatmap canvas"), (603, 2), (660, 100))
    expect(page).to_have_url(re.compile("box=lengths,"))
    page.set_viewport_size({"width": 420, "height": 900})
    expect(back).to_be_in_viewport(ratio=0.9)
    back.click()
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(page).not_to_have_url(re.compile("box="))
    expect_shown(page, fleet_rows)
    expect(back).to_be_hidden()
    page.go_back()
    expect(page).to_have_url(re.compile("box=lengths,"))
    _drag(page, page.locator(".timeline canvas"), (700, 40), (800, 40))
    expect(page).to_have_url(re.compile("from=20"))
    expect(page).not_to_have_url(re.compile("box="))
    expect_shown(page, chosen(page, fleet_rows))


def _bars(page: Page) -> list[tuple[float, float]]:
    """When each bar of the timeline begins and ends, from left to right."""
    canvas = page.locator(".timeline canvas")
    box = canvas.bounding_box()
    assert box
    found = {}
    for x in range(66, int(box["width"]) - 8, 4):
        canvas.hover(position={"x": x, "y": 40})
        told = page.locator(".timeline .tip").inner_text().splitlines()
        if len(told) > 1:
            day, begin, end = re.findall(r"^([\d-]+) ([\d:]+) \S ([\d:]+) UTC", told[0])[0]
            first, last = (datetime.fromisoformat(f"{day}T{one}Z") for one in (begin, end))
            length = (last - first).total_seconds() % 86_400
            found[first.timestamp()] = first.timestamp() + length
    return sorted(found.items())


def test_an_upright_drag_is_a_box_and_no_click(fleet: Serving, page: Page) -> None:
    """One column of all sizes is a box like any other."""
    _open(page, fleet)
    _drag(page, page.locator(".heatmap canvas"), (610, 10), (611, 80))
    expect(page).to_have_url(re.compile("box=lengths,"))


def test_nothing_of_the_pointer_stays_behind(fleet: Serving, page: Page) -> None:
    """The line follows the pointer."""
    _, range_ = world.past(0)
    _open(page, fleet, range_)
    canvas = page.locator(".timeline canvas")
    before = _picture(canvas)
    canvas.hover(position={"x": 400, "y": 30})
    wait_for(page, lambda: _picture(canvas) != before)
    page.mouse.move(5, 5)
    wait_for(page, lambda: _picture(canvas) == before)


def test_a_baseline_of_another_day_shades_nothing(fleet: Serving, page: Page) -> None:
    """The baseline is shaded where it is visible, and only there."""
    _, range_ = world.past(0)
    _open(page, fleet, range_)
    plain = _picture(page.locator(".timeline canvas"))
    _open(page, fleet, f"{range_}&view=compare&base.from=-1d")
    assert _picture(page.locator(".timeline canvas")) == plain
    _open(page, fleet, f"{range_}&view=compare&base.from=same")
    assert _picture(page.locator(".timeline canvas")) != plain


def test_means_are_not_added_up(server: Serving, page: Page) -> None:
    """Three resources that are stalled for 60 % of the time are so for 60 %, not for 180 %."""
    end, range_ = world.past(3)
    rows = [
        {"resource": name, "scope": "some", "share": 60.0, "stalled": 0}
        for name in ("cpu", "io", "memory")
    ]
    world.minutely(server, end, "pressure", rows)
    _open(page, server, range_, "pressure")
    expect(page.locator(".figures")).to_contain_text("mean 60 %")
    expect(page.locator(".timeline .legend")).to_contain_text("memory 60 %")
    page.locator(".timeline canvas").hover(position={"x": 620, "y": 40})
    expect(page.locator(".timeline .tip")).to_contain_text("60 %")


def test_a_box_on_values_is_shared_with_its_column(
    server: Serving, page: Page, browser: Browser
) -> None:
    """Rows without histograms have a heatmap of their mean waits; a link to a box on it holds."""
    end, range_ = world.past(4)
    bare = {key: world.MIXED[key] for key in ("process", "pid", "stack", "elapsed")}
    short = bare | {"elapsed": 100_000, "count": 100, "stack": world.SYNC}
    world.minutely(server, end, "offcputime", [bare, short])
    heatmap = page.get_by_role("region", name="Heatmap")
    _open(page, server, range_)
    expect(heatmap.locator("strong")).to_have_text("Off-CPU time")
    _drag(page, page.locator(".heatmap canvas"), (500, 88), (800, 91))
    expect(page).to_have_url(re.compile("box=elapsed,"))
    other = browser.new_page()
    other.goto(page.url)
    frames = other.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()
    expect(frames.get_by_text("futex_wait", exact=True)).to_be_hidden()
    expect(other.get_by_role("region", name="Heatmap").locator("strong")).to_have_text(
        "Off-CPU time"
    )
    other.close()


def test_the_declared_heatmap_comes_back(server: Serving, page: Page) -> None:
    """A range without rows, or without histograms, says nothing about the next one."""
    end, range_ = world.past(5)
    rows = intervals()[0]
    world.minutely(server, end, "offcputime", rows)
    _, nothing = world.past(6)
    title = page.locator(".heatmap strong")
    _open(page, server, nothing)
    expect(title).to_have_text("Wait lengths")
    page.get_by_role("button", name=re.compile("▾$")).first.click()
    start, stop = re.findall("=([^&]+)", range_)
    page.get_by_label("From", exact=True).fill(start)
    page.get_by_label("To", exact=True).fill(stop)
    page.get_by_role("button", name="Show this range").click()
    expect(page.locator(".figures")).to_contain_text(f"{59 * len(rows):,} rows")
    expect(title).to_have_text("Wait lengths")


def test_rows_of_a_box_are_said_to_be_whole(server: Serving, page: Page) -> None:
    """A row holds all that it sums: a box of its short waits shows its long ones, and says so."""
    end, range_ = world.past(7)
    rows = intervals()[0]
    world.minutely(server, end, "offcputime", rows)
    start, stop = (end.timestamp() - 3600) * 1e6, end.timestamp() * 1e6
    notices = page.locator(".notices")
    _open(page, server, range_)
    expect(notices).not_to_contain_text("counted whole")
    _open(page, server, f"{range_}&box={start:.0f},{stop:.0f},512,2048")
    left = [row for row in rows if has_size(row, 512, 2048)]
    assert 0 < len(left) < len(rows)
    expect_shown(page, left * 59)
    expect(notices).to_contain_text("rows with any of the chosen sizes are counted whole")


def test_an_empty_range_has_no_warning(server: Serving, page: Page) -> None:
    """Where there is nothing, nothing is wrong with it."""
    _, nothing = world.past(8)
    _open(page, server, nothing)
    expect(page.locator(".flameview .empty")).to_be_visible()
    expect(page.locator(".notice")).to_have_count(0)


def test_an_instrument_is_folded_for_good(fleet: Serving, page: Page) -> None:
    """A part that the user collapses stays collapsed on the next visit."""
    _open(page, fleet)
    graph = page.get_by_role("application", name="Flame graph")
    before = graph.bounding_box()
    page.get_by_role("button", name="Fold the heatmap").click()
    expect(page.locator(".heatmap canvas")).to_be_hidden()
    after = graph.bounding_box()
    assert before
    assert after
    assert after["y"] < before["y"] - 80
    page.reload()
    expect(page.locator(".heatmap .head")).to_be_visible()
    expect(page.locator(".heatmap canvas")).to_be_hidden()
    page.get_by_role("button", name="Show the heatmap").click()
    expect(page.locator(".heatmap canvas")).to_be_visible()
