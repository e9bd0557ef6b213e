"""The views beside the flame graph, over an hour of three hosts."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page import world
from tests.serving import kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.browserfixtures import Complaints
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "") -> None:
    page.goto(f"{server.read}/?table=offcputime{query}")
    expect(page.locator(".figures")).to_contain_text("rows")


def _row(table: Locator, name: str) -> list[str]:
    row = table.locator("tbody tr").filter(has=table.page.get_by_text(name, exact=True)).first
    expect(row).to_be_visible()
    return row.locator("td").all_inner_texts()


def _drag(
    page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Drag between two places given as shares of the canvas's width and height."""
    box = canvas.bounding_box()
    assert box
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def test_a_drag_on_the_timeline_chooses_the_range(fleet: Serving, page: Page) -> None:
    """The range is then absolute, in the address, and everything is of it alone."""
    _open(page, fleet)
    before = _figure(page)
    _drag(page, page.locator(".timeline canvas"), (0.3, 0.5), (0.6, 0.5))
    expect(page).to_have_url(re.compile(r"from=20\d\d-.*to=20\d\d-"))
    expect(page.locator(".figures")).not_to_have_text(before)
    page.go_back()
    expect(page).not_to_have_url(re.compile("from=20"))


def _figure(page: Page) -> str:
    return page.locator(".figures").inner_text()


def test_a_box_on_the_heatmap_bounds_everything_else(fleet: Serving, page: Page) -> None:
    """Only the rows of the box's sizes and times are left in table and timeline; Escape ends it."""
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()
    # The smallest sizes: the half-second rows of the hostile process.
    _drag(page, page.locator(".heatmap canvas"), (0.2, 0.8), (0.9, 0.84))
    expect(page).to_have_url(re.compile(r"box=lengths,\d+"))
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_hidden()
    expect(frames.get_by_text(world.HOSTILE, exact=True)).to_be_visible()
    expect(page.locator(".timeline .legend")).not_to_contain_text("db")
    page.locator(".heatmap canvas").focus()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("box="))
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()


def test_two_clicks_on_the_heatmap_are_a_box_too(fleet: Serving, page: Page) -> None:
    """As in FlameScope: one click begins, another ends."""
    _open(page, fleet)
    canvas = page.locator(".heatmap canvas")
    canvas.click(position={"x": 300, "y": 5})
    canvas.click(position={"x": 600, "y": 80})
    expect(page).to_have_url(re.compile(r"box=lengths,\d+"))


def test_filters_are_chips_with_completion(fleet: Serving, page: Page) -> None:
    """Values are offered as one types; a chip can be removed; the address says it all."""
    _open(page, fleet)
    page.get_by_role("button", name="+ filter").first.click()
    page.get_by_label("Column", exact=True).select_option("process")
    page.get_by_label("Value", exact=True).last.fill("d")
    expect(page.locator("datalist option[value=db]")).to_have_count(1)
    page.get_by_label("Value", exact=True).last.fill("db")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(re.compile("filter=process=db"))
    expect(page.get_by_text("Process is db")).to_be_visible()
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("eval", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Remove filter: Process is db").click()
    expect(frames.get_by_text("eval", exact=True)).to_be_visible()


def test_the_sandwich_shows_callers_and_callees(fleet: Serving, page: Page) -> None:
    """A frame chosen from the menu stands between who called it and what it called."""
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("do_fsync", exact=True).click(button="right")
    page.get_by_role("menuitem", name=re.compile("Sandwich")).click()
    expect(page.locator(".sandwich .line")).to_contain_text("do_fsync")
    callees = page.get_by_role("application", name="Callees")
    callees.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".half").last.locator("[aria-live]")).to_contain_text("io_schedule")
    callers = page.get_by_role("application", name="Callers")
    callers.focus()
    page.keyboard.press("ArrowDown")
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    expect(page.locator(".half").first.locator("[aria-live]")).to_contain_text("write_log")


def test_a_frame_that_calls_itself_is_collapsed(fleet: Serving, page: Page) -> None:
    """Three nested calls become one node; leaf first turns the stacks round."""
    _open(page, fleet, "&filter=process=web&search=%5Eeval%24")
    page.get_by_role("button", name="collapse recursion").click()
    canvas = page.get_by_role("application", name="Flame graph")
    canvas.focus()
    said = page.locator(".flame [aria-live]")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("futex_wait")
    page.get_by_role("button", name="leaf first").click()
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("futex_wait")


def test_focus_keeps_only_stacks_through_a_frame(fleet: Serving, page: Page) -> None:
    """What does not run through the frame is gone from graph and table."""
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("take_lock", exact=True).click(button="right")
    page.get_by_role("menuitem", name=re.compile("Focus")).click()
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_hidden()
    assert _row(frames, "main")[2] == _row(frames, "take_lock")[2]


def test_hosts_are_ranked_and_one_click_compares(fleet: Serving, page: Page) -> None:
    """The host whose locks are slow is the farthest; its differential names what rose."""
    _open(page, fleet)
    page.get_by_role("tab", name="Hosts").click()
    hosts = page.get_by_role("table", name="Hosts")
    expect(hosts.locator("tbody tr").first).to_contain_text("web-003")
    hosts.get_by_role("button", name="web-003").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Host is web-003")).to_be_visible()
    frames = page.get_by_role("table", name="Frames")
    risen = _row(frames, "take_lock")[3]
    fallen = _row(frames, "write_log")[3]
    assert risen.startswith("+")
    assert fallen.startswith("\N{MINUS SIGN}")
    page.get_by_role("button", name="swap").click()
    expect(frames.locator("tbody tr").first).to_contain_text("write_log")


def test_vanished_frames_stay_in_the_differential(fleet: Serving, page: Page) -> None:
    """What only the baseline has is drawn and named, in a colour-blind safe palette if wished."""
    query = "&view=compare&base.from=same&base.filter=&filter=process=web&diffColor=red-blue"
    _open(page, fleet, query)
    frames = page.get_by_role("table", name="Frames")
    assert _row(frames, "do_fsync")[2] == "\N{EN DASH}"
    page.get_by_label("Search frames").fill("^do_fsync$")
    expect(page.locator(".matched")).to_contain_text("matched")
    page.get_by_role("button", name="Next match").click()
    expect(page.locator(".flame [aria-live]")).to_contain_text("vanished")


def test_a_banner_says_what_is_missing(fleet: Serving, page: Page) -> None:
    """Lost stacks and silent minutes, with host, share and reason, over the graph they spoil."""
    _open(page, fleet)
    banner = page.locator(".notices")
    expect(banner).to_contain_text("web-003")
    expect(banner).to_contain_text("of stacks were lost: the probe's stack map was full")
    expect(banner).to_contain_text("of the time is missing")


def test_an_empty_range_says_what_to_do(fleet: Serving, page: Page) -> None:
    """The filter that hides everything can be removed from where the graph would be."""
    page.goto(f"{fleet.read}/?table=offcputime&filter=process=nobody")
    expect(page.get_by_role("heading", name="Nothing in this range")).to_be_visible()
    page.get_by_role("button", name="Remove the filter Process is nobody").click()
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()


def test_an_error_stands_where_the_chart_would_be(
    fleet: Serving, page: Page, complaints: Complaints
) -> None:
    """A wrong regular expression in a filter is explained, and the rest of the page works."""
    complaints.expected = "status of 400"
    page.goto(f"{fleet.read}/?table=offcputime&filter=process__regex=(")
    failed = page.locator(".loader.failed").first
    expect(failed).to_contain_text("process__regex")
    page.get_by_role("button", name=re.compile("Remove filter")).click()
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()


def test_live_asks_again(fleet: Serving, page: Page) -> None:
    """New rows appear without a click."""
    page.clock.install()
    _open(page, fleet)
    page.get_by_role("button", name="live").click()
    with page.expect_response(re.compile("/api/v1/flamegraph/")):
        page.clock.run_for(11_000)


def test_exports_are_files(fleet: Serving, page: Page) -> None:
    """SVG and PNG are made by the page, folded stacks by the server."""
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()
    starts = {"SVG": b"<svg", "PNG": b"\x89PNG", "Folded stacks": b"<img"}
    for name, start in starts.items():
        page.get_by_role("button", name="export").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name=name).click()
        content = saved.value.path().read_bytes()
        assert content.startswith(start)
        assert b"do_fsync" in content or name == "PNG"


def test_a_drag_with_shift_chooses_the_baseline(fleet: Serving, page: Page) -> None:
    """Any stretch of the timeline can be what the shown range is compared with."""
    _open(page, fleet)
    page.keyboard.down("Shift")
    _drag(page, page.locator(".timeline canvas"), (0.2, 0.5), (0.4, 0.5))
    page.keyboard.up("Shift")
    expect(page).to_have_url(re.compile(r"view=compare.*base\.from=20.*base\.to=20"))
    expect(page.get_by_role("table", name="Frames")).to_contain_text("pp")
    page.get_by_role("button", name="relative").click()
    expect(page.get_by_role("table", name="Frames")).not_to_contain_text("pp")


def test_the_views_share_what_was_chosen(fleet: Serving, page: Page) -> None:
    """Filters, search and range stay as one goes from view to view and back."""
    _open(page, fleet, "&filter=process=web&search=futex&from=now-30m")
    for view in ("Sandwich", "Compare", "Rows", "Flame graph"):
        page.get_by_role("tab", name=view).click()
        expect(page.get_by_text("Process is web").first).to_be_visible()
        assert "filter=process=web" in page.url
        assert "search=futex" in page.url
        assert "from=now-30m" in page.url
    expect(page.locator(".matched")).to_contain_text("matched")


def test_keys_find_and_copy(fleet: Serving, page: Page) -> None:
    """Ctrl+F searches frames, Enter goes to the next match, a menu copies a name."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("do_fsync", exact=True)).to_be_visible()
    page.keyboard.press("Control+f")
    page.keyboard.type("fsync")
    page.keyboard.press("Enter")  # at once: a fast typist does not wait for the search
    expect(page.locator(".matched")).to_have_text("1 of 1")
    page.wait_for_timeout(200)
    expect(page.locator(".matched")).to_have_text("1 of 1")
    frames.get_by_text("do_fsync", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Copy name").click()
    assert page.evaluate("navigator.clipboard.readText()") == "do_fsync"


def test_the_first_rows_appear_by_themselves(built_page: None, page: Page, tmp_path: Path) -> None:
    """A new server says how to start an agent for it, in words that work; then it shows rows."""
    del built_page
    with serving(tmp_path) as server:
        page.goto(f"{server.read}/?table=offcputime")
        commands = page.locator(".command code")
        expect(commands.first).to_have_text(f"kscope agent offcputime --server {server.ingest}")
        program, *arguments = shlex.split(commands.last.inner_text())
        assert program == "kscope"
        command = kscope(*arguments, "--spool", tmp_path / "spool")
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as agent:
            frames = page.get_by_role("table", name="Frames")
            expect(frames.get_by_text("main", exact=True)).to_be_visible(timeout=30_000)
            expect(page.locator(".notices")).to_contain_text("Recorded data")
            agent.terminate()


def test_a_script_is_told_how_to_send(built_page: None, browser: Browser, tmp_path: Path) -> None:
    """The line to copy for a type without a probe stores a row when it is run, token and all."""
    del built_page
    token = "t" * 32
    digest = hashlib.sha256(token.encode()).hexdigest()
    config = tmp_path / "kernelscope.yaml"
    config.write_text(
        f"tokens: [{{name: ci, sha256: {digest}, scopes: [ingest, read]}}]\n"
        "ingest: '127.0.0.1:0'\nread: '127.0.0.1:0'\n"
    )
    with serving(tmp_path, "--config", config) as server:
        page = browser.new_page(http_credentials={"username": "", "password": token})
        page.goto(f"{server.read}/?table=marker")
        line = page.locator(".command code").inner_text(timeout=15_000)
        assert server.ingest in line
        subprocess.run(["sh", "-c", line.replace("TOKEN", token)], check=True, capture_output=True)
        expect(page.locator(".figures")).to_contain_text("1 rows", timeout=15_000)
        page.close()
