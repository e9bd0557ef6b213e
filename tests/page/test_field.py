"""The field in the bar: filters as a person types them, completion, and the search of frames."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from tests.page.bar import add_filter, choose_type, field, offered, token
from tests.page.recording import Profile
from tests.page.shown import expect_shown, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browserfixtures import Complaints
    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser

OPERATORS = ("ne", "contains", "startswith", "regex", "not_regex")
GO = "to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }"


def _open(page: Page, server: Serving, query: str = "") -> None:
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()


def _filters(page: Page) -> list[str]:
    return [value for key, value in parse_qsl(urlsplit(page.url).query) if key == "filter"]


def test_several_filters_and_a_search_are_typed_at_once(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Each becomes a token; the rest is searched for; one is changed, and one removed by keys."""
    _open(page, fleet)
    add_filter(page, "process=shopdb,shopweb host=shop-* elapsed>=5us futex")
    wanted = ["process__in=shopdb,shopweb", "hostname__startswith=shop-", "elapsed__gte=5us"]
    wait_for(page, lambda: _filters(page) == wanted)
    expect(field(page)).to_have_value("futex")
    expect(page.locator(".bar .chip")).to_have_count(3)
    for _ in "futex":
        field(page).press("Backspace")
    field(page).press("Backspace")
    expect(field(page)).to_have_value("elapsed>=5us")
    field(page).fill("process!=shopjobs")
    field(page).press("Enter")
    wait_for(page, lambda: _filters(page) == [*wanted[:2], "process__ne=shopjobs"])
    expect_shown(page, [row for row in fleet_rows if row["process"] in ("shopdb", "shopweb")])


def test_values_are_counted_under_the_other_filters(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Arrows choose one; the column and its operator are completed before."""
    _open(page, fleet, "&filter=hostname=shop-1")
    field(page).fill("proc")
    expect(offered(page).first).to_be_visible()
    field(page).press("ArrowDown")
    field(page).press("Enter")
    expect(field(page)).to_have_value("process=")
    rows = Counter(row["process"] for row in fleet_rows if row["hostname"] == "shop-1")
    (name, count), *_ = rows.most_common()
    expect(offered(page).first).to_have_text(f"{name}{count:,}")
    field(page).press("ArrowDown")
    expect(offered(page).first).to_have_attribute("aria-selected", "true")
    field(page).press("Enter")
    expect(token(page, f"Process is {name}")).to_have_text(f"process={name}")


def test_what_is_no_filter_is_not_taken_as_one(fleet: Serving, page: Page) -> None:
    """Without a value, or with an operator that the column does not take, it stays in the input."""
    _open(page, fleet)
    for text in ("process=", "elapsed~5"):
        field(page).fill(text)
        field(page).press("Enter")
        expect(field(page)).to_have_value(text)
    assert _filters(page) == []
    field(page).fill("operator=")
    field(page).press("Enter")
    wait_for(page, lambda: "search=operator%3D" in page.url or "search=operator=" in page.url)


def test_a_search_becomes_a_filter_of_the_same_frames(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """The result says its part, time and rows; the rows that the filter leaves are those."""
    _open(page, fleet, "&search=%5EFutex_wait%24")
    whole = Profile(fleet_rows)
    expect(page.locator(".matched")).to_have_text(whole.matched("(?i)^Futex_wait$"))
    hits = [row for row in fleet_rows if re.search(r"(;|^)futex_wait(_\[k\])?(;|$)", row["stack"])]
    expect(page.locator(".search")).to_contain_text(f"{len(hits):,} rows")
    page.get_by_role("button", name="only these").click()
    expect(field(page)).to_have_value("")
    expect_shown(page, hits)


def test_a_filter_of_another_type_stays_inactive(fleet: Serving, page: Page) -> None:
    """It is drawn as such and not sent; where it applies again, it is."""
    _open(page, fleet, "&filter=process=shopdb&filter=hostname=shop-1")
    choose_type(page, "Agents")
    expect(page.locator(".chip.off")).to_have_text("process=shopdb")
    expect(page.locator(".chip.off button").first).to_have_attribute(
        "title", re.compile("does not apply here")
    )
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.get_by_role("tab", name="Rows").click()
    expect(page.get_by_role("table", name="Rows")).to_contain_text("running")
    assert all("process=shopdb" not in url for url in asked)
    choose_type(page, "Off-CPU time")
    expect(page.locator(".chip.off")).to_have_count(0)
    expect(page.locator(".bar .chip")).to_have_count(2)


def test_every_filter_is_read_back_as_it_is_written(
    fleet: Serving, page: Page, complaints: Complaints
) -> None:
    """To edit a token and leave it as it is changes nothing, whatever the value is."""
    _open(page, fleet)
    texts = st.text(st.sampled_from('ab 1;,"\\=~^*<>![](?i)'), max_size=8)
    operators = st.sampled_from(
        ["", "__ne", "__contains", "__startswith", "__regex", "__not_regex"]
    )

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operator=operators, value=texts)
    def check(operator: str, value: str) -> None:
        wanted = f"process{operator}={value}"
        address = (
            f"/?table=offcputime&view=rows&from=2020-01-01&to=2020-01-02&filter={quote(wanted)}"
        )
        page.evaluate(GO, address)
        expect(page.locator(".bar .chip")).to_have_count(1)
        page.locator(".bar .chip button").first.click()
        field(page).press("End")
        field(page).press("Enter")
        expect(field(page)).to_have_value("")
        wait_for(page, lambda: _filters(page) == [wanted])

    complaints.expected = "ERR_FAILED"
    page.route("**/api/**", lambda route: route.abort())
    check()


def test_letters_act_only_in_graph_table_and_panel(fleet: Serving, page: Page) -> None:
    """Who dictates, or leans on a key, does not change the view."""
    _open(page, fleet)
    page.get_by_role("button", name="Share").focus()
    page.keyboard.press("5")
    expect(page.get_by_role("tab", name="Flame graph")).to_have_attribute("aria-selected", "true")
    page.get_by_role("application", name="Flame graph").press("5")
    expect(page.get_by_role("tab", name="Rows")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("filter or search")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(field(page)).to_be_focused()
