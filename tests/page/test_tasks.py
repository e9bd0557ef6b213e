"""Ten tasks that a person must get done on a recorded incident, each in three actions at most.

The numbers are those of the list in which people were asked to do them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.bar import add_filter, choose_type, field
from tests.page.shown import drag, seconds

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.page.conftest import Incident

pytestmark = pytest.mark.browser

STALL = re.compile("fsync|flush|jbd2|vda")


def _frames(page: Page) -> Locator:
    rows = page.get_by_role("table", name="Frames").locator("tbody tr")
    expect(rows.first).to_be_visible()
    return rows


def _open(incident: Incident, page: Page, path: str = "&table=offcputime") -> None:
    page.goto(incident.address(path))


def test_1_home_says_without_a_click_what_is_unusual_and_where(
    incident: Incident, page: Page
) -> None:
    _open(incident, page, "")
    expect(page.locator(".home h1")).to_contain_text("things are unusual", timeout=60_000)
    lines = page.locator(".home .lead li")
    expect(lines.first).to_contain_text("db-2")
    expect(lines.first).to_contain_text(STALL)
    expect(lines.filter(has_text="db-4").filter(has_text="rsyslogd")).to_have_count(1)
    expect(lines.filter(has_text="cache-1").filter(has_text="silent")).to_have_count(1)
    begun = f"{incident.ago(34):%H:%M}"
    expect(lines.first).to_contain_text(re.compile(f"^{begun}"))


def test_2_what_blocked_mysqld_most_idle_waits_left_out(incident: Incident, page: Page) -> None:
    _open(incident, page)
    expect(page.locator(".bar")).to_contain_text("idle waits hidden")
    add_filter(page, "process=mysqld")
    expect(page.locator(".bar .chip")).to_contain_text(["mysqld"])
    first = _frames(page).filter(has_text=re.compile("buf_page_get_gen|pread64|io_schedule"))
    expect(first).not_to_have_count(0)
    for idle in ("io_getevents", "my_net_read", "srv_suspend_thread"):
        expect(_frames(page).filter(has_text=idle)).to_have_count(0)


def test_3_when_the_burst_began_and_which_stack_it_was(incident: Incident, page: Page) -> None:
    """Select the burst on the heatmap, ask the panel."""
    _open(incident, page)
    heatmap = page.locator(".heatmap canvas")
    box = heatmap.bounding_box()
    assert box
    expect(page.locator(".scale")).to_contain_text("threads per cell")
    # The stall is from 34 to 28 minutes before the end of the hour; the axis begins after ticks.
    plot = page.get_by_role("application", name="Heatmap").bounding_box() or box
    left = plot["x"] - box["x"]
    at = [left + plot["width"] * (60 - ago) / 60 for ago in (34, 28)]
    drag(page, heatmap, (at[0], 4), (at[1], box["height"] * 0.3))
    page.get_by_role("button", name="What changed here?").first.click()
    panel = page.get_by_role("region", name="What changed here?", exact=True)
    expect(panel.locator(".finding").first).to_contain_text("db-2")
    expect(panel.locator(".finding").first).to_contain_text(STALL)


def test_4_what_changed_on_a_host_in_every_data_type(incident: Incident, page: Page) -> None:
    host = "&filter=hostname=db-2"
    _open(incident, page, f"&table=offcputime{host}{incident.box(34, 28)}")
    page.get_by_role("button", name="What changed here?").first.click()
    panel = page.get_by_role("region", name="What changed here?", exact=True)
    expect(panel.locator(".remarks")).to_be_visible()
    for name in ("Off-CPU time", "Block I/O latency", "System calls"):
        expect(panel).to_contain_text(name)
    expect(panel.locator(".flag")).to_contain_text(["config change"])
    expect(panel).not_to_contain_text("db-4")


def test_5_which_host_differs_from_its_own_role_and_where(incident: Incident, page: Page) -> None:
    page.goto(incident.address("&table=offcputime", 34, 28))
    page.get_by_role("tab", name="Hosts").click()
    hosts = page.get_by_role("table", name="Hosts")
    expect(hosts.get_by_role("button", name="db-2", exact=True)).to_be_visible()
    names = hosts.get_by_role("button").all_inner_texts()
    databases = [name for name in names if re.fullmatch(r"db-\d", name)]
    assert databases[0] == "db-2"
    expect(hosts).to_contain_text(re.compile("jbd2|fsync|commit"))


def test_6_which_functions_got_dearer_with_the_release(incident: Incident, page: Page) -> None:
    _open(incident, page, "&table=profile")
    page.get_by_role("button", name=re.compile("^Marker release 1.4.2")).first.click()
    page.get_by_role("button", name="Compare before and after").first.click()
    row = _frames(page).filter(has_text=re.compile("render_price|quantize")).first
    expect(row).to_contain_text(re.compile("\N{MULTIPLICATION SIGN}[12]"))


def test_7_how_much_runs_through_the_file_system_and_show_just_that(
    incident: Incident, page: Page
) -> None:
    _open(incident, page)
    _frames(page)
    field(page).fill("ext4_")
    found = page.locator(".search")
    expect(found).to_contain_text(re.compile(r"[\d.]+ threads .* [\d,]+ waits .* [\d,]+ rows"))
    page.get_by_role("button", name="only these").click()
    expect(page.locator(".bar .chip")).to_contain_text(["ext4_"])
    expect(_frames(page).filter(has_text="HTTPConnectionPool")).to_have_count(0)


def test_8_from_a_frame_to_its_rows_and_from_a_row_to_its_moment(
    incident: Incident, page: Page
) -> None:
    _open(incident, page)
    frame = "jbd2_log_wait_commit"
    _frames(page).filter(has_text=frame).first.click(button="right")
    page.get_by_role("menuitem", name="Its rows").click()
    rows = page.get_by_role("table", name="Rows")
    expect(rows.locator("tbody tr")).to_contain_text([frame])
    rows.locator("tbody tr").first.click()
    expect(rows).to_contain_text("MYSQL_BIN_LOG::ordered_commit")
    rows.get_by_text("This stack in the flame graph").click()
    expect(page.get_by_role("tab", name="Flame graph")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(re.compile("box=,"))
    assert seconds(page.url) <= 60
    expect(page.get_by_role("navigation", name="Zoom path")).to_contain_text(frame)


def test_9_other_data_types_show_the_same_time_host_and_process(
    incident: Incident, page: Page
) -> None:
    filters = "&filter=hostname=db-2&filter=process=mysqld"
    _open(incident, page, f"&table=offcputime{filters}{incident.box(34, 28)}")
    for name, table in (("Run queue latency", "runqlat"), ("Block I/O latency", "biolatency")):
        choose_type(page, name)
        expect(page).to_have_url(re.compile(f"table={table}"))
        for part in ("hostname=db-2", "process=mysqld", "box=,", incident.between(60, 0)):
            assert part in page.url
        expect(page.locator(".bar .chip")).to_contain_text(["db-2", "mysqld"])


def test_10_the_view_is_shared_and_put_into_a_ticket(incident: Incident, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(incident, page, f"&table=offcputime&panel=changes{incident.box(34, 28)}")
    panel = page.get_by_role("region", name="What changed here?", exact=True)
    expect(panel.locator(".remarks")).to_be_visible()
    panel.get_by_role("button", name="Copy for ticket").click()
    expect(panel.get_by_role("button", name="copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert "db-2" in text
    assert STALL.search(text)
    panel.get_by_role("button", name="Share link").click()
    expect(panel.get_by_role("button", name="copied")).to_have_count(2)
    colleague = page.context.new_page()
    colleague.goto(page.evaluate("navigator.clipboard.readText()"))
    theirs = colleague.get_by_role("region", name="What changed here?", exact=True)
    expect(theirs.locator(".remarks")).to_be_visible()
    mine = panel.locator(".finding p").all_inner_texts()
    assert theirs.locator(".finding p").all_inner_texts() == mine
    colleague.close()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
        page.get_by_role("menuitem", name="SVG").click()
    assert "<svg" in download.value.path().read_text()
