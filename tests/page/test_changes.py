"""The panel "What changed here?": its question, its lines, and the way from them and back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

    from tests.browserfixtures import Complaints
    from tests.page.conftest import Incident

pytestmark = pytest.mark.browser

STALL = (34, 28)
# The disk of db-2 stalls: any of these is right, and the others are its evidence.
CAUSE = re.compile("fsync|flush|jbd2|operation write")


def _open(incident: Incident, page: Page, first: float = 34, last: float = 28) -> Locator:
    page.goto(incident.address(f"&table=offcputime&panel=changes{incident.box(first, last)}"))
    return page.get_by_role("region", name="What changed here?", exact=True)


def test_the_panel_names_the_cause_first(incident: Incident, page: Page) -> None:
    """The stall of db-2: where its threads wait, the disk, the marker before it, whose it is."""
    panel = _open(incident, page)
    first = panel.locator(".finding").first
    expect(first).to_contain_text("db-2")
    expect(first).to_contain_text(CAUSE)
    expect(panel.locator(".flag").first).to_contain_text("config change on db-2")
    expect(panel.locator(".flag").first).to_contain_text("30 s before this begins")
    expect(panel.locator(".whose")).to_contain_text(re.compile("db-2 has .* of the difference"))
    expect(panel.locator(".remarks")).to_contain_text("Left out")
    assert panel.get_by_text("What changed here?").count()


def test_all_evidence_can_be_read(incident: Incident, page: Page) -> None:
    """Four lines are shown; the rest comes in place, each with the link to its view."""
    panel = _open(incident, page)
    expect(panel.locator(".remarks")).to_be_visible()
    lines = panel.locator(".finding").first.locator(".evidence li").filter(visible=True)
    expect(lines).to_have_count(5)
    url = page.url
    more = lines.last.get_by_role("button")
    hidden = int(more.inner_text().split()[1])
    more.click()
    expect(lines).to_have_count(4 + hidden)
    expect(lines.nth(4).locator("a")).to_be_focused()
    assert page.url == url


def test_a_line_opens_its_view_and_the_way_back_leads_to_it(incident: Incident, page: Page) -> None:
    """By keys alone: down to the second line, Enter, and back to the same line."""
    panel = _open(incident, page)
    expect(panel.locator(".remarks")).to_be_visible()  # no line moves any more
    second = panel.locator(".finding").nth(1).locator("a.view")
    href = second.get_attribute("href")
    assert href
    panel.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    table = parse_qs(urlparse(href).query)["table"][0]
    expect(page).to_have_url(re.compile(f"table={table}"))
    expect(panel).to_be_hidden()
    page.go_back()
    expect(panel.locator(".finding").nth(1).locator("a.view")).to_be_focused()


def test_the_answer_is_copied_for_a_ticket(incident: Incident, page: Page) -> None:
    """As a paragraph with the link to it, and as Markdown with a link for each line."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = _open(incident, page)
    expect(panel.locator(".remarks")).to_be_visible()
    panel.press("c")
    expect(panel.get_by_role("button", name="copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert CAUSE.search(text)
    assert page.url in text
    panel.get_by_role("button", name="Markdown").click()
    expect(panel.get_by_role("button", name="copied")).to_have_count(2)
    marked = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"^1\. .*`db-2`.*\]\(http", marked, re.MULTILINE)


def test_the_comparison_set_is_chosen_in_the_panel(incident: Incident, page: Page) -> None:
    """Other hosts, or any range: the question says so, and the address keeps it."""
    panel = _open(incident, page)
    expect(panel.locator(".remarks")).to_be_visible()
    with page.expect_request(re.compile("/changes.*baseline=hosts")):
        panel.get_by_role("button", name="other hosts").click()
    expect(page).to_have_url(re.compile("baseline=hosts"))
    panel.get_by_role("button", name="range").click()
    form = page.get_by_role("dialog", name="Compared with")
    form.get_by_label("From").fill(f"{incident.ago(120):%Y-%m-%d %H:%M}")
    form.get_by_label("To").fill(f"{incident.ago(60):%Y-%m-%d %H:%M}")
    with page.expect_request(re.compile(r"/changes.*baseline=range.*base\.from=")):
        form.get_by_role("button", name="Show this range").click()
    expect(panel.locator(".remarks, .findings").first).to_be_visible()


def test_a_calm_time_has_one_calm_sentence(incident: Incident, page: Page) -> None:
    """Without a list of findings; those that come nearest are shown as within the usual."""
    panel = _open(incident, page, 70, 64)
    expect(panel.locator(".calm-sentence")).to_have_text(
        "Nothing is unusual here, compared with the time before."
    )
    expect(panel.locator(".findings:not(.calm)")).to_have_count(0)


def test_the_first_lines_are_there_before_the_last(
    incident: Incident, page: Page, complaints: Complaints
) -> None:
    """An answer that breaks off keeps its lines, and says so once, with a way to go on."""
    complaints.expected = "500"
    whole = incident.server.get("/api/v1/changes", **_range(incident), n=3).json()
    answers = [json.dumps(whole | {"done": False, "read": 3, "of": 20}) + "\n", ""]

    def answer(route: Route) -> None:
        body = answers.pop(0) if answers else ""
        if body:
            route.fulfill(body=body, content_type="application/x-ndjson")
        else:
            route.fulfill(status=500, json={"title": "Broken", "detail": "Try later."})

    page.route("**/api/v1/changes*", answer)
    panel = _open(incident, page)
    expect(panel.get_by_role("alert")).to_have_count(1)
    expect(panel.get_by_role("alert")).to_contain_text("The answer broke off")
    expect(panel.locator(".finding").first).to_contain_text("db-2")
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("alert")).to_contain_text("Broken")
    page.unroute("**/api/v1/changes*")
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("alert")).to_have_count(0)
    expect(panel.locator(".finding").first).to_contain_text("db-2")


def _range(incident: Incident) -> dict[str, str]:
    start, end = (incident.ago(each).isoformat() for each in STALL)
    return {"from": start, "to": end}


def test_the_panel_is_a_sheet_on_a_phone(incident: Incident, page: Page) -> None:
    """It covers the page, all of its tools are in reach, and it closes with Escape."""
    page.set_viewport_size({"width": 420, "height": 900})
    panel = _open(incident, page)
    expect(panel.locator(".remarks")).to_be_visible()
    assert panel.bounding_box() == {"x": 0, "y": 0, "width": 420, "height": 900}
    for name in ("Close", "Copy for ticket", "Markdown", "Share link", "range", "other hosts"):
        box = panel.get_by_role("button", name=name).bounding_box()
        assert box
        assert box["x"] + box["width"] <= 420
    panel.press("Escape")
    expect(panel).to_be_hidden()
    assert "panel=" not in page.url
