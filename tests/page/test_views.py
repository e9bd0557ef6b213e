"""The views beside the flame graph, over three hosts' rows of the last hour."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.page.bar import field, offered, token
from tests.page.recording import Profile, has, label
from tests.page.shown import boxed, chosen, expect_shown
from tests.page.world import SLOW
from tests.page.written import at_once, duration, percent
from tests.serving import kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.browserfixtures import Complaints
    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Frames of the kernel that say that a thread waits, and not for what.
WAITING = re.compile(r"schedule|futex|do_syscall|entry_SYSCALL|sys_")
# Whether a canvas has a pixel of a colour.
HAS_COLOUR = """([canvas, [red, green, blue]]) => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < data.length; i += 4)
    if (data[i] === red && data[i + 1] === green && data[i + 2] === blue) return true;
  return false;
}"""


def _open(page: Page, server: Serving, query: str = "") -> None:
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    expect(page.locator(".figures")).to_contain_text("rows")


def _heatmap(page: Page) -> Locator:
    """The heatmap's canvas, once there is something drawn on it."""
    page.wait_for_load_state("networkidle")
    return page.locator(".heatmap canvas")


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


@pytest.mark.parametrize("how", ["button", "key", "mouse"])
def test_a_selection_on_the_timeline_becomes_the_range(
    fleet: Serving, fleet_rows: list[Row], page: Page, how: str
) -> None:
    """A drag selects; by button, key or double click the range is then absolute, and all of it."""
    _open(page, fleet)
    expect_shown(page, fleet_rows)
    timeline = page.locator(".timeline canvas")
    _drag(page, timeline, (0.4, 0.5), (0.7, 0.5))
    expect(page).to_have_url(re.compile("box=,"))
    if how == "button":
        page.get_by_role("button", name="zoom in").click()
    elif how == "key":
        page.get_by_role("application", name="Timeline").press("Enter")
    else:
        timeline.dblclick(position={"x": 550, "y": 50})
    expect(page).to_have_url(re.compile(r"from=20\d\d-.*to=20\d\d-"))
    expect(page).not_to_have_url(re.compile("box="))
    expect_shown(page, chosen(page, fleet_rows))
    page.get_by_role("button", name="zoom out").click()
    expect(page).not_to_have_url(re.compile("from=20"))
    expect(page).to_have_url(re.compile("box=,"))
    page.go_back()
    expect_shown(page, chosen(page, fleet_rows))


def test_a_box_on_the_heatmap_bounds_everything_else(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Only the rows of the box's sizes and times are left in table and timeline; Escape ends it."""
    _open(page, fleet)
    expect_shown(page, fleet_rows)
    # The largest sizes: threads that wait for seconds.
    _drag(page, _heatmap(page), (0.4, 0.03), (0.7, 0.1))
    expect(page).to_have_url(re.compile(r"box=lengths,\d+"))
    left = boxed(page, fleet_rows)
    assert 0 < len(left) < 0.1 * len(fleet_rows)
    expect_shown(page, left)
    page.get_by_role("application", name="Timeline").press("Escape")
    expect(page).not_to_have_url(re.compile("box="))
    expect_shown(page, fleet_rows)


def test_two_clicks_on_the_heatmap_are_a_box_too(fleet: Serving, page: Page) -> None:
    """As in FlameScope: one click begins, another ends."""
    _open(page, fleet)
    canvas = _heatmap(page)
    canvas.click(position={"x": 300, "y": 5})
    canvas.click(position={"x": 600, "y": 80})
    expect(page).to_have_url(re.compile(r"box=lengths,\d+"))


def test_filters_are_tokens_with_completion(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Values are offered with their rows; a token can be removed; the address has every filter."""
    _open(page, fleet)
    field(page).fill("process=shopdb")
    rows = Counter(row["process"] for row in fleet_rows if row["process"].startswith("shopdb"))
    expect(offered(page)).to_have_count(len(rows))
    assert sorted(offered(page).all_inner_texts()) == sorted(
        f"{name}\n{count:,}" for name, count in rows.items()
    )
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter=process=shopdb"))
    expect(token(page, "Process is shopdb")).to_have_text("process=shopdb")
    expect_shown(page, [row for row in fleet_rows if row["process"] == "shopdb"])
    page.get_by_role("button", name="Remove filter: Process is shopdb").click()
    expect_shown(page, fleet_rows)


def test_the_sandwich_shows_callers_and_callees(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A frame chosen from the menu stands between who called it and what it called."""
    _open(page, fleet, "&presets=-")
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("receive", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Callers and callees").click()
    expect(page.locator(".sandwich .line")).to_contain_text("receive")
    callers, callees = _around(fleet_rows, "receive")
    graph = page.get_by_role("application", name="Callees")
    graph.focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    expect(page.locator(".half").last.locator("[aria-live]")).to_contain_text(callees)
    graph = page.get_by_role("application", name="Callers")
    graph.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".half").first.locator("[aria-live]")).to_contain_text(callers)
    expect(page.locator(".sandwich .line")).to_contain_text(re.compile(r"total .* threads"))
    facts = page.locator(".middlefacts")
    facts.get_by_role("button", name=callers, exact=True).click()
    expect(page.locator(".sandwich .line")).to_contain_text(callers)
    steps = page.get_by_role("navigation", name="Frames in the middle").get_by_role("button")
    expect(steps).to_have_text(["receive", callers])


def _around(rows: list[Row], frame: str) -> tuple[str, str]:
    """Who calls a frame the longest, and what it calls the longest, as the page writes it."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for path, value in Profile(rows).sums.items():
        at = next((k for k, name in enumerate(path) if label(name) == frame), None)
        if at is not None:
            before[path[at - 1]] += value
            after[path[at + 1] if at + 1 < len(path) else ""] += value
    return label(before.most_common(1)[0][0]), label(after.most_common(1)[0][0])


def test_a_frame_that_calls_itself_is_collapsed(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Calls of a frame by itself become one node; leaf first turns the stacks round."""
    # Down a tree, and down again: the deepest descent that was recorded.
    twice = "btree_descend;btree_descend;btree_descend"
    through = next(row for row in fleet_rows if twice in row["stack"])
    stack = quote(through["stack"], safe="")
    _open(page, fleet, f"&filter=process={through['process']}&filter=stack__contains={stack}")
    expect(page.get_by_role("table", name="Frames")).to_contain_text("btree_descend")
    path = [through["process"], *map(label, through["stack"].split(";"))]
    at = path.index("btree_descend")
    canvas = page.get_by_role("application", name="Flame graph")
    said = page.locator(".flame [aria-live]")
    for calls in (3, 1):
        _descend(page, at + 1 + calls, said, path[at + 3])
        _turn(page, "Collapse recursion")
    _turn(page, "Leaf first")
    canvas.focus()
    page.keyboard.press("0")
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text(path[-1])


def _descend(page: Page, steps: int, said: Locator, name: str) -> None:
    """Go down from the root, again if the graph was drawn while the keys came."""
    for _ in range(20):
        page.get_by_role("application", name="Flame graph").focus()
        page.keyboard.press("0")
        for _ in range(steps):
            page.keyboard.press("ArrowDown")
        if name in said.inner_text():
            break
        page.wait_for_timeout(100)
    expect(said).to_contain_text(name)


def _turn(page: Page, name: str) -> None:
    page.get_by_role("button", name="Direction").click()
    page.get_by_role("menuitemcheckbox", name=name).click()


def test_focus_keeps_only_stacks_through_a_frame(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Stacks without the frame disappear from graph and table."""
    _open(page, fleet)
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("session_main", exact=True).click(button="right")
    page.get_by_role("menuitem", name=re.compile("Focus")).click()
    left = Profile(row for row in fleet_rows if has(row, "session_main"))
    first = frames.locator("tbody tr").first.locator("td").last
    expect(first).to_have_text(at_once(left.total))
    assert _row(frames, "session_main")[-1] == at_once(left.total)


def test_hosts_are_ranked_and_one_click_compares(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """The host whose locks are slow is the farthest; its differential names what rose."""
    _open(page, fleet)
    page.get_by_role("tab", name="Hosts").click()
    hosts = page.get_by_role("table", name="Hosts")
    hosts.get_by_role("button", name=SLOW, exact=True).click()
    expect(page).to_have_url(re.compile(f"opened={SLOW}"))
    expect(page.get_by_role("application", name=f"{SLOW} against the hosts alike")).to_be_visible()
    expect(page.locator(".differences")).to_contain_text("lock_wait")
    page.get_by_role("button", name="Compare with the hosts alike").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(token(page, f"Host is {SLOW}")).to_have_text(f"host={SLOW}")
    frames = page.get_by_role("table", name="Frames")
    slow, others = (
        Profile(row for row in fleet_rows if (row["hostname"] == SLOW) is this)
        for this in (True, False)
    )
    was, now = (side.share("lock_wait") for side in (others, slow))
    shares = [percent(was, 1), percent(now, 1)]
    assert _row(frames, "lock_wait")[1:3] == shares
    page.get_by_role("button", name="Swap A and B").click()
    expect(frames.locator("tbody tr").first).to_be_visible()
    assert _row(frames, "lock_wait")[1:3] == shares[::-1]


def test_a_row_opens_with_its_stack_and_the_ways_on(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A click shows the whole stack and all values; a link leads to it in the graph, and back."""
    page.goto(f"{fleet.read}/?table=offcputime&view=rows&rowsOrder=-elapsed")
    rows = page.get_by_role("table", name="Rows").locator("tbody tr")
    longest = max(fleet_rows, key=lambda row: row["elapsed"])
    names = longest["stack"].split(";")
    telling = [label(name) for name in reversed(names) if not WAITING.search(name)]
    expect(rows.first.locator("b")).to_have_text(telling[0])
    expect(rows.first.locator("svg")).to_be_visible()
    rows.first.get_by_role("button").click()
    expect(page).to_have_url(re.compile(r"opened=\w"))
    detail = page.locator(".rowdetail")
    expect(detail.get_by_role("listitem")).to_have_text([label(name) for name in reversed(names)])
    expect(detail.locator("li.tell")).to_have_text(telling[0])
    expect(detail).to_contain_text(duration(longest["elapsed"]))
    page.reload()
    detail.get_by_role("button", name=re.compile("in the flame graph")).click()
    crumbs = page.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", longest["process"], *map(label, names)])
    expect(page).to_have_url(re.compile("box="))
    page.go_back()
    detail.get_by_title(re.compile("(Earlier|Later) row")).first.click()
    expect(detail.locator("li.tell")).to_be_visible()


def test_folded_idle_time_keeps_its_amount(fleet: Serving, page: Page) -> None:
    """Wall clock has a column for the idle time that it hides; a click brings it into the graph."""
    page.goto(f"{fleet.read}/?table=wallclock")
    idle = page.get_by_role("button", name=re.compile("idle: a click unfolds it"))
    expect(idle).to_contain_text(re.compile(r"idle\s*\d"))
    graph = page.get_by_role("application", name="Flame graph")
    narrow = graph.evaluate("graph => graph.clientWidth")
    idle.click()
    expect(page).to_have_url(re.compile("presets=-"))
    expect(idle).to_have_count(0)
    page.wait_for_function(
        "([one, width]) => one.clientWidth > width", arg=[graph.element_handle(), narrow]
    )


def test_a_state_has_one_colour(fleet: Serving, page: Page) -> None:
    """The strips of the graph's states are painted as the timeline and its legend are."""
    page.goto(f"{fleet.read}/?table=wallclock")
    graph = page.get_by_role("application", name="Flame graph")
    expect(graph).to_be_visible()
    swatch = page.locator(".legend.series").get_by_role("button", name="lock").locator(".swatch")
    colour = swatch.evaluate("one => getComputedStyle(one).backgroundColor")
    wanted = [int(part) for part in re.findall(r"\d+", colour)]
    page.wait_for_function(HAS_COLOUR, arg=[graph.element_handle(), wanted])


def test_vanished_frames_stay_in_the_differential(fleet: Serving, page: Page) -> None:
    """Frames only in the baseline are drawn and labelled, also in a colour-blind safe palette."""
    query = "&view=compare&base.from=same&base.filter=&filter=process=shopweb&diffColor=red-green"
    _open(page, fleet, f"{query}&search=%5Elog_writer_main%24")
    frames = page.get_by_role("table", name="Frames")
    assert _row(frames, "log_writer_main")[2] == "\N{EN DASH}"
    expect(page.locator(".matched")).to_contain_text("matched")
    page.get_by_role("button", name="Next match").click()
    expect(page.locator(".flame [aria-live]")).to_contain_text("gone")


def test_a_banner_says_what_is_missing(fleet: Serving, page: Page) -> None:
    """Lost stacks and silent minutes, with host, share and reason, over the graph they spoil."""
    _open(page, fleet)
    banner = page.locator(".notices")
    expect(banner).to_contain_text(SLOW)
    expect(banner).to_contain_text("of stacks were lost: the probe's stack map was full")
    expect(banner).to_contain_text("of the time is missing")


def test_an_empty_range_says_what_to_do(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """The filter that hides everything can be removed from where the graph would be."""
    page.goto(f"{fleet.read}/?table=offcputime&presets=-&filter=process=nobody")
    expect(page.get_by_role("heading", name="Nothing in this range")).to_be_visible()
    page.get_by_role("button", name="Remove the filter Process is nobody").click()
    expect_shown(page, fleet_rows)


def test_an_error_stands_where_the_chart_would_be(
    fleet: Serving, fleet_rows: list[Row], page: Page, complaints: Complaints
) -> None:
    """A wrong regular expression in a filter is explained, and the rest of the page works."""
    complaints.expected = "status of 400"
    page.goto(f"{fleet.read}/?table=offcputime&presets=-&filter=process__regex=(")
    failed = page.locator(".loader.failed").first
    expect(failed).to_contain_text("process__regex")
    page.get_by_role("button", name=re.compile("Remove filter")).click()
    expect_shown(page, fleet_rows)


def test_live_asks_again(fleet: Serving, page: Page) -> None:
    """New rows appear without a click."""
    page.clock.install()
    _open(page, fleet)
    page.get_by_role("button", name="live").click()
    with page.expect_response(re.compile("/api/v1/flamegraph/")):
        page.clock.run_for(11_000)


def test_exports_are_files(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """SVG and PNG are made by the page, folded stacks by the server."""
    _open(page, fleet)
    expect_shown(page, fleet_rows)
    for name, start in {"SVG": b"<svg", "PNG": b"\x89PNG"}.items():
        content = _exported(page, name)
        assert content.startswith(start)
        assert b"take_request" in content or name == "PNG"
    lines = _exported(page, "Folded stacks").decode().splitlines()
    folded = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines}
    assert folded == {";".join(path): value for path, value in Profile(fleet_rows).sums.items()}


def _exported(page: Page, name: str) -> bytes:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name=name).click()
    return saved.value.path().read_bytes()


def test_rows_are_files(fleet: Serving, page: Page) -> None:
    """CSV and NDJSON have buttons, the other formats that the server can write are in a menu."""
    _open(page, fleet, "&view=rows")
    for name, start in {
        "Parquet": b"PAR1",
        "Arrow": b"ARROW1",
        "Trace": b'{"traceEvents":[',
    }.items():
        page.get_by_role("button", name="Other formats").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name=name).click()
        assert saved.value.path().read_bytes().startswith(start)


def test_a_drag_with_shift_chooses_the_baseline(fleet: Serving, page: Page) -> None:
    """Any stretch of the timeline can be what the shown range is compared with."""
    _open(page, fleet)
    page.keyboard.down("Shift")
    _drag(page, page.locator(".timeline canvas"), (0.2, 0.5), (0.4, 0.5))
    page.keyboard.up("Shift")
    expect(page).to_have_url(re.compile(r"view=compare.*base\.from=20.*base\.to=20"))
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).not_to_contain_text("%")
    page.get_by_label("Compare by").select_option("share")
    expect(frames.locator("tbody tr").first).to_contain_text("%")


def test_the_views_share_what_was_chosen(fleet: Serving, page: Page) -> None:
    """Filters, search and range stay as one goes from view to view and back."""
    _open(page, fleet, "&filter=process=shopweb&search=futex&from=now-30m")
    for view in ("Sandwich", "Compare", "Rows", "Flame graph"):
        page.get_by_role("tab", name=view).click()
        expect(token(page, "Process is shopweb")).to_be_visible()
        assert "filter=process=shopweb" in page.url
        assert "search=futex" in page.url
        assert "from=now-30m" in page.url
    expect(page.locator(".matched")).to_contain_text("matched")


def test_keys_find_and_copy(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """Ctrl+F searches frames, Enter goes to the next match, a menu copies a name."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, fleet)
    expect_shown(page, fleet_rows)
    matches = len(Profile(fleet_rows).matches("fsync"))
    page.keyboard.press("Control+f")
    page.keyboard.type("fsync")
    page.keyboard.press("Enter")  # at once: a fast typist does not wait for the search
    expect(page.locator(".matched")).to_have_text(f"1 of {matches}")
    page.wait_for_timeout(200)
    expect(page.locator(".matched")).to_have_text(f"1 of {matches}")
    frames = page.get_by_role("table", name="Frames")
    frames.get_by_text("do_fsync", exact=True).click(button="right")
    page.get_by_role("menuitem", name="Copy name").click()
    assert page.evaluate("navigator.clipboard.readText()") == "do_fsync"


def test_the_first_rows_appear_by_themselves(built_page: None, page: Page, tmp_path: Path) -> None:
    """A new server shows a command that starts an agent; the command works, and rows appear."""
    del built_page
    with serving(tmp_path) as server:
        page.goto(f"{server.read}/?table=offcputime")
        commands = page.locator(".command code")
        expect(commands.first).to_have_text(
            f"sudo kscope agent offcputime --server {server.ingest}"
        )
        program, *arguments = shlex.split(commands.last.inner_text())
        assert program == "kscope"
        command = kscope(*arguments, "--spool", tmp_path / "spool")
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as agent:
            frames = page.get_by_role("table", name="Frames")
            expect(frames.get_by_text("start_thread", exact=True)).to_be_visible(timeout=30_000)
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
        for table in ("marker", "pressure"):
            page.goto(f"{server.read}/?table={table}")
            line = page.locator(".command code").inner_text(timeout=15_000)
            assert server.ingest in line
            # A default of the category fills a value that a row may omit.
            assert "stalled" not in line
            command = ["sh", "-c", line.replace("TOKEN", token)]
            subprocess.run(command, check=True, capture_output=True)
            expect(page.locator(".figures")).to_contain_text("1 rows", timeout=15_000)
        page.close()


def test_rows_about_agents_come_with_any_agent(
    built_page: None, tmp_path: Path, page: Page
) -> None:
    """A first visit names the program that sends such rows; the user need not write them."""
    del built_page
    with serving(tmp_path) as server:
        page.goto(f"{server.read}/?table=agent")
        first = page.locator(".empty.first")
        expect(first).to_contain_text("Every agent sends these")
        commands = first.locator(".command code")
        expect(commands).to_have_text([f"sudo kscope agent offcputime --server {server.ingest}"])
        page.goto("about:blank")  # the server ends
