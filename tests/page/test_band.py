"""The band: figures as people think of them, selections, markers, and what is missing."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.page.shown import drag, wait_for

if TYPE_CHECKING:
    from datetime import datetime

    from playwright.sync_api import Locator, Page

    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Two threads wait all the time; for ten minutes, twenty minutes before the end, it is eight.
CALM = world.MIXED | {"elapsed": 120_000_000, "lengths": [0] * 20 + [120]}
BURST = CALM | {"elapsed": 360_000_000, "stack": world.SYNC, "lengths": [0] * 24 + [30]}


@pytest.fixture(scope="module")
def hour(server: Serving) -> tuple[datetime, str]:
    """The end of an hour with a burst, and the address of the hour."""
    end, range_ = world.past(9)
    world.minutely(server, end, "offcputime", [CALM])
    world.minutely(server, end - timedelta(minutes=20), "offcputime", [BURST], 11)
    return end, range_


def _open(page: Page, server: Serving, query: str) -> Locator:
    """The plots, once they are drawn."""
    page.goto(f"{server.read}/?table=offcputime{query}")
    expect(page.locator(".figures")).to_contain_text("rows")
    page.wait_for_load_state("networkidle")
    return page.get_by_role("application", name="Timeline")


def _span(page: Page) -> tuple[float, float]:
    """The selection's start and end, in seconds."""
    expect(page).to_have_url(re.compile(r"box="))
    found = re.search(r"box=\w*,(\d+),(\d+)", page.url)
    assert found
    return int(found[1]) / 1e6, int(found[2]) / 1e6


def test_time_per_time_is_threads(server: Serving, hour: tuple[datetime, str], page: Page) -> None:
    """Of the range, of the selection, of each series and at the pointer; and how unusual it is."""
    end, range_ = hour
    _open(page, server, range_)
    big = page.locator(".big")
    expect(big).to_have_text("2.97 threads waiting")
    start, stop = (int((end - timedelta(minutes=m)).timestamp() * 1e6) for m in (30, 20))
    _open(page, server, f"{range_}&box=,{start},{stop}")
    expect(big).to_have_text("8 threads waiting \N{MULTIPLICATION SIGN}4 of usual")
    expect(page.locator(".facts .legend")).to_contain_text("mixed")
    page.locator(".timeline canvas").hover(position={"x": 200, "y": 70})
    expect(page.locator(".band .tip b")).to_have_text("2 threads")


def test_a_selection_is_moved_and_resized(
    server: Serving, hour: tuple[datetime, str], page: Page
) -> None:
    """By its edges and its top with the pointer, and by arrows; in whole steps."""
    plots = _open(page, server, hour[1])
    timeline = page.locator(".timeline canvas")
    drag(page, timeline, (400, 50), (500, 50))
    start, stop = _span(page)
    x = _edges(page, timeline)
    drag(page, timeline, (x[1], 60), (x[1] + 100, 60))
    expect(page).not_to_have_url(re.compile(f"{stop:.0f}"))
    assert _span(page)[0] == start
    assert _span(page)[1] > stop
    before = _span(page)
    drag(page, timeline, (450, 4), (550, 4))
    expect(page).not_to_have_url(re.compile(f"{start:.0f}"))
    moved = _span(page)
    assert moved[0] > before[0]
    assert moved[1] - moved[0] == before[1] - before[0]
    plots.focus()
    plots.press("ArrowLeft")
    expect(page).not_to_have_url(re.compile(f"{moved[0]:.0f}"))
    left = _span(page)
    assert left[0] < moved[0]
    assert left[1] - left[0] == moved[1] - moved[0]
    plots.press("Shift+ArrowRight")
    expect(page).not_to_have_url(re.compile(f"{left[1]:.0f}"))
    assert _span(page)[0] == left[0]
    plots.press("ArrowUp")
    expect(page).to_have_url(re.compile("box=lengths,"))
    expect(page.locator(".surface [aria-live]")).to_contain_text("Selected: ")


def _edges(page: Page, timeline: Locator) -> list[float]:
    """Where on the timeline the selection begins and ends: its frame is dark."""
    del timeline
    return page.locator(".overlay").evaluate(
        """canvas => {
            const pixels = canvas.getContext('2d').getImageData(0, 70, canvas.width, 1).data
            const dark = k => pixels[4 * k + 3] > 200 && pixels[4 * k] < 60
            const found = [...Array(canvas.width).keys()].filter(dark)
            return [found[0], found.at(-1)]
        }"""
    )


def test_the_button_beside_a_selection_asks_what_changed(
    server: Serving, hour: tuple[datetime, str], page: Page
) -> None:
    """It opens the panel for that time; the way back is the browser's."""
    _open(page, server, hour[1])
    drag(page, page.locator(".timeline canvas"), (600, 50), (700, 50))
    page.get_by_role("button", name="What changed here?").click()
    expect(page).to_have_url(re.compile("panel=changes"))
    _span(page)
    page.go_back()
    expect(page).not_to_have_url(re.compile("panel="))
    _span(page)


def test_further_charts_take_selections_too(server: Serving, page: Page) -> None:
    """One on a chart below is the one of the timeline."""
    end, range_ = world.past(10)
    row = {"resource": "cpu", "scope": "some", "share": 60.0, "stalled": 30_000_000}
    world.minutely(server, end, "pressure", [row])
    page.goto(f"{server.read}/?table=pressure&view=charts{range_}")
    chart = page.locator("figure").filter(has=page.locator(".surface[tabindex]")).first
    expect(chart.locator(".overlay")).to_be_visible()
    page.wait_for_load_state("networkidle")
    drag(page, chart.locator(".plot canvas"), (150, 60), (250, 60))
    start, stop = _span(page)
    assert 0 < stop - start < 3600
    expect(page.get_by_role("button", name="What changed here?").first).to_be_visible()


def test_colour_is_time_or_events(server: Serving, hour: tuple[datetime, str], page: Page) -> None:
    """The legend says which; where the pointer rests, the stack with most of a cell is named."""
    _, range_ = hour
    _open(page, server, range_)
    scale = page.locator(".scale")
    expect(scale).to_contain_text("threads per cell")
    page.get_by_role("button", name="by time").click()
    expect(scale).to_contain_text(re.compile("[0-9] events per cell"))
    expect(page).to_have_url(re.compile("weigh=events"))
    page.get_by_role("button", name="by events").click()
    expect(scale).to_contain_text("threads per cell")
    canvas = page.locator(".heatmap canvas")
    width = canvas.evaluate("canvas => canvas.clientWidth")
    x = 60 + (width - 61) * 35 / 60
    for y in range(2, 90, 4):
        canvas.hover(position={"x": x, "y": y})
        if re.search("[1-9][0-9]* events", page.locator(".band .tip").inner_text()):
            break  # The longest waits.
    expect(page.locator(".band .tip")).to_contain_text("most: do_fsync of mixed")


def test_a_marker_offers_two_questions(
    server: Serving, hour: tuple[datetime, str], page: Page
) -> None:
    """The same length before and after it, and what changed there; its words are its name."""
    end, range_ = hour
    time = end - timedelta(minutes=30)
    marker = {"message": "release 1.4.2", "kind": "release", "time": time.isoformat()}
    server.client.post(f"{server.ingest}/api/v1/markers", json=marker).raise_for_status()
    _open(page, server, range_)
    flag = page.get_by_role("button", name="Marker release 1.4.2, release on all hosts")
    expect(flag).to_have_text("release 1.4.2")
    flag.click()
    page.get_by_role("button", name="Compare before and after").click()
    expect(page).to_have_url(re.compile("view=compare"))
    start, stop = _span(page)
    assert (start, stop - start) == (time.timestamp(), 1800)
    assert f"base.from={time - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}" in page.url
    assert f"base.to={time:%Y-%m-%dT%H:%M:%SZ}" in page.url
    flag.click()
    page.get_by_role("dialog").get_by_role("button", name="What changed here?").click()
    expect(page).to_have_url(re.compile("panel=changes"))
    assert _span(page)[0] == time.timestamp()


def test_a_baseline_is_dragged(server: Serving, hour: tuple[datetime, str], page: Page) -> None:
    """While one compares, it is framed, and its top moves it."""
    end, range_ = hour
    base = [f"{end - timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ}" for m in (50, 40)]
    sides = f"&view=compare&base.from={base[0]}&base.to={base[1]}"
    _open(page, server, f"{range_}{sides}")
    timeline = page.locator(".timeline canvas")
    width = timeline.evaluate("canvas => canvas.clientWidth")
    x = 60 + (width - 61) * 15 / 60
    drag(page, timeline, (x, 5), (x + width / 3, 5))
    expect(page).not_to_have_url(re.compile(re.escape(base[0])))
    expect(page).to_have_url(re.compile("view=compare"))
    found = re.search(r"base\.from=([^&]+)&base\.to=([^&]+)", page.url)
    assert found
    assert found[1] > base[1]


def test_many_markers_are_few_flags(server: Serving, page: Page) -> None:
    """Flags do not lie on each other: one stands for several, and says how many."""
    end, range_ = world.past(11)
    world.minutely(server, end, "offcputime", [CALM])
    times = [(end - timedelta(seconds=6 * k)).isoformat() for k in range(1, 500)]
    rows = [{"time": time, "kind": "note", "message": f"marker {time}"} for time in times]
    server.post({"hostname": "web-001", "time": times[0], "marker": rows})
    _open(page, server, range_)
    flags = page.locator(".mark")
    wait_for(page, lambda: flags.count() > 0)
    assert flags.count() < 150
    places = flags.evaluate_all("all => all.map(one => parseFloat(one.style.left))")
    assert all(b - a >= 8 for a, b in pairwise(places))
    flags.first.click()
    expect(page.get_by_role("dialog", name="Marker")).to_contain_text("marker 20")


def test_hosts_that_say_nothing_are_shaded(server: Serving, page: Page) -> None:
    """Where an agent that reports otherwise is silent, the tooltip names its host."""
    end, range_ = world.past(12)
    world.minutely(server, end, "offcputime", [CALM])
    reports = [{"probe": "offcputime", "state": "running", "row_count": 1}]
    world.minutely(server, end, "agent", reports, 20)
    world.minutely(server, end - timedelta(minutes=40), "agent", reports, 20)
    _open(page, server, range_)
    timeline = page.locator(".timeline canvas")
    width = timeline.evaluate("canvas => canvas.clientWidth")
    timeline.hover(position={"x": 60 + (width - 61) * 0.5, "y": 60})
    expect(page.locator(".band .tip")).to_contain_text("no report from web-001")
    timeline.hover(position={"x": 60 + (width - 61) * 0.2, "y": 60})
    expect(page.locator(".band .tip")).not_to_contain_text("no report")
