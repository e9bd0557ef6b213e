"""Selections and positions survive updates, refreshes and changes of view."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.bar import choose_type, field
from tests.page.recording import Profile
from tests.page.world import HOSTS
from tests.page.written import duration

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "") -> Locator:
    """Open the page with idle waits shown; give the table of frames once it is there."""
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    return frames


def _refresh(page: Page) -> None:
    """Ask again, as live refresh does, and wait for the new graph."""
    with page.expect_response(re.compile("/api/v1/flamegraph/")):
        page.clock.run_for(11_000)
    page.wait_for_load_state("networkidle")
    page.clock.run_for(100)


def test_the_banner_stays_through_the_views(fleet: Serving, page: Page) -> None:
    """Data that is missing is marked in every view."""
    _open(page, fleet)
    banner = page.locator(".notices")
    expect(banner).to_contain_text("of stacks were lost")
    for view in ("Rows", "Hosts", "Sandwich", "Flame graph"):
        page.get_by_role("tab", name=view).click()
        expect(banner).to_contain_text("of stacks were lost")


def test_what_is_said_of_a_comparison_goes_with_it(fleet: Serving, page: Page) -> None:
    """An empty baseline is a matter of the comparison alone, each time it is shown."""
    _open(page, fleet, "&base.from=-7d")
    banner = page.locator(".notices")
    for _ in range(2):
        page.get_by_role("tab", name="Compare").click()
        expect(banner).to_contain_text("The baseline holds no rows")
        page.get_by_role("tab", name="Flame graph").click()
        expect(banner).not_to_contain_text("The baseline holds no rows")


@pytest.mark.parametrize("name", ["Leaf first", "Grow upward", "Collapse recursion"])
def test_a_switch_keeps_the_focus(fleet: Serving, page: Page, name: str) -> None:
    """Who works with keys goes on from where they pressed one."""
    _open(page, fleet)
    opener = page.get_by_role("button", name="Direction")
    switch = page.get_by_role("menuitemcheckbox", name=name)
    opener.focus()
    for before in ("false", "true"):
        page.keyboard.press("Enter")
        expect(switch).to_have_attribute("aria-checked", before)
        switch.focus()
        page.keyboard.press("Enter")
        expect(opener).to_be_focused()


def test_tabs_and_lists_keep_the_focus(fleet: Serving, page: Page) -> None:
    """Arrows walk the tabs; a list, a heading and a removed filter leave the focus near."""
    _open(page, fleet, "&filter=process=shopweb")
    page.get_by_role("tab", name="Flame graph").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Sandwich")).to_be_focused()
    expect(page.get_by_role("tab", name="Sandwich")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Flame graph")).to_be_focused()
    split = page.get_by_label("Split by")
    split.focus()
    split.select_option("hostname")
    expect(page).to_have_url(re.compile("by=hostname"))
    expect(split).to_be_focused()
    heading = page.get_by_role("table", name="Frames").get_by_role(
        "button", name=re.compile("threads")
    )
    heading.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("order=total"))
    expect(heading).to_be_focused()
    page.get_by_role("button", name="Remove filter: Process is shopweb").focus()
    page.keyboard.press("Enter")
    expect(field(page)).to_be_focused()


def test_arrows_walk_the_whole_table(recorded: Serving, page: Page) -> None:
    """One press of Tab reaches the table, arrows any of its rows, Tab again leaves it."""
    frames = _open(page, recorded)
    count = int(frames.get_attribute("aria-rowcount") or 0)
    assert count > 100
    frames.locator("tbody").get_by_role("button").first.focus()
    for _ in range(40):
        page.keyboard.press("ArrowDown")
    expect(frames.locator("tr:focus-within")).to_have_attribute("aria-rowindex", "42")
    page.keyboard.press("End")
    expect(frames.locator("tr:focus-within")).to_have_attribute("aria-rowindex", str(count))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('tbody')") is None
    page.keyboard.press("Shift+Tab")
    expect(frames.locator("tr:focus-within")).to_have_attribute("aria-rowindex", str(count))


def test_a_chosen_row_stays_under_the_pointer(recorded: Serving, page: Page) -> None:
    """A click marks a row where it is, and another removes the mark."""
    frames = _open(page, recorded)
    rows = page.get_by_role("region", name="Frames")
    rows.evaluate("one => { one.scrollTop = 1500 }")
    row = frames.locator("tr[aria-rowindex='72']")
    expect(row).to_be_visible()
    place = row.bounding_box()
    row.click()
    expect(row).to_have_class("marked")
    assert row.bounding_box() == place
    row.click()
    expect(row).not_to_have_class("marked")
    assert row.bounding_box() == place


def test_a_refresh_keeps_selection_match_and_place(recorded: Serving, page: Page) -> None:
    """Newer data of the same question: the frame, the match and the scrolling stay."""
    page.clock.install()
    page.set_viewport_size({"width": 1280, "height": 520})  # too low for the whole graph
    _open(page, recorded, "&search=^do_&flame=1&live=1")
    page.get_by_role("button", name="Next match").click()
    page.get_by_role("button", name="Next match").click()
    matched = page.locator(".matched")
    expect(matched).to_have_text(re.compile("^2 of "))
    crumbs = page.get_by_role("navigation", name="Zoom path").get_by_role("button")
    path = crumbs.all_inner_texts()
    graph = page.locator(".flame")
    graph.evaluate("one => { one.scrollTop = 40 }")
    assert graph.evaluate("one => one.scrollTop") == 40
    page.clock.run_for(50)
    marked = page.get_by_role("table", name="Frames").locator("tr.marked")
    name = marked.inner_text()
    colours = page.get_by_label("Colours", exact=True).element_handle()
    _refresh(page)
    expect(matched).to_have_text(re.compile("^2 of "))
    assert crumbs.all_inner_texts() == path
    assert graph.evaluate("one => one.scrollTop") == 40
    assert marked.inner_text().split("\n")[0] == name.split("\n")[0]
    assert colours.evaluate("one => one.isConnected")


def test_the_sandwich_keeps_its_zoom_and_steps(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Its zoom is in the address and stays through a search; matches are gone to one by one."""
    _open(page, fleet, "&presets=-&view=sandwich&frame=worker_main")
    callees = page.get_by_role("application", name="Callees")
    callees.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    below = _below(fleet_rows, "worker_main")
    zoomed = below.widest(1)[0]
    expect(page).to_have_url(re.compile(f"callees={zoomed}"))
    page.get_by_label("Search frames").fill("epoll|sock_read_iter")
    expect(page.locator(".matched")).to_contain_text("matched")
    expect(page).to_have_url(re.compile(f"callees={zoomed}"))
    many = len(below.matches("epoll|sock_read_iter"))
    assert many > 1
    page.get_by_role("button", name="Next match").click()
    expect(page.locator(".matched")).to_have_text(f"1 of {many}")
    page.get_by_role("button", name="Previous match").click()
    expect(page.locator(".matched")).to_have_text(f"{many} of {many}")
    said = page.locator(".half").last.locator("[aria-live]")
    expect(said).to_contain_text(re.compile("epoll|sock_read_iter"))


def _below(rows: list[Row], frame: str) -> Profile:
    """Return the callees of a frame, for all callers."""
    calls = [(row, row["stack"].partition(f"{frame};")[2]) for row in rows]
    return Profile((row | {"stack": stack} for row, stack in calls if stack), by="")


def test_only_views_with_a_search_take_its_keys(fleet: Serving, page: Page) -> None:
    """Where no frames are searched, Ctrl+F is the browser's own."""
    pressed = """() => {
        const event = new KeyboardEvent('keydown',
            {key: 'f', ctrlKey: true, cancelable: true, bubbles: true})
        document.body.dispatchEvent(event)
        return event.defaultPrevented
    }"""
    _open(page, fleet)
    assert page.evaluate(pressed)
    page.get_by_role("tab", name="Rows").click()
    expect(page.get_by_role("table", name="Rows").locator("tbody tr").first).to_be_visible()
    assert not page.evaluate(pressed)


def test_an_order_is_part_of_the_address(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """A link keeps the order of hosts and rows; another category starts with its default."""
    _open(page, fleet)
    page.get_by_role("tab", name="Hosts").click()
    hosts = page.get_by_role("table", name="Hosts")
    hosts.get_by_role("button", name="Host", exact=True).click()
    expect(page).to_have_url(re.compile("hostsOrder=host"))
    expect(hosts.locator("tbody tr").nth(1)).to_contain_text(HOSTS[0])
    page.reload()
    expect(hosts.locator("tbody tr").nth(1)).to_contain_text(HOSTS[0])
    page.get_by_role("tab", name="Rows").click()
    rows = page.get_by_role("table", name="Rows")
    rows.get_by_role("button", name="Off-CPU time").click()
    expect(page).to_have_url(re.compile("rowsOrder=-elapsed"))
    longest = max(row["elapsed"] for row in fleet_rows)
    expect(rows.locator("tbody tr").first).to_contain_text(duration(longest))
    choose_type(page, "Agents")
    expect(rows.locator("tbody tr").first).to_contain_text("running")
    expect(page.locator(".loader.failed")).to_have_count(0)
