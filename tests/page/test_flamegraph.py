"""The flame graph: what is clicked, and what is then seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

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
    expect(shown).to_have_url(re.compile("search=futex"))
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


def test_steps_within_one_picture_are_gone_back_one_by_one(shown: Page) -> None:
    """Whoever is quicker than the screen finds each step in the browser's history."""
    shown.get_by_role("application", name="Flame graph").evaluate(
        """canvas => {
            const press = key => canvas.dispatchEvent(new KeyboardEvent('keydown', {key}))
            press('+')
            press('+')
        }"""
    )
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", "db", "main"])
    expect(shown).to_have_url(re.compile("zoom=db;main"))
    for way in (["all", "db"], ["all"]):
        shown.go_back()
        expect(crumbs).to_have_text(way)


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


def _pixel(page: Page, x: float, level: int) -> list[int]:
    """Give the colour of a level of the graph, at a share of its width, above the text."""
    return page.get_by_role("application", name="Flame graph").evaluate(
        """(canvas, [x, level]) => {
            const ratio = canvas.width / canvas.clientWidth
            const at = [canvas.width * x, (18 * level + 2) * ratio].map(Math.round)
            return [...canvas.getContext('2d').getImageData(...at, 1, 1).data]
        }""",
        [x, level],
    )


def test_a_flame_graph_grows_upward_if_wished(shown: Page) -> None:
    """The root then lies at the bottom, and arrows go the way that the picture goes."""
    shown.get_by_role("button", name="grow upward", exact=True).click()
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    canvas.hover(position={"x": box["width"] * 0.4, "y": box["height"] - 9})
    expect(shown.locator(".flame .tip")).to_contain_text("all")
    canvas.hover(position={"x": box["width"] * 0.4, "y": box["height"] - 27})
    expect(shown.locator(".flame .tip")).to_contain_text("db")
    canvas.focus()
    shown.keyboard.press("ArrowUp")
    shown.keyboard.press("ArrowUp")
    expect(shown.locator(".flame [aria-live]")).to_contain_text("db")


def test_colours_tell_kind_or_self(shown: Page) -> None:
    """By self, what was on top the longest is the strongest; the legend explains each."""
    # At a fifth of the width: do_fsync on level 5, io_schedule on level 6.
    legend = shown.locator(".graph .legend")
    expect(legend).to_contain_text("kernel")
    shown.get_by_label("Colours", exact=True).select_option("value")
    expect(legend).to_contain_text("self: none")
    expect(legend).not_to_contain_text("kernel")
    shown.wait_for_timeout(50)
    assert _pixel(shown, 0.2, 5) == _pixel(shown, 0.2, 1)
    assert _pixel(shown, 0.2, 6) != _pixel(shown, 0.2, 5)
    shown.get_by_label("Search frames").fill("do_fsync")
    expect(legend).to_contain_text("matches the search")
    shown.wait_for_timeout(50)
    assert _pixel(shown, 0.2, 5) == [0xC7, 0x7D, 0xFF, 255]


def test_it_is_crisp_on_fine_screens(filled: Serving, browser: Browser) -> None:
    """Where a pixel of the page is two of the screen, the picture has them all."""
    context = browser.new_context(device_scale_factor=2)
    page = context.new_page()
    page.goto(f"{filled.read}/?table=offcputime")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    canvas = page.get_by_role("application", name="Flame graph")
    drawn = "canvas => canvas.width === 2 * canvas.clientWidth"
    page.wait_for_function(drawn, arg=canvas.element_handle())
    assert _pixel(page, 0.4, 1) != _pixel(page, 0.4, 8)
    context.close()


def test_matches_are_gone_to_one_by_one(shown: Page) -> None:
    """The largest first; n and N, Enter and the arrows beside the box go on and back."""
    search = shown.get_by_label("Search frames")
    search.focus()
    shown.keyboard.type("futex")
    # At once: what has been typed counts, even before the pause that starts a search.
    shown.get_by_role("button", name="Next match").click()
    matched = shown.locator(".matched")
    expect(matched).to_have_text("1 of 3")
    said = shown.locator(".flame [aria-live]")
    expect(said).to_contain_text("1.50 s")
    shown.get_by_role("application", name="Flame graph").focus()
    steps = shown.evaluate("history.length")
    for key, place in (("n", 2), ("n", 3), ("n", 1), ("N", 3)):
        shown.keyboard.press(key)
        expect(matched).to_have_text(f"{place} of 3")
    assert shown.evaluate("history.length") == steps
    shown.get_by_role("button", name="Previous match").click()
    expect(matched).to_have_text("2 of 3")
    shown.reload()
    expect(matched).to_have_text("35.0 % matched")
    shown.get_by_role("button", name="Previous match").click()
    expect(matched).to_have_text("3 of 3")


def test_a_stack_is_copied_from_the_menu(shown: Page) -> None:
    """Root first, as everywhere; Escape in the menu leaves the focus on the graph."""
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.focus()
    for _ in range(4):
        shown.keyboard.press("ArrowDown")
    shown.keyboard.press("m")
    shown.keyboard.press("Escape")
    expect(canvas).to_be_focused()
    shown.keyboard.press("m")
    shown.get_by_role("menuitem", name="Copy stack").click()
    assert shown.evaluate("navigator.clipboard.readText()") == "db;main;write_log"
    expect(canvas).to_be_focused()


@pytest.mark.parametrize("refusal", ["undefined", "{writeText: () => Promise.reject()}"])
def test_copying_needs_no_secure_page(filled: Serving, page: Page, refusal: str) -> None:
    """On plain HTTP a browser has no clipboard for scripts, or refuses it."""
    page.add_init_script(
        f"Object.defineProperty(navigator, 'clipboard', {{value: {refusal}}})",
    )
    page.goto(f"{filled.read}/?table=offcputime")
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("do_fsync", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Copy name").click()
    page.get_by_label("Search frames").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_label("Search frames")).to_have_value("do_fsync")


def test_what_cannot_be_copied_stands_there_to_be_copied(filled: Serving, page: Page) -> None:
    """Nothing says that it was copied where it was not."""
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        "document.execCommand = () => false",
    )
    page.goto(f"{filled.read}/?table=offcputime&from=now-1h&to=now-1m")
    page.get_by_role("button", name="share").click()
    page.get_by_role("menuitem", name="Link to what is shown now").click()
    box = page.get_by_label("Text to copy")
    expect(box).to_have_value(re.compile(r"from=20\d\d-.*to=20\d\d-"))
    expect(box).to_be_focused()
    expect(page.get_by_text("copied")).to_have_count(0)


def test_a_focus_that_nothing_runs_through_can_be_removed(filled: Serving, page: Page) -> None:
    """The data changes while the focus stays, in the address too."""
    page.goto(f"{filled.read}/?table=offcputime&focus=no_such")
    over = page.locator(".graph .over")
    expect(over).to_contain_text("No stack here runs through no_such.")
    over.get_by_role("button", name="Remove focus").click()
    expect(page.get_by_role("table", name="Frames")).to_contain_text("do_fsync")
    expect(over.locator(".empty")).to_have_count(0)


def test_the_tooltip_follows_the_zoom_and_counts_events(shown: Page) -> None:
    """After a click it tells of what then lies under the pointer, events included."""
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    # On the right: `web` is a fifth of all, its second half locks.
    canvas.hover(position={"x": box["width"] * 0.9, "y": 18 * 1 + 9})
    tip = shown.locator(".flame .tip")
    expect(tip).to_contain_text("web")
    expect(tip).to_contain_text("2 events")
    canvas.click(position={"x": box["width"] * 0.97, "y": 18 * 3 + 9})
    expect(tip).to_contain_text("take_lock")
    expect(tip).to_contain_text("1 event")
    canvas.click(position={"x": box["width"] * 0.2, "y": 9})
    expect(tip).to_contain_text("all")
    expect(tip).to_contain_text("5 events")


def test_stacks_are_grouped_by_any_column(shown: Page) -> None:
    """By the host, or not at all; the menu then filters by what groups."""
    frames = shown.get_by_role("table", name="Frames")
    canvas = shown.get_by_role("application", name="Flame graph")
    grouping = shown.get_by_label("Group by")
    for group, first in (("hostname", "web-001"), ("-", "main")):
        with shown.expect_response(re.compile("/api/v1/flamegraph/")):
            grouping.select_option(group)
        expect(shown).to_have_url(re.compile(f"group={group}"))
        shown.wait_for_timeout(100)
        canvas.focus()
        shown.keyboard.press("0")
        shown.keyboard.press("ArrowDown")
        expect(shown.locator(".flame [aria-live]")).to_contain_text(first)
        if group == "hostname":
            shown.keyboard.press("m")
            shown.get_by_role("menuitem", name="Only web-001").click()
            expect(shown.get_by_text("Host is web-001")).to_be_visible()
        expect(frames.get_by_text("main", exact=True)).to_be_visible()


def test_pictures_show_what_is_zoomed_into(shown: Page) -> None:
    """The file holds what is on the screen, its ancestors included and nothing else."""
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    canvas.click(position={"x": box["width"] * 0.95, "y": 27})
    shown.get_by_role("button", name="export").click()
    with shown.expect_download() as saved:
        shown.get_by_role("menuitem", name="SVG").click()
    picture = saved.value.path().read_text()
    assert "eval" in picture
    assert ">all<" in picture
    assert "do_fsync" not in picture
