"""What an address or a row may hold: the page stays quick, shows all as text, and says what it cut.

Bounds are counts of elements and characters.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.world import minutely, past

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

    from tests.browserfixtures import Complaints
    from tests.serving import Serving

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"
# Turns round what follows it: `exe.txt` for `txt.exe`.
TURNED = "harmless\u202etxt.exe"
ISOLATE = "\u2066never closed"
LONG = "f" * 60_000
ELEMENTS = "document.querySelectorAll('*').length"
TEXT = "document.body.textContent.length"


# Longer than a server reads: as if the way back led there. Done once the browser has drawn again.
GO = """
async address => {
    const frame = () => new Promise(done => requestAnimationFrame(done));
    history.pushState(null, '', address);
    dispatchEvent(new PopStateEvent('popstate'));
    for (let k = 0; k < 3; k++) await frame();
}
"""


def _go(page: Page, server: Serving, address: str) -> None:
    page.goto(f"{server.read}/?table=offcputime&view=rows")
    expect(page.locator(".figures")).to_contain_text("rows")
    page.evaluate(GO, address)


def _bounded(page: Page, *, elements: int = 3000, text: int = 200_000) -> None:
    assert page.evaluate(ELEMENTS) < elements
    assert page.evaluate(TEXT) < text


def test_a_hundred_thousand_filters(fleet: Serving, page: Page) -> None:
    """As many as a question takes are asked for, and fifty are shown."""
    filters = "".join(f"&filter=pid__ne={k}" for k in range(100_000))
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    _go(page, fleet, f"/?table=offcputime&view=rows{filters}")
    expect(page.locator(".bar .chip")).to_have_count(50, timeout=30_000)
    (question,) = [url for url in asked if "/rows/" in url and "pid__ne=199&" in url]
    assert question.count("pid__ne=") == 200
    expect(page.locator(".bar .chips")).to_contain_text("and 150 more")
    _bounded(page)
    page.get_by_role("button", name="Remove filter: PID is not 0", exact=True).click()
    expect(page.locator(".bar .chips")).to_contain_text("and 149 more")
    assert len(page.url) < 10_000


def test_filters_that_are_left_out_are_told(fleet: Serving, page: Page) -> None:
    """An answer to fewer filters than the address has must not pass for its own."""
    filters = "".join(f"&filter=pid__ne={k}" for k in range(1000))
    page.goto(f"{fleet.read}/?table=offcputime&view=rows{filters}")
    expect(page.locator(".notices")).to_contain_text("800 filters of the address are left out")


@pytest.mark.parametrize(
    "key", ["search", "zoom", "focus", "frame", "group", "table", "from", "box"]
)
def test_a_megabyte_in_the_address(
    fleet: Serving, page: Page, complaints: Complaints, key: str
) -> None:
    """Whichever part of it: the page is drawn, and stays small."""
    complaints.expected = "Failed to load resource"
    table = "" if key == "table" else "table=offcputime&"
    value = "a;" * 500_000 if key == "zoom" else "a" * 1_000_000
    _go(page, fleet, f"/?{table}{key}={value}")
    _bounded(page)
    page.get_by_role("tab").first.click()
    _bounded(page)


def test_a_megabyte_in_the_fragment(fleet: Serving, page: Page) -> None:
    """It is no part of what is shown."""
    page.goto(f"{fleet.read}/?table=offcputime")
    page.evaluate("location.hash = 'a'.repeat(1e6)")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    page.get_by_role("tab", name="Sandwich").click()
    expect(page).to_have_url(re.compile("view=sandwich"))
    _bounded(page)


@pytest.fixture(scope="module")
def odd(server: Serving) -> str:
    """The address of an hour with frames and processes that are long, markup, or turn text."""
    end, address = past(11)
    names = [MARKUP, TURNED, ISOLATE, "tab\tand\nline", LONG]
    rows = [
        {"process": name[:900], "pid": k, "stack": f"main;{name};leaf", "elapsed": 1000 * (k + 1)}
        for k, name in enumerate(names)
    ]
    minutely(server, end, "offcputime", rows, minutes=3)
    return address


def _texts(page: Page) -> list[str]:
    """All that a person reads: text, titles, names for screen readers."""
    return page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(one => ["
        "one.getAttribute('title') ?? '', one.getAttribute('aria-label') ?? '',"
        "...[...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data)])"
    )


def _safe(page: Page) -> None:
    for text in _texts(page):
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", text), text[:200]
        assert len(text) <= 2000
    assert page.locator("img").count() == 0
    _bounded(page)


@pytest.mark.parametrize("view", ["flame", "sandwich", "compare", "hosts", "rows"])
def test_odd_names_are_text(server: Serving, odd: str, page: Page, view: str) -> None:
    """Cut where they are shown, and unable to reorder what is beside them, in every view."""
    page.goto(f"{server.read}/?table=offcputime&view={view}{odd}")
    table = page.get_by_role("table").first
    expect(table.locator("tbody tr").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    _safe(page)
    if view in ("flame", "sandwich", "compare"):
        expect(table).to_contain_text(MARKUP)
        expect(table).to_contain_text("harmless\\u202etxt.exe")
        expect(table).to_contain_text("tab\\u0009and\\u000aline")
        _menu(page, table, "\N{HORIZONTAL ELLIPSIS}")
        _safe(page)


def _menu(page: Page, table: Locator, text: str) -> None:
    table.locator("button.name").filter(has_text=text).first.click(button="right")
    expect(page.get_by_role("menu")).to_be_visible()


def test_a_long_frame_in_graph_crumbs_and_picture(server: Serving, odd: str, page: Page) -> None:
    """Zoomed into, told by the tooltip, and saved."""
    page.goto(f"{server.read}/?table=offcputime&group=-&search=f%7B50000%7D{odd}")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Next match").click()
    page.wait_for_timeout(100)
    _safe(page)
    page.get_by_role("button", name="export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="SVG").click()
    assert saved.value.path().stat().st_size < 100_000


def test_a_filter_that_is_too_long_says_so(
    server: Serving, odd: str, page: Page, complaints: Complaints
) -> None:
    """A server, or a proxy, bounds an address: the page says what to do."""
    complaints.expected = "Failed to load resource"
    page.goto(f"{server.read}/?table=offcputime{odd}")
    table = page.get_by_role("table", name="Frames")
    page.route(re.compile("stack__has="), lambda route: route.fulfill(status=431, body="no"))
    _menu(page, table, "\N{HORIZONTAL ELLIPSIS}")
    page.get_by_role("menuitem", name="Filter the rows by it").click()
    failed = page.locator(".loader.failed").first
    expect(failed).to_contain_text("Remove filters, or filter by a part of a long name.")
    _safe(page)


def test_a_hundred_thousand_names_in_an_answer(fleet: Serving, page: Page) -> None:
    """Table and legend make as many elements as can be seen."""

    def many(route: Route) -> None:
        answer = route.fetch().json()
        count = 100_000
        answer |= {"names": ["all", *(f"frame_{k}" for k in range(count))]}
        answer |= {"name": [*range(count + 1)], "level": [0, *[1] * count]}
        answer |= {"value": [count, *[1] * count], "self": [0, *[1] * count]}
        answer |= {"count": [count, *[1] * count], "total": count}
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    page.route(re.compile("/api/v1/flamegraph/"), many)
    page.goto(f"{fleet.read}/?table=offcputime&group=-")
    table = page.get_by_role("table", name="Frames")
    expect(table).to_have_attribute("aria-rowcount", "100001", timeout=30_000)
    _bounded(page)
    page.get_by_label("Search frames").fill("frame_9")
    expect(page.locator(".matched")).to_contain_text("11.1 % matched")
    _bounded(page)
