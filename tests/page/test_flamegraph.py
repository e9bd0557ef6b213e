"""The flame graph: what is clicked, and what is then seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.serving import Serving

pytestmark = pytest.mark.browser

NONE = "\N{EN DASH}"


@pytest.fixture(scope="module")
def filled(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    del built_page
    with serving(tmp_path_factory.mktemp("flame")) as server:
        world.fill(server)
        yield server


@pytest.fixture
def shown(filled: Serving, page: Page) -> Page:
    page.goto(f"{filled.read}/?table=offcputime")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    return page


def _frame_row(page: Page, name: str) -> list[str]:
    rows = page.get_by_role("table", name="Frames").locator("tbody tr")
    row = rows.filter(has=page.get_by_role("button", name=name, exact=True))
    return row.first.locator("td").all_inner_texts()


def test_the_table_sums_each_frame_once(shown: Page) -> None:
    """Self is what a frame was on top for, total counts a frame that calls itself once."""
    assert _frame_row(shown, "io_schedule") == ["io_schedule", "6.00 s", "6.00 s"]
    assert _frame_row(shown, "futex_wait") == ["futex_wait", "3.50 s", "3.50 s"]
    assert _frame_row(shown, "eval") == ["eval", NONE, "1.00 s"]
    assert _frame_row(shown, "main") == ["main", NONE, "10.0 s"]


def test_a_search_says_how_much_it_matched(shown: Page) -> None:
    """A regular expression matches frames of any kind; its share counts no stack twice."""
    search = shown.get_by_label("Search frames")
    search.fill("^(do_)?fsync$")
    expect(shown.locator(".matched")).to_have_text("60.0 % matched")
    search.fill("(")
    expect(search).to_have_attribute("aria-invalid", "true")


def test_a_search_is_part_of_the_address(shown: Page) -> None:
    """Whoever opens the link sees the same highlight."""
    shown.get_by_label("Search frames").fill("futex")
    expect(shown.locator(".matched")).to_have_text("35.0 % matched")
    assert "search=futex" in shown.url
    other = shown.context.new_page()
    other.goto(shown.url)
    expect(other.locator(".matched")).to_have_text("35.0 % matched")


def test_a_click_zooms_and_the_breadcrumb_leads_back(shown: Page) -> None:
    """Zooming keeps the way back in sight, in the breadcrumb and in the browser's history."""
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    # `db` is the widest of three processes: names sort `<` before `db` before `web`.
    canvas.click(position={"x": box["width"] * 0.4, "y": 27})
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", "db"])
    shown.go_back()
    expect(crumbs).to_have_text(["all"])


def test_keys_walk_the_frames_and_a_screen_reader_hears_them(shown: Page) -> None:
    """Arrows go down the widest child, Enter zooms, Escape leaves the zoom."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"):
        shown.keyboard.press(key)
    said = shown.locator(".flame [aria-live]")
    expect(said).to_contain_text("write_log")
    expect(said).to_contain_text("60.0 % of all")
    shown.keyboard.press("Enter")
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", "db", "main", "write_log"])
    shown.keyboard.press("Escape")
    expect(crumbs).to_have_text(["all"])


def test_the_tooltip_gives_unit_and_share(shown: Page) -> None:
    """Resting on a frame tells its kind, its time and its share."""
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    canvas.hover(position={"x": box["width"] * 0.2, "y": 18 * 5 + 9})
    tip = shown.locator(".flame .tip")
    expect(tip).to_contain_text("do_fsync  (kernel)")
    expect(tip).to_contain_text("6.00 s (6,000,000 µs), 60.0 % of all")


def test_names_from_the_kernel_stay_text(shown: Page) -> None:
    """A process or a frame that is called like markup shows as that text, everywhere."""
    assert _frame_row(shown, world.HOSTILE)[0] == world.HOSTILE
    shown.get_by_role("tab", name="Rows").click()
    cell = shown.get_by_role("table", name="Rows").get_by_text(world.HOSTILE, exact=True)
    expect(cell).to_be_visible()
    assert shown.locator("img").count() == 0
