"""Slow, failed, cancelled and late answers: what is shown is what was asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.bar import add_filter, choose_type
from tests.page.recording import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

    from tests.browserfixtures import Complaints
    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser


def _open(page: Page, server: Serving, query: str = "") -> Locator:
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    return frames


def _held(page: Page, pattern: str) -> list[Route]:
    """Hold back what is asked at such addresses; the test continues it."""
    held: list[Route] = []
    page.route(re.compile(pattern), lambda route: held.append(route))  # noqa: PLW0108
    return held


def test_a_cancelled_question_can_be_asked_again(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Its old content fades; a search does not repeat the request, its button does."""
    _open(page, fleet)
    held = _held(page, "/api/v1/flamegraph/.*process=shopweb")
    page.locator(".facts .legend").get_by_role("button", name=re.compile("^shopweb")).click()
    over = page.locator(".graph .over")
    expect(page.locator(".status .reading")).to_contain_text(re.compile(r"reading \d of \d parts"))
    page.locator(".status").get_by_role("button", name="Cancel").click()
    expect(over).to_contain_text("Cancelled.")
    expect(page.locator(".pair")).to_have_class(re.compile("stale"))
    page.get_by_label("Search frames").fill("take_request")
    expect(page).to_have_url(re.compile("search=take_request"))
    assert len(held) == 1
    page.unroute_all()
    over.get_by_role("button", name="Try again").click()
    web = [row for row in fleet_rows if row["process"] == "shopweb"]
    expect(page.locator(".matched")).to_have_text(Profile(web).matched("take_request"))
    expect(page.locator(".pair")).not_to_have_class(re.compile("stale"))


def test_a_failed_question_leaves_no_picture_that_passes_for_its_answer(
    fleet: Serving, page: Page, complaints: Complaints
) -> None:
    """Graph, table and timeline fade under the error, and come back with the next answer."""
    complaints.expected = "status of 400"
    _open(page, fleet)
    add_filter(page, "process:regex=(")
    expect(page.locator(".loader.failed").first).to_be_visible()
    for faded in (".pair", ".names", ".timeline canvas", ".heatmap canvas"):
        expect(page.locator(faded).first).to_have_class(re.compile("stale"))
    page.get_by_role("button", name=re.compile("Remove filter")).click()
    expect(page.locator(".stale")).to_have_count(0)


def test_a_comparison_with_a_failed_side_shows_none(
    fleet: Serving, page: Page, complaints: Complaints
) -> None:
    """One side's answer beside the other's last one would be a comparison of nothing."""
    complaints.expected = "status of 400"
    _open(page, fleet, "&view=compare&base.from=same&base.filter=process=shopweb")
    query = "view=compare&base.from=same&base.filter=process__regex=(&filter=process=shopweb"
    page.goto(f"{fleet.read}/?table=offcputime&{query}")
    expect(page.locator(".loader.failed")).to_have_count(1)
    expect(page.locator(".side.baseline")).not_to_contain_text("min")


def _more(rows: list[Row]) -> tuple[str, int]:
    """A filter that leaves more rows than one page of them, and how many."""
    count = sum(row["process"] == "shopdb-ckpt" for row in rows)
    assert 500 < count <= 1000
    return "&presets=-&filter=process=shopdb-ckpt", count


def test_more_rows_come_once(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """However often the button is pressed while they are on their way."""
    query, count = _more(fleet_rows)
    page.goto(f"{fleet.read}/?table=offcputime&view=rows{query}")
    foot = page.locator(".foot")
    expect(foot).to_contain_text("500 rows shown")
    foot.get_by_role("button", name="more").dblclick()
    expect(foot).to_contain_text(f"{count} rows shown")
    page.wait_for_load_state("networkidle")
    expect(foot).to_contain_text(f"{count} rows shown")
    expect(foot.get_by_role("button", name="more")).to_have_count(0)


def test_more_rows_that_do_not_come_say_so(
    fleet: Serving, fleet_rows: list[Row], page: Page, complaints: Complaints
) -> None:
    """The rows that are there stay, and the further ones can be asked for again."""
    complaints.expected = "ERR_FAILED"
    query, count = _more(fleet_rows)
    page.goto(f"{fleet.read}/?table=offcputime&view=rows{query}")
    foot = page.locator(".foot")
    expect(foot).to_contain_text("500 rows shown")
    page.route(re.compile("cursor="), lambda route: route.abort())
    foot.get_by_role("button", name="more").click()
    expect(page.locator(".loader.failed")).to_contain_text("The server does not answer")
    expect(foot).to_contain_text("500 rows shown")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(foot).to_contain_text(f"{count} rows shown")


def test_late_answers_change_nothing_in_another_view(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A comparison that comes when the flame graph is shown leaves its search alone."""
    sides = "filter=process=shopdb&base.from=same&base.filter=process=shopweb"
    _open(page, fleet, f"&search=futex&{sides}")
    held = _held(page, "/api/v1/compare/.*process=shopweb")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".side.baseline")).to_be_visible()
    page.get_by_role("tab", name="Flame graph").click()
    matched = page.locator(".matched")
    shopdb = Profile(row for row in fleet_rows if row["process"] == "shopdb")
    alone = shopdb.matched("futex")
    expect(matched).to_have_text(alone)
    (route,) = held
    with page.expect_response(re.compile("process=shopweb")):
        route.continue_()
    page.wait_for_timeout(100)
    assert matched.inner_text() == alone
    page.get_by_role("tab", name="Compare").click()
    expect(matched).not_to_have_text(alone)


def test_a_late_explanation_hides_no_other_table(fleet: Serving, page: Page) -> None:
    """Why one table is empty is not said over another one that is not."""
    held = _held(page, "/api/v1/rows/biolatency.*limit=1&")
    page.goto(f"{fleet.read}/?table=biolatency")
    expect(page.locator(".figures")).to_contain_text("0 rows")
    choose_type(page, "Agents")
    rows = page.get_by_role("table", name="Rows")
    page.get_by_role("tab", name="Rows").click()
    expect(rows.locator("tbody tr").first).to_be_visible()
    for route in held:
        route.continue_()
    page.wait_for_timeout(200)
    expect(rows.locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^No "))).to_have_count(0)


@pytest.mark.parametrize("view", ["rows", "hosts"])
def test_empty_tables_say_why(fleet: Serving, page: Page, view: str) -> None:
    """Where no rows or hosts are left, the filter that hides them is offered for removal."""
    page.goto(f"{fleet.read}/?table=offcputime&view={view}&filter=process=nobody")
    page.get_by_role("button", name="Remove the filter Process is nobody").click()
    expect(page.get_by_role("table", name=view.title()).locator("tbody tr").first).to_be_visible()
    expect(page.locator(".empty")).to_have_count(0)


def test_the_sandwich_says_what_it_waits_for(fleet: Serving, page: Page) -> None:
    """Without a frame, and with one that no stack has."""
    page.goto(f"{fleet.read}/?table=offcputime&view=sandwich")
    expect(page.locator(".over")).to_contain_text("A frame that you choose in the table")
    page.goto(f"{fleet.read}/?table=offcputime&view=sandwich&frame=no_such")
    expect(page.locator(".over")).to_contain_text("No stack here runs through no_such")


def test_a_new_category_appears_in_an_open_page(fleet: Serving, page: Page) -> None:
    """Who opens the list finds what was dropped in since the page was opened."""
    _open(page, fleet)
    catalog = fleet.get("/api/v1/categories").json()
    new = catalog["categories"][0] | {"table": "fresh", "prettyname": "Fresh rows"}
    answer = catalog | {"categories": [*catalog["categories"], new]}
    page.route("**/api/v1/categories", lambda route: route.fulfill(json=answer))
    choice = page.get_by_role("button", name="Data type")
    with page.expect_response("**/api/v1/categories"):
        choice.click()
    page.keyboard.press("Escape")
    expect(choice).to_be_focused()
    choice.click()
    expect(page.get_by_role("menuitemradio", name="Fresh rows")).to_be_visible()
