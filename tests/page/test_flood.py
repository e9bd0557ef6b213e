"""Hostile addresses and rows: the page stays fast, shows all as text, and says what it cut.

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


KEYS = [
    *("search", "zoom", "callers", "callees", "focus", "frame", "group", "stack", "value", "by"),
    *("from", "to", "box", "filter", "base.from", "base.to", "base.filter", "view"),
    *("color", "diffColor", "order", "hostsOrder", "rowsOrder", "zone", "live", "sides"),
]


def test_a_megabyte_in_the_address(fleet: Serving, page: Page, complaints: Complaints) -> None:
    """Whichever part of it: the page is drawn, and stays small, in every view."""
    complaints.expected = "Failed to load resource"
    _go(page, fleet, "/?table=offcputime")
    page.evaluate(GO, f"/?table={'a' * 100_000}")
    _bounded(page)
    for pair in zip(KEYS[::2], KEYS[1::2], strict=True):
        page.evaluate(GO, f"/?table=offcputime&{pair[0]}={'a;' * 50_000}&{pair[1]}={'a' * 100_000}")
        _bounded(page)
    for view in ("sandwich", "compare", "hosts", "rows", "charts"):
        parts = "".join(f"&{key}={'1,' * 5_000}" for key in KEYS if key != "view")
        page.evaluate(GO, f"/?table=offcputime&view={view}{parts}")
        _bounded(page)


def test_a_box_or_a_time_of_any_numbers(fleet: Serving, page: Page, complaints: Complaints) -> None:
    """It is drawn, refused by the server, or left out; the way back works."""
    complaints.expected = "Failed to load resource"
    notices = page.locator(".notices")
    for times in ("1e308,1e309", "-1,-1", "0,0", "NaN,1", "1,-1e300", "Infinity,0"):
        page.goto(f"{fleet.read}/?table=offcputime&box=lengths,{times},{times}")
        expect(page.get_by_role("tab").first).to_be_visible()
        _bounded(page)
    for key in ("from", "to", "base.from", "base.to"):
        for text in ("now-99999999999999w", "now-999999999d", "constructor", "9999-99-99"):
            page.goto(f"{fleet.read}/?table=offcputime&view=compare&{key}={text}")
            expect(notices).to_contain_text(f"{key}={text} in the address is not a time")
    page.evaluate(GO, "/?table=offcputime")
    expect(page.locator(".figures")).to_contain_text("rows")


SLOW = ["(a+)+$", "(a|a)*b", ".*.*.*.*.*=", "(?:a?){30}a{30}b", "([a-z_]+)*[0-9]{9}$", "(x+x+)+y"]
REFUSED = {
    "(?=a)": "not a regular expression",
    "(a)\\1": "not a regular expression",
    "((((a{99}){99}){99}){99}": "not a regular expression",
    "(" * 900 + "a" + ")" * 90: "not a regular expression",
    "a" * 1001: "too long: use at most 1000 characters",
    "[ab]*a[ab]{900}c": "takes too long: use a simpler expression",
}


def test_no_search_holds_the_page(server: Serving, page: Page) -> None:
    """Patterns that would stall a backtracking engine find their matches; others are refused.

    The frame's name has 20,000 letters: 2 ** 20,000 steps for the first pattern.
    """
    end, address = past(13)
    rows = [
        {"process": "p", "pid": 1, "stack": f"main;{name}", "elapsed": 1000}
        for name in ("a" * 20_000 + "!", "a" * 20_000, "plain")
    ]
    minutely(server, end, "offcputime", rows, minutes=2)
    page.goto(f"{server.read}/?table=offcputime&group=-{address}&search=(a%2B)%2B%24")
    matched, box = page.locator(".matched"), page.get_by_label("Search frames")
    expect(matched).to_have_text("33.3 % matched")
    for pattern in SLOW[1:]:
        box.fill(pattern)
        expect(matched).to_have_text("0 % matched")
        expect(box).to_have_attribute("aria-invalid", "false")
    for pattern, why in REFUSED.items():
        box.fill(pattern)
        expect(matched).to_have_text(why)
        expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("PLAIN")
    expect(matched).to_have_text("33.3 % matched")


def test_a_search_without_its_engine_says_so(
    server: Serving, page: Page, complaints: Complaints
) -> None:
    """Plain text is found; a regular expression says why it is not, and is tried again."""
    complaints.expected = "Failed to load resource"
    end, address = past(15)
    row = {"process": "p", "pid": 1, "stack": "main;work", "elapsed": 1000}
    minutely(server, end, "offcputime", [row], minutes=2)
    page.route(re.compile("/assets/build-|/assets/index-|/assets/re2"), lambda one: one.abort())
    page.goto(f"{server.read}/?table=offcputime&group=-{address}&search=work")
    matched, box = page.locator(".matched"), page.get_by_label("Search frames")
    expect(matched).to_have_text("100 % matched")
    box.fill("w.rk")
    expect(matched).to_have_text("the server does not answer: search again")


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
    if view == "compare":
        # With nothing before, all is new: in the lists, and not in the table.
        expect(page.locator(".lists li")).to_have_count(6)
        _safe(page)
        same = odd.replace("&", "&base.")
        page.goto(f"{server.read}/?table=offcputime&view={view}{odd}{same}")
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
    page.goto(f"{server.read}/?table=offcputime&group=-&search=%5Ef%2B%24{odd}")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Next match").click()
    page.wait_for_timeout(100)
    _safe(page)
    page.get_by_role("button", name="Export").click()
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
    page.get_by_role("menuitem", name="Only stacks through it").click()
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
