"""Comparing: two sides as one tree or beside each other, and where the baseline comes from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.serving import Serving

pytestmark = pytest.mark.browser

SLOW = "&view=compare&filter=hostname=web-003&base.from=same&base.filter=hostname__ne=web-003"


def _open(page: Page, server: Serving, query: str = SLOW) -> Locator:
    page.goto(f"{server.read}/?table=offcputime{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    return frames


def _row(frames: Locator, name: str) -> list[str]:
    row = frames.locator("tbody tr").filter(has=frames.page.get_by_text(name, exact=True))
    return row.first.locator("td").all_inner_texts()


def test_shares_are_shown_where_shares_are_compared(fleet: Serving, page: Page) -> None:
    """What is before, after and their difference are in one unit, whichever is chosen."""
    frames = _open(page, fleet)
    assert _row(frames, "take_lock") == ["take_lock", "25.0 %", "68.1 %", "+43.09 pp"]
    page.get_by_role("button", name="relative").click()
    assert all("min" in amount for amount in _row(frames, "take_lock")[1:])


def test_two_sides_stand_beside_each_other(fleet: Serving, page: Page) -> None:
    """Each by its own weights; zoom, selection and search are in step."""
    _open(page, fleet)
    page.get_by_role("button", name="side by side").click()
    before = page.get_by_role("application", name="Differential flame graph, before")
    after = page.get_by_role("application", name="Differential flame graph, after")
    expect(after).to_be_visible()
    widths = [side.bounding_box() for side in (before, after)]
    assert widths[0]
    assert widths[1]
    assert abs(widths[0]["width"] - widths[1]["width"]) < 4
    # Locks: a quarter of the one side, two thirds of the other.
    tips = page.locator(".flame .tip")
    after.hover(position={"x": widths[1]["width"] * 0.4, "y": 18 * 3 + 9})
    expect(tips.nth(1)).to_contain_text("take_lock")
    before.hover(position={"x": widths[0]["width"] * 0.4, "y": 18 * 3 + 9})
    expect(tips.nth(0)).to_contain_text("write_log")
    before.click(position={"x": widths[0]["width"] * 0.4, "y": 18 * 3 + 9})
    after.hover(position={"x": widths[1]["width"] * 0.1, "y": 18 * 3 + 9})
    expect(tips.nth(1)).to_contain_text("write_log")
    crumbs = page.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", "db", "main", "write_log"])
    page.go_back()
    expect(crumbs).to_have_text(["all"])
    page.reload()
    expect(after).to_be_visible()


def test_a_baseline_can_be_typed(fleet: Serving, page: Page) -> None:
    """Any range will do, also one that the timeline does not reach."""
    _open(page, fleet, "&view=compare&base.from=same")
    page.get_by_role("button", name="times").click()
    form = page.get_by_role("dialog", name="Times of the baseline")
    form.get_by_label("From").fill("2020-02-02 12:00")
    form.get_by_label("To").fill("2020-02-01 12:00")
    page.keyboard.press("Enter")
    expect(form).to_contain_text("The range ends before it begins.")
    form.get_by_label("To").fill("2020-02-02 13:00")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("base.from=2020-02-02T12:00:00Z&base.to=2020-02-02T13:00"))
    side = page.locator(".side.baseline")
    expect(side).to_contain_text("2020-02-02 12:00:00 \N{EN DASH} 13:00:00 UTC")
    expect(side.get_by_label("Baseline", exact=True)).to_have_value("own")
    expect(page.locator(".notices")).to_contain_text("The baseline holds no rows")


def test_a_host_is_compared_with_the_others(fleet: Serving, page: Page) -> None:
    """Its own rows are no part of what it is held against, and the page says so."""
    page.goto(f"{fleet.read}/?table=offcputime&view=hosts")
    expect(page.locator(".hosts")).to_contain_text("with the sum of all others")
    page.get_by_role("table", name="Hosts").get_by_role("button", name="web-003").click()
    expect(page.locator(".side.baseline")).to_contain_text("Host is not web-003")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("take_lock", exact=True)).to_be_visible()
    assert _row(frames, "take_lock")[1:3] == ["25.0 %", "68.1 %"]


def test_the_colours_of_a_change_are_its_own(fleet: Serving, page: Page) -> None:
    """A choice for the colour-blind leaves the flame graph's colours and legend alone."""
    _open(page, fleet)
    page.get_by_label("Colours of the change").select_option("red-blue")
    expect(page).to_have_url(re.compile("diffColor=red-blue"))
    page.get_by_role("tab", name="Flame graph").click()
    expect(page.locator(".graph .legend")).to_contain_text("kernel")
    page.get_by_label("Colours", exact=True).select_option("name")
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_label("Colours of the change")).to_have_value("red-blue")
