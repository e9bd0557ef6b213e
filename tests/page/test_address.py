"""Links, ranges and times: what an address says, and what is typed."""

from __future__ import annotations

import base64
import re
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.page.bar import field, offered, token
from tests.page.shown import expect_shown
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "") -> Locator:
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    return frames


def test_a_shared_link_shows_the_same_times(fleet: Serving, page: Page) -> None:
    """Not those of an hour before it is opened, unless that is what is meant."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, fleet, "&live=1&search=futex")
    share = page.get_by_role("button", name="share")
    for item, times in (
        ("Link to what is shown now", r"from=20\d\d-.*&to=20\d\d-"),
        ("Link to last 1 h", r"live=1"),
    ):
        share.click()
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("button", name="copied")).to_be_visible()
        expect(share).to_be_visible(timeout=5_000)
        link = page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(f"{fleet.read}/?")
        assert "search=futex" in link
        assert re.search(times, link)


def test_an_address_that_cannot_be_had_says_so(fleet: Serving, page: Page) -> None:
    """The page states what it shows instead of a value that it cannot show."""
    page.goto(f"{fleet.read}/?table=nothing&from=yesterday")
    notices = page.locator(".notices")
    expect(notices).to_contain_text("There is no data type nothing here: this is Off-CPU time.")
    expect(notices).to_contain_text(
        "from=yesterday in the address is not a time: now-1h is used instead"
    )
    expect(page.get_by_role("button", name="last 1 h")).to_be_visible()


def test_times_are_typed_in_the_zone_that_is_shown(fleet: Serving, browser: Browser) -> None:
    """Inputs, the range's button and the address mean the same moments."""
    context = browser.new_context(timezone_id="Asia/Kolkata")
    page = context.new_page()
    page.goto(f"{fleet.read}/?table=offcputime&zone=local&from=2026-01-02T00:00:00Z&to=now")
    times = page.locator(".range")
    expect(times).to_have_attribute("title", re.compile("2026-01-02 05:30:00 .* UTC.05:30"))
    times.click()
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-02 05:30:00")
    page.get_by_label("From", exact=True).fill("2026-01-03 12:00")
    page.get_by_label("To", exact=True).fill("2026-01-03T12:00:00.25Z")
    page.get_by_role("button", name="Show this range").click()
    expect(page).to_have_url(re.compile("from=2026-01-03T06:30:00Z&to=2026-01-03T12:00:00.250000Z"))
    context.close()


def test_an_hour_is_an_hour_however_the_clock_ticks(fleet: Serving, page: Page) -> None:
    """Both ends are seen from one moment; a tick between them made the chart's steps twice as long.

    This clock ticks at each look.
    """
    page.add_init_script("let looks = Date.now(); Date.now = () => looks++;")
    asked = re.compile("/api/v1/timeseries/offcputime.*points=120")
    with page.expect_request(asked) as waited:
        page.goto(f"{fleet.read}/?table=offcputime&from=now-1h&to=now")
    query = parse_qs(urlsplit(waited.value.url).query)
    start, end = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
    assert end - start == timedelta(hours=1)


def test_sizes_are_compared_as_a_person_writes_them(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A column is offered with the operator that is asked for most, and a size with its units."""
    _open(page, fleet)
    field(page).fill("elap")
    expect(offered(page).first).to_contain_text("elapsed>=")
    field(page).press("Tab")
    expect(field(page)).to_have_value("elapsed>=")
    expect(page.locator(".offers")).to_contain_text("5ms, 1.5s")
    page.keyboard.type("2s")
    page.keyboard.press("Enter")
    expect(token(page, "Off-CPU time \N{GREATER-THAN OR EQUAL TO} 2s")).to_have_text("elapsed>=2s")
    expect_shown(page, [row for row in fleet_rows if row["elapsed"] >= 2_000_000])
    page.goto(f"{fleet.read}/?table=offcputime&filter=elapsed__gte=5000")
    expect(token(page, "Off-CPU time \N{GREATER-THAN OR EQUAL TO} 5 ms")).to_be_visible()


def test_only_the_last_completion_counts(fleet: Serving, page: Page) -> None:
    """An answer that comes late offers nothing for what is typed by then."""
    _open(page, fleet)
    held: list[object] = []
    page.route(re.compile("values/.*prefix=shopw"), lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request(re.compile("values/.*prefix=shopw")):
        field(page).fill("process=shopw")
    field(page).fill("process=shopj")
    expect(offered(page)).to_contain_text(["shopjobs"])
    (route,) = held
    with page.expect_response(re.compile("prefix=shopw")):
        route.continue_()  # type: ignore[attr-defined]
    page.wait_for_timeout(100)
    expect(offered(page)).to_contain_text(["shopjobs"])


def _packed(text: bytes) -> str:
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(text) + deflate.flush()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def test_a_long_address_is_packed_and_read_back(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """It stays far below what servers and proxies take, in the link and in the bar."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    names = [f"process__ne={'worker' * 12}-{k}" for k in range(120)]
    _open(page, fleet, "".join(f"&filter={one}" for one in names))
    page.get_by_role("tab", name="Rows").click()
    expect(page).to_have_url(re.compile(r"/\?z=[\w-]+$"))
    assert len(page.url) < 8_000
    page.get_by_role("button", name="Share").click()
    page.get_by_role("menuitem", name="Link to what is shown now").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/\?z=[\w-]+$", link)
    page.goto(link)
    expect(page.locator(".bar .chips")).to_contain_text("and 70 more")
    page.get_by_role("tab", name="Flame graph").click()
    expect_shown(page, fleet_rows)


def test_a_long_address_is_kept_by_the_server(built_page: None, page: Page, tmp_path: Path) -> None:
    """Where it keeps links, the shared one is short, and leads back to what was shown."""
    del built_page
    config = tmp_path / "kernelscope.yaml"
    config.write_text("database: {sqlite: k.db}\nlinks: links.db\n")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    names = [f"process__ne={'worker' * 12}-{k}" for k in range(12)]
    with serving(tmp_path, "--config", config) as server:
        page.goto(f"{server.read}/?table=offcputime" + "".join(f"&filter={one}" for one in names))
        expect(page.locator(".bar .chip")).to_have_count(12)
        page.get_by_role("button", name="Share").click()
        page.get_by_role("menuitem", name="Link to what is shown now").click()
        expect(page.get_by_role("button", name="copied")).to_be_visible()
        link = page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(rf"{server.read}/s/[\w-]+", link)
        page.goto("about:blank")
        page.goto(link)
        expect(page.locator(".bar .chip")).to_have_count(12)
        expect(page).to_have_url(re.compile("table=offcputime.*from=20"))
        page.goto("about:blank")  # the server ends


def test_a_packed_address_is_not_unpacked_without_end(fleet: Serving, page: Page) -> None:
    """Neither a link that holds far more than it seems, nor a damaged one, stops the page."""
    for packed in (_packed(b"search=" + bytes(40_000_000)), "0000", "-"):
        page.goto(f"{fleet.read}/?z={packed}")
        expect(page.locator(".notices")).to_contain_text("The link is damaged")
        expect(page.get_by_role("button", name="Data type: All data types")).to_be_visible()
