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
from tests.page.shown import boxed, drag, expect_shown, wait_for
from tests.page.written import at_once

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "", table: str = "offcputime") -> None:
    """Open it with all rows, idle waits among them."""
    page.goto(f"{server.read}/?table={table}&presets=-{query}")
    expect(page.locator(".figures")).to_contain_text("rows")
    page.wait_for_load_state("networkidle")


def _picture(canvas: Locator) -> str:
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def test_every_part_of_a_bar_tells_its_rows(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Rows of a minute are drawn as wide as a minute, and all of it answers to the pointer."""
    _open(page, fleet)
    sums = _by_minute(fleet_rows)
    for x in range(700, 740, 4):  # From pixel to pixel over what is more than a minute's width.
        times, *told = _told(page, ".timeline", x, 40)
        assert re.search(r"\d\d:\d\d:\d\d \S \d\d:\d\d:\d\d UTC", times)
        assert {line.strip() for line in told} in sums.values()


def test_a_column_of_cells_tells_the_events_of_its_minute(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Its rows of round sizes have all waits of the minute, each of them once."""
    _open(page, fleet)
    waits: Counter[str] = Counter()
    for row in fleet_rows:
        waits[row["time"]] += sum(row["lengths"])
    found: dict[str, str] = {}
    for y in range(1, 90, 2):
        times, size, *_, events = _told(page, ".heatmap", 720, y)
        assert re.search(r"\d\d:\d\d:\d\d \S \d\d:\d\d:\d\d UTC", times)
        found[size] = events
    assert all(re.match("(1|2|5)0* \\S+ to (1|2|5)0* |0 ", size) for size in found), found
    events = sum(int(one.split(" ")[0].replace(",", "")) for one in found.values())
    assert events in waits.values()


def _told(page: Page, part: str, x: int, y: int) -> list[str]:
    page.locator(f"{part} canvas").hover(position={"x": x, "y": y})
    lines = page.locator(".band .tip").inner_text().splitlines()
    return [line for line in lines if not line.startswith(("no report", "most"))]


def _by_minute(rows: list[Row]) -> dict[str, set[str]]:
    """Return the expected tooltip of each minute: threads by process."""
    sums: dict[str, Counter[str]] = {}
    for row in rows:
        sums.setdefault(row["time"], Counter())[row["process"]] += row["elapsed"]
    return {
        time: {f"{at_once(us, 60)} threads  {process}" for process, us in one.items()}
        for time, one in sums.items()
    }


def test_a_narrow_box_holds_the_rows_that_are_drawn_there(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Whichever half of a cell a box begins and ends in, the cell's rows are in it."""
    _open(page, fleet)
    for x in (700, 707, 714):
        drag(page, page.locator(".heatmap canvas"), (x, 48), (x + 5, 51))
        expect(page).to_have_url(re.compile("box=lengths,"))
        expect_shown(page, boxed(page, fleet_rows))
        page.keyboard.press("Escape")
        expect_shown(page, fleet_rows)


def test_all_else_shows_just_the_selection(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Figures and graph are of the box alone; the timeline keeps its bars, veiled outside of it."""
    _open(page, fleet)
    whole = _bars(page)
    plain = _picture(page.locator(".timeline canvas"))
    drag(page, page.locator(".heatmap canvas"), (603, 2), (660, 60))
    expect(page).to_have_url(re.compile("box=lengths,"))
    expect_shown(page, boxed(page, fleet_rows))
    assert _bars(page) == whole
    assert _picture(page.locator(".timeline canvas")) == plain
    veiled = [_veiled(page, x) for x in (400, 500, 630, 700, 900)]
    assert veiled == [True, True, False, True, True]


def _veiled(page: Page, x: int) -> bool:
    """Whether something is drawn over the middle of the timeline."""
    return page.locator(".overlay").evaluate(
        """(canvas, x) => canvas.getContext('2d').getImageData(x, 50, 1, 1).data[3] > 0""", x
    )


def test_a_selection_is_left_in_three_ways(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """By its button, also on a phone, by Escape, and by the way back."""
    _open(page, fleet)
    clear = page.get_by_role("button", name="Remove the selection")
    expect(clear).to_be_hidden()
    drag(page, page.locator(".heatmap canvas"), (603, 2), (660, 60))
    expect(page).to_have_url(re.compile("box=lengths,"))
    page.set_viewport_size({"width": 420, "height": 900})
    expect(clear).to_be_in_viewport(ratio=0.9)
    clear.click()
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(page).not_to_have_url(re.compile("box="))
    expect_shown(page, fleet_rows)
    expect(clear).to_be_hidden()
    page.go_back()
    expect(page).to_have_url(re.compile("box=lengths,"))
    page.get_by_role("application", name="Timeline").focus()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("box="))
    drag(page, page.locator(".timeline canvas"), (700, 40), (800, 40))
    expect(page).to_have_url(re.compile("box=,"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("box="))


def _bars(page: Page) -> list[tuple[float, float]]:
    """When each bar of the timeline begins and ends, from left to right."""
    canvas = page.locator(".timeline canvas")
    box = canvas.bounding_box()
    assert box
    found = {}
    for x in range(66, int(box["width"]) - 8, 4):
        canvas.hover(position={"x": x, "y": 40})
        told = page.locator(".band .tip").inner_text().splitlines()
        if len(told) > 1:
            day, begin, end = re.findall(r"^([\d-]+) ([\d:]+) \S ([\d:]+) UTC", told[0])[0]
            first, last = (datetime.fromisoformat(f"{day}T{one}Z") for one in (begin, end))
            length = (last - first).total_seconds() % 86_400
            found[first.timestamp()] = first.timestamp() + length
    return sorted(found.items())


def test_a_box_of_all_sizes_is_of_time_alone(fleet: Serving, page: Page) -> None:
    """An upright drag over some rows is a box like any other; over all it bounds no size."""
    _open(page, fleet)
    drag(page, page.locator(".heatmap canvas"), (610, 30), (611, 60))
    expect(page).to_have_url(re.compile("box=lengths,"))
    drag(page, page.locator(".heatmap canvas"), (510, 2), (511, 88))
    expect(page).to_have_url(re.compile("box=,"))


def test_nothing_of_the_pointer_stays_behind(fleet: Serving, page: Page) -> None:
    """The line follows the pointer."""
    _, range_ = world.past(0)
    _open(page, fleet, range_)
    canvas = page.locator(".overlay")
    before = _picture(canvas)
    page.locator(".timeline canvas").hover(position={"x": 400, "y": 30})
    wait_for(page, lambda: _picture(canvas) != before)
    page.mouse.move(5, 5)
    wait_for(page, lambda: _picture(canvas) == before)


def test_a_baseline_of_another_day_frames_nothing(fleet: Serving, page: Page) -> None:
    """The baseline is framed where it is visible, and only there."""
    _, range_ = world.past(0)
    frames = []
    for baseline in ("-1d", "same"):
        _open(page, fleet, f"{range_}&view=compare&base.from={baseline}")
        page.mouse.move(5, 5)
        frames.append(_picture(page.locator(".overlay")))
    _open(page, fleet, range_)
    assert _picture(page.locator(".overlay")) == frames[0]
    assert frames[1] != frames[0]


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
    expect(page.locator(".facts .legend")).to_contain_text("memory60 %")
    page.locator(".timeline canvas").hover(position={"x": 620, "y": 40})
    expect(page.locator(".band .tip")).to_contain_text("60 %")


def test_a_box_on_values_is_shared_with_its_column(
    server: Serving, page: Page, browser: Browser
) -> None:
    """Rows without histograms have a heatmap of their mean waits; a link to a box on it holds."""
    end, range_ = world.past(4)
    bare = {key: world.MIXED[key] for key in ("process", "pid", "stack", "elapsed")}
    short = bare | {"elapsed": 100_000, "count": 100, "stack": world.SYNC}
    world.minutely(server, end, "offcputime", [bare, short])
    _open(page, server, range_)
    expect(page.get_by_role("img", name="Heatmap of Off-CPU time")).to_be_visible()
    drag(page, page.locator(".heatmap canvas"), (500, 88), (800, 91))
    expect(page).to_have_url(re.compile("box=elapsed,"))
    other = browser.new_page()
    other.goto(page.url)
    frames = other.get_by_role("table", name="Frames")
    expect(frames.get_by_text("io_schedule", exact=True)).to_be_visible()
    expect(frames.get_by_text("futex_wait", exact=True)).to_be_hidden()
    expect(other.get_by_role("img", name="Heatmap of Off-CPU time")).to_be_visible()
    other.close()


def test_the_declared_heatmap_comes_back(server: Serving, page: Page) -> None:
    """A range without rows, or without histograms, says nothing about the next one."""
    end, range_ = world.past(5)
    rows = intervals()[0]
    world.minutely(server, end, "offcputime", rows)
    _, nothing = world.past(6)
    declared = page.get_by_role("img", name="Heatmap of Wait lengths")
    _open(page, server, nothing)
    expect(declared).to_be_visible()
    page.locator(".range").click()
    start, stop = re.findall("=([^&]+)", range_)
    page.get_by_label("From", exact=True).fill(start)
    page.get_by_label("To", exact=True).fill(stop)
    page.get_by_role("button", name="Show this range").click()
    expect(page.locator(".figures")).to_contain_text(f"{59 * len(rows):,} rows")
    expect(declared).to_be_visible()


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
