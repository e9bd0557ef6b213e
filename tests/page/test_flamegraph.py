"""The flame graph: what is clicked, and what is then seen."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.page.bar import token
from tests.page.recording import Profile, label
from tests.page.shown import wait_for
from tests.page.written import at_once, duration, percent
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playwright.sync_api import Browser, Page, Position

    from tests.page.recording import Path, Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser

ROW = 20
ROWS = world.host(datetime.now(UTC) - timedelta(minutes=5))
ALL = Profile(ROWS)
# A tenth of all: the thread that writes the log, waiting for something to write.
IDLE = ALL.matches("^futex_wait$")[1]


@pytest.fixture(scope="module")
def filled(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    del built_page
    with serving(tmp_path_factory.mktemp("flame")) as server:
        world.send(server, "offcputime", ROWS)
        yield server


@pytest.fixture
def shown(filled: Serving, page: Page) -> Page:
    page.goto(f"{filled.read}/?table=offcputime&presets=-")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    return page


def _frame_row(page: Page, name: str) -> str:
    """The total of a frame, as its line says it."""
    rows = page.get_by_role("table", name="Frames").locator("tbody tr")
    row = rows.filter(has=page.get_by_role("button", name=name, exact=True))
    return row.first.locator("td").last.inner_text()


def _names(rows: Iterable[Row]) -> set[str]:
    """Frames with what marks their kind: a function of the kernel is not one of a library."""
    return {frame for row in rows for frame in row["stack"].split(";") if frame}


def _turn(page: Page, name: str) -> None:
    """Turn the graph as an item of its menu says."""
    page.get_by_role("button", name="Direction").click()
    page.get_by_role("menuitemcheckbox", name=name).click()


def _place(page: Page, path: Path, level: int | None = None) -> Position:
    """The middle of a node, where nothing is zoomed into; or another level above or below it."""
    box = page.get_by_role("application", name="Flame graph").bounding_box()
    assert box
    middle = ALL.middle(path) * box["width"]
    return {"x": middle, "y": ROW * (len(path) if level is None else level) + ROW / 2}


def _labels(path: Path) -> list[str]:
    return ["all", *map(label, path)]


def test_the_table_sums_each_frame_once(shown: Page) -> None:
    """Total counts a frame that calls itself once; while threads wait, self says nothing."""
    expected = {name: at_once(total) for name, (_, total) in ALL.frames.items()}
    rows = shown.get_by_role("table", name="Frames").locator("tbody tr:not([aria-hidden])")
    names = rows.get_by_role("button").evaluate_all("all => all.map(one => one.ariaLabel)")
    there = dict(zip(names, rows.locator("td:last-child").all_inner_texts(), strict=True))
    assert len(there) > 20
    assert there == {name: expected[name] for name in there}
    head = shown.get_by_role("table", name="Frames").locator("th")
    expect(head).to_have_text(["Frame", "share", re.compile("threads")])
    # A tree's descent, which calls itself up to three times.
    shown.get_by_label("Search frames").fill("^btree_descend$")
    expect(shown.locator(".matched")).to_have_text(ALL.matched("^btree_descend$"))
    assert _frame_row(shown, "btree_descend") == expected["btree_descend"]


def test_frames_that_always_have_the_same_are_one_line(shown: Page) -> None:
    """The deepest stands for its callers, which a filter of the table brings out one by one."""
    frames = shown.get_by_role("table", name="Frames")
    rows = frames.locator("tbody tr:not([aria-hidden])")
    folded = rows.filter(has=shown.get_by_role("button", name="futex_do_wait", exact=True))
    expect(folded.locator(".more")).to_have_text(re.compile(r"\+\d"))
    expect(frames.get_by_role("button", name="__futex_wait", exact=True)).to_have_count(0)
    field = shown.get_by_label("Filter the frames of the table")
    expect(field).to_have_attribute("placeholder", f"Filter {len(_names(ROWS))} frames")
    field.fill("futex_wait")
    found = [name for name in _names(ROWS) if "futex_wait" in name]
    expect(rows).to_have_count(len(found))
    assert _frame_row(shown, "__futex_wait") == at_once(ALL.frames["__futex_wait"][1])


def test_the_table_follows_the_zoom_and_is_saved(shown: Page) -> None:
    """Frames of the zoomed part alone, with its sums; the file has each of them."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.click(position=_place(shown, ("shopdb-ckpt",)))
    rows = [row for row in ROWS if row["process"] == "shopdb-ckpt"]
    part, names = Profile(rows), _names(rows)
    field = shown.get_by_label("Filter the frames of the table")
    expect(field).to_have_attribute("placeholder", f"Filter {len(names)} frames")
    assert _frame_row(shown, "checkpointer_main") == at_once(part.frames["checkpointer_main"][1])
    with shown.expect_download() as saved:
        shown.get_by_role("button", name="CSV").click()
    lines = [*csv.DictReader(saved.value.path().read_text().splitlines())]
    assert {one["frame"] for one in lines} == names
    sums = {one["frame"]: int(one["total (us)"]) for one in lines}
    assert sums["checkpointer_main"] == part.frames["checkpointer_main"][1]


def test_a_search_says_how_much_it_matched(shown: Page) -> None:
    """A regular expression matches frames of any kind; its share counts no stack twice."""
    search = shown.get_by_label("Search frames")
    pattern = "^(__x64_sys_|do_)?(fsync|futex|nanosleep)$|^read_query$"
    search.fill(pattern)
    expect(shown.locator(".matched")).to_have_text(ALL.matched(pattern))
    search.fill("(")
    expect(search).to_have_attribute("aria-invalid", "true")


def test_a_search_is_part_of_the_address(shown: Page) -> None:
    """A user who opens the link sees the same highlight."""
    shown.get_by_label("Search frames").fill("futex")
    expect(shown.locator(".matched")).to_have_text(ALL.matched("futex"))
    expect(shown).to_have_url(re.compile("search=futex"))
    other = shown.context.new_page()
    other.goto(shown.url)
    expect(other.locator(".matched")).to_have_text(ALL.matched("futex"))


def test_a_click_zooms_and_the_breadcrumb_leads_back(shown: Page) -> None:
    """Zooming keeps the way back in sight, in the breadcrumb and in the browser's history."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.click(position=_place(shown, ("shopdb-ckpt",)))
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", "shopdb-ckpt"])
    shown.go_back()
    expect(crumbs).to_have_text(["all"])


def test_steps_within_one_picture_are_gone_back_one_by_one(shown: Page) -> None:
    """Each step of a fast user is in the browser's history."""
    shown.get_by_role("application", name="Flame graph").evaluate(
        """canvas => {
            const press = key => canvas.dispatchEvent(new KeyboardEvent('keydown', {key}))
            press('+')
            press('+')
        }"""
    )
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(_labels(ALL.widest(2)))
    expect(shown).to_have_url(re.compile("zoom=[^&]+;"))
    for depth in (1, 0):
        shown.go_back()
        expect(crumbs).to_have_text(_labels(ALL.widest(depth)))


def test_keys_walk_the_frames_and_a_screen_reader_hears_them(shown: Page) -> None:
    """Arrows go down the widest child, Enter zooms, Escape leaves the zoom."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.focus()
    for _ in range(5):
        shown.keyboard.press("ArrowDown")
    widest = ALL.widest(4)
    said = shown.locator(".flame [aria-live]")
    expect(said).to_contain_text(label(widest[-1]))
    expect(said).to_contain_text(f"{percent(ALL.nodes[widest], ALL.total)} of all")
    shown.keyboard.press("Enter")
    crumbs = shown.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(_labels(widest))
    shown.keyboard.press("Escape")
    expect(crumbs).to_have_text(["all"])


def test_the_tooltip_gives_unit_and_share(shown: Page) -> None:
    """Resting on a frame tells its kind, its time and its share."""
    shown.get_by_role("application", name="Flame graph").hover(position=_place(shown, IDLE))
    tip = shown.locator(".flame .tip")
    expect(tip.locator("strong")).to_have_text("futex_wait")
    value = ALL.nodes[IDLE]
    told = tip.locator("dd")
    share = f"{percent(value, ALL.total)} of all"
    expect(told.nth(0)).to_have_text(f"{at_once(value)} threads \N{MIDDLE DOT} {share}")
    expect(told.nth(1)).to_have_text(f"{duration(value)} ({value:,} µs)")
    expect(told.last).to_have_text("kernel")


def test_names_from_the_kernel_stay_text(filled: Serving, page: Page) -> None:
    """A process or a frame that is called like markup shows as that text, everywhere."""
    page.goto(f"{filled.read}/?table=offcputime&presets=-&filter=process={quote(world.HOSTILE)}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text(world.HOSTILE, exact=True)).to_be_visible()
    expect(page.locator(".facts .legend")).to_contain_text(world.HOSTILE)
    expect(page.locator(".bar .chip")).to_contain_text(world.HOSTILE)
    page.get_by_role("tab", name="Rows").click()
    cells = page.get_by_role("table", name="Rows").get_by_text(world.HOSTILE, exact=True)
    expect(cells).to_have_count(2)  # the process, and the frame that tells something
    expect(cells.last).to_be_visible()
    assert page.locator("img").count() == 0


def _pixel(page: Page, x: float, level: int) -> list[int]:
    """Return the colour of a level of the graph, at a share of its width, above the text."""
    return page.get_by_role("application", name="Flame graph").evaluate(
        """(canvas, [x, level]) => {
            const ratio = canvas.width / canvas.clientWidth
            const at = [canvas.width * x, (20 * level + 3) * ratio].map(Math.round)
            return [...canvas.getContext('2d').getImageData(...at, 1, 1).data]
        }""",
        [x, level],
    )


def test_a_flame_graph_grows_upward_if_wished(shown: Page) -> None:
    """The root then lies at the bottom, and arrows go the way that the picture goes."""
    _turn(shown, "Grow upward")
    canvas = shown.get_by_role("application", name="Flame graph")
    box = canvas.bounding_box()
    assert box
    x = ALL.middle(("shopweb",)) * box["width"]
    canvas.hover(position={"x": x, "y": box["height"] - ROW / 2})
    expect(shown.locator(".flame .tip")).to_contain_text("all")
    canvas.hover(position={"x": x, "y": box["height"] - ROW * 3 / 2})
    expect(shown.locator(".flame .tip")).to_contain_text("shopweb")
    canvas.focus()
    shown.keyboard.press("ArrowUp")
    shown.keyboard.press("ArrowUp")
    expect(shown.locator(".flame [aria-live]")).to_contain_text("shopweb")


def test_colours_tell_kind_or_self(shown: Page) -> None:
    """By self, what was on top the longest is the strongest; the legend explains each."""
    # Waits end in __schedule, which nothing else but schedule calls here.
    way = ALL.matches("^__schedule$")[0]
    x, top = ALL.middle(way), len(way)
    legend = shown.locator(".legend > .legend")
    expect(legend).to_contain_text("kernel")
    shown.get_by_label("Colours", exact=True).select_option("value")
    expect(legend).to_contain_text("self: none")
    expect(legend).not_to_contain_text("kernel")
    wait_for(shown, lambda: _pixel(shown, x, top - 1) == _pixel(shown, x, 2))
    assert _pixel(shown, x, top) != _pixel(shown, x, top - 1)
    shown.get_by_label("Search frames").fill("^schedule$")
    expect(legend).to_contain_text("matches the search")
    # A match keeps its colour, and all others are paler.
    strong = _pixel(shown, x, top - 1)
    wait_for(shown, lambda: _pixel(shown, x, top) != _pixel(shown, x, top - 1) == strong)


def test_it_is_crisp_on_fine_screens(filled: Serving, browser: Browser) -> None:
    """Where a pixel of the page is two of the screen, the picture has them all."""
    context = browser.new_context(device_scale_factor=2)
    page = context.new_page()
    page.goto(f"{filled.read}/?table=offcputime&presets=-")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    canvas = page.get_by_role("application", name="Flame graph")
    drawn = "canvas => canvas.width === 2 * canvas.clientWidth"
    page.wait_for_function(drawn, arg=canvas.element_handle())
    x = ALL.middle(IDLE)
    assert _pixel(page, x, 1) != _pixel(page, x, len(IDLE) + 6)
    context.close()


def test_boxes_begin_and_end_on_pixels(filled: Serving, browser: Browser) -> None:
    """No edge is blurred on a screen with a pixel and a half for one of the page."""
    context = browser.new_context(device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{filled.read}/?table=offcputime&presets=-&search=^schedule$")
    expect(page.locator(".legend > .legend")).to_contain_text("matches the search")
    page.wait_for_timeout(50)
    schedule = len(ALL.matches("^schedule$")[0])
    ground, border = (0xFC, 0xFC, 0xFB), (0x4F, 0x46, 0xD8)
    groups = set(_colours(page, "across", ROW + 2.2))
    assert ground in groups
    assert len(groups) == 2
    across = set(_colours(page, "across", ROW * schedule + 2.2))
    assert {ground, border} < across
    assert len(across) < 12
    context.close()


def _colours(page: Page, way: str, at: float) -> list[tuple[int, ...]]:
    """All colours along a line through the graph, which should miss the text."""
    found = page.get_by_role("application", name="Flame graph").evaluate(
        """(canvas, [way, at]) => {
            const { width, height } = canvas
            const place = Math.round(at * width / canvas.clientWidth)
            const line = way === 'down' ? [place, 0, 1, height] : [0, place, width, 1]
            const pixels = canvas.getContext('2d').getImageData(...line).data
            const colours = new Set()
            for (let k = 0; k < pixels.length; k += 4) colours.add(pixels.slice(k, k + 3).join())
            return [...colours].map(one => one.split(',').map(Number))
        }""",
        [way, at],
    )
    return [*map(tuple, found)]


def test_matches_are_gone_to_one_by_one(shown: Page) -> None:
    """The largest first; n and N, Enter and the arrows beside the box go on and back."""
    search = shown.get_by_label("Search frames")
    search.focus()
    shown.keyboard.type("nanosleep")
    places = ALL.matches("nanosleep")
    many = len(places)
    assert many > 2
    # At once: what has been typed counts, even before the pause that starts a search.
    shown.get_by_role("button", name="Next match").click()
    matched = shown.locator(".matched")
    expect(matched).to_have_text(f"1 of {many}")
    said = shown.locator(".flame [aria-live]")
    expect(said).to_contain_text(at_once(ALL.nodes[places[0]]))
    shown.get_by_role("application", name="Flame graph").focus()
    steps = shown.evaluate("history.length")
    for key, place in [*(("n", k) for k in range(2, many + 1)), ("n", 1), ("N", many)]:
        shown.keyboard.press(key)
        expect(matched).to_have_text(f"{place} of {many}")
        expect(said).to_contain_text(at_once(ALL.nodes[places[place - 1]]))
    assert shown.evaluate("history.length") == steps
    shown.get_by_role("button", name="Previous match").click()
    expect(matched).to_have_text(f"{many - 1} of {many}")
    shown.reload()
    expect(matched).to_have_text(ALL.matched("nanosleep"))
    shown.get_by_role("button", name="Previous match").click()
    expect(matched).to_have_text(f"{many} of {many}")


def test_a_stack_is_copied_from_the_menu(shown: Page) -> None:
    """Root first, as everywhere; Escape in the menu leaves the focus on the graph."""
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.focus()
    for _ in range(4):
        shown.keyboard.press("ArrowDown")
    shown.keyboard.press("m")
    expect(shown.get_by_role("menu")).to_be_visible()
    shown.keyboard.press("Escape")
    expect(canvas).to_be_focused()
    shown.keyboard.press("m")
    shown.get_by_role("menuitem", name="Copy stack").click()
    assert shown.evaluate("navigator.clipboard.readText()") == ";".join(ALL.widest(3))
    expect(canvas).to_be_focused()


@pytest.mark.parametrize("refusal", ["undefined", "{writeText: () => Promise.reject()}"])
def test_copying_needs_no_secure_page(filled: Serving, page: Page, refusal: str) -> None:
    """On plain HTTP a browser has no clipboard for scripts, or refuses it."""
    page.add_init_script(
        f"Object.defineProperty(navigator, 'clipboard', {{value: {refusal}}})",
    )
    page.goto(f"{filled.read}/?table=offcputime&presets=-")
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("start_thread", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Copy name").click()
    page.get_by_label("Search frames").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_label("Search frames")).to_have_value("start_thread")


def test_what_cannot_be_copied_stands_there_to_be_copied(filled: Serving, page: Page) -> None:
    """Nothing says that it was copied where it was not."""
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        "document.execCommand = () => false",
    )
    page.goto(f"{filled.read}/?table=offcputime&presets=-&from=now-1h&to=now-1m")
    page.get_by_role("button", name="share").click()
    page.get_by_role("menuitem", name="Link to what is shown now").click()
    box = page.get_by_label("Text to copy")
    expect(box).to_have_value(re.compile(r"from=20\d\d-.*to=20\d\d-"))
    expect(box).to_be_focused()
    expect(page.get_by_text("copied")).to_have_count(0)


def test_a_focus_that_nothing_runs_through_can_be_removed(filled: Serving, page: Page) -> None:
    """The data changes while the focus stays, in the address too."""
    page.goto(f"{filled.read}/?table=offcputime&presets=-&focus=no_such")
    over = page.locator(".graph .over")
    expect(over).to_contain_text("No stack here runs through no_such.")
    over.get_by_role("button", name="Remove focus").click()
    expect(page.get_by_role("table", name="Frames")).to_contain_text("start_thread")
    expect(over.locator(".empty")).to_have_count(0)


def test_the_tooltip_follows_the_zoom_and_counts_events(shown: Page) -> None:
    """After a click the tooltip describes the new frame under the pointer, with its events."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.hover(position=_place(shown, IDLE[:1]))
    tip = shown.locator(".flame .tip")
    expect(tip).to_contain_text(IDLE[0])
    expect(tip).to_contain_text(f"waits{ALL.count(IDLE[:1]):,}")
    canvas.click(position=_place(shown, IDLE, 3))
    expect(tip).to_contain_text(label(IDLE[2]))
    expect(tip).to_contain_text(f"waits{ALL.count(IDLE[:3]):,}")
    canvas.click(position=_place(shown, IDLE, 0))
    expect(tip).to_contain_text("all")
    expect(tip).to_contain_text(f"waits{ALL.events.total():,}")


def test_stacks_are_grouped_by_any_column(shown: Page) -> None:
    """By the host, or not at all; the menu then filters by what groups."""
    frames = shown.get_by_role("table", name="Frames")
    canvas = shown.get_by_role("application", name="Flame graph")
    grouping = shown.get_by_label("Group by")
    ungrouped = label(Profile(ROWS, by="").widest(1)[0])
    for group, first in (("hostname", "shop-1"), ("-", ungrouped)):
        with shown.expect_response(re.compile("/api/v1/flamegraph/")):
            grouping.select_option(group)
        expect(shown).to_have_url(re.compile(f"group={group}"))

        def tells(first: str = first) -> bool:
            canvas.focus()
            shown.keyboard.press("0")
            shown.keyboard.press("ArrowDown")
            return first in shown.locator(".flame [aria-live]").inner_text()

        # Keys go to what is drawn, which may still be the grouping before.
        wait_for(shown, tells)
        if group == "hostname":
            shown.keyboard.press("m")
            shown.get_by_role("menuitem", name="Only shop-1").click()
            expect(token(shown, "Host is shop-1")).to_be_visible()
        expect(frames.get_by_text("start_thread", exact=True)).to_be_visible()


def test_pictures_show_what_is_zoomed_into(shown: Page) -> None:
    """The file holds what is on the screen, its ancestors included and nothing else."""
    canvas = shown.get_by_role("application", name="Flame graph")
    canvas.click(position=_place(shown, ("shopdb-ckpt",)))
    shown.get_by_role("button", name="Export").click()
    with shown.expect_download() as saved:
        shown.get_by_role("menuitem", name="SVG").click()
    picture = saved.value.path().read_text()
    assert "checkpointer_main" in picture
    assert ">all<" in picture
    assert "shopweb" not in picture
