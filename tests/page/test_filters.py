"""Filters: a frame as a filter, and chips of every operator that the server lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.page.bar import field, token
from tests.page.recording import Profile, has
from tests.page.shown import expect_shown, wait_for
from tests.page.world import minutely, past
from tests.page.written import at_once, duration
from tests.serving import ROOT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from tests.browserfixtures import Complaints
    from tests.page.recording import Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser

EVERY_TYPE = ROOT / "tests/cases/every_type/categories"
# Names that hold each other: a filter by a part of the text finds all of them.
ALIKE = [
    {"process": "a", "pid": 1, "stack": "main;work", "elapsed": 1_000},
    {"process": "a", "pid": 1, "stack": "worker_main;work", "elapsed": 2_000},
    {"process": "a", "pid": 1, "stack": "main2;work;main_loop", "elapsed": 4_000},
    {"process": "main", "pid": 1, "stack": "start;work", "elapsed": 8_000},
]
MINUTES = 59


@pytest.fixture(scope="module")
def alike(server: Serving) -> str:
    """The address of an hour with `ALIKE` in each minute."""
    end, address = past(12)
    minutely(server, end, "offcputime", ALIKE)
    return address


@pytest.fixture(scope="module")
def every_type(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    del built_page
    with serving(tmp_path_factory.mktemp("types"), "--categories", EVERY_TYPE) as started:
        yield started


def _frames(page: Page) -> Locator:
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    return frames


def _menu(page: Page, frame: str, item: str) -> None:
    _frames(page).get_by_text(frame, exact=True).click(button="right")
    page.get_by_role("menuitem", name=item).click()


@pytest.mark.parametrize("view", ["flame", "sandwich"])
@pytest.mark.parametrize(
    ("item", "address", "elapsed"),
    [
        ("Only stacks through it", "filter=stack__has=main", 1_000),
        ("Hide stacks through it", "filter=stack__lacks=main", 14_000),
    ],
)
def test_a_frame_is_filtered_by_its_whole_name(
    server: Serving, alike: str, page: Page, *, view: str, item: str, address: str, elapsed: int
) -> None:
    """`main` finds neither `worker_main` nor a process of that name."""
    page.goto(f"{server.read}/?table=offcputime&view={view}{alike}")
    _menu(page, "main", item)
    expect(page).to_have_url(re.compile(f"{address}(&|$)"))
    expect(page.locator(".figures")).to_contain_text(f"sum {duration(elapsed * MINUTES)} ")


def test_a_frame_in_the_graph_is_filtered_by_its_whole_name(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """The rows that are left are those whose stack has the frame, kernel suffix included."""
    page.goto(f"{fleet.read}/?table=offcputime&presets=-&search=%5Efutex_wait%24")
    _frames(page)
    page.get_by_role("button", name="Next match").click()
    page.get_by_role("application", name="Flame graph").press("m")
    page.get_by_role("menuitem", name="Only stacks through it").click()
    expect(page).to_have_url(re.compile(r"stack__has=futex_wait_%5Bk%5D"))
    expect(token(page, "Stack has the frame futex_wait_[k]")).to_have_text("stack=futex_wait_[k]")
    page.goto(page.url.replace("search=", "frame="))
    expect_shown(page, [row for row in fleet_rows if has(row, "futex_wait")])


def test_hidden_stacks_say_how_much_they_are(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A letter hides the stacks of the marked frame; a click, or the way back, shows them again."""
    page.goto(f"{fleet.read}/?table=offcputime&presets=-&search=%5Efutex_wait%24")
    _frames(page)
    page.get_by_role("button", name="Next match").click()
    graph = page.get_by_role("application", name="Flame graph")
    graph.press("h")
    expect(page).to_have_url(re.compile(r"stack__lacks=futex_wait_%5Bk%5D"))
    hidden = Profile(row for row in fleet_rows if has(row, "futex_wait"))
    amount = page.get_by_role("button", name=re.compile("hidden$"))
    expect(amount).to_have_text(f"{at_once(hidden.total)} threads hidden")
    expect(page.get_by_role("table", name="Frames")).not_to_contain_text("futex_wait")
    page.go_back()
    expect(amount).to_have_count(0)
    expect(page.get_by_role("table", name="Frames")).to_contain_text("futex_wait")
    page.go_forward()
    amount.click()
    expect(page).not_to_have_url(re.compile("stack__lacks"))


def test_a_group_leaf_first_is_no_frame(server: Serving, alike: str, page: Page) -> None:
    """A process at the end of a turned stack filters by process, whatever it is called."""
    page.goto(f"{server.read}/?table=offcputime&leafFirst=1&search=%5Emain%24{alike}")
    _frames(page)
    page.get_by_role("button", name="Next match").click()
    page.get_by_role("application", name="Flame graph").press("m")
    page.get_by_role("menuitem", name="Only main").click()
    expect(page).to_have_url(re.compile("filter=process=main"))


def test_a_chip_keeps_its_operator(every_type: Serving, page: Page) -> None:
    """A new value changes the value alone, with every operator of every column."""
    catalog = every_type.get("/api/v1/categories").json()
    listed = {one["name"]: one for one in catalog["operators"]}
    (category,) = [one for one in catalog["categories"] if one["table"] == "everything"]
    for column in category["columns"]:
        low, high, other = VALUES.get(column["type"], ("1000", "16000", "70000"))
        many = {name: listed[name]["many"] for name in column["operators"]}
        keys = {
            name: column["name"] if name == "eq" else f"{column['name']}__{name}" for name in many
        }
        olds = {name: f"{low},{high}" if many[name] else low for name in many}
        query = "".join(f"&filter={keys[name]}={quote(olds[name])}" for name in many)
        page.goto(f"{every_type.read}/?table=everything&view=rows{query}")
        chips = page.locator(".bar .chip")
        expect(chips).to_have_count(len(many))
        for k, name in enumerate(many):
            _edit(page, k, f"{low},{other}" if many[name] else other)
        news = {name: f"{low},{other}" if many[name] else other for name in many}
        wanted = [("filter", f"{keys[name]}={news[name]}") for name in many]
        wait_for(page, lambda wanted=wanted: _filters(page) == wanted)
    # `null` is of columns that may be null; this table has none.
    offered = set().union(*(column["operators"] for column in category["columns"]))
    assert offered == set(listed) - {"null"}


VALUES = {
    "timestamp": tuple(f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)),
    "bool": ("false", "true", "true"),
    "ip": tuple(f"192.0.2.{k}" for k in (1, 2, 3)),
}


def _filters(page: Page) -> list[tuple[str, str]]:
    return [one for one in parse_qsl(urlsplit(page.url).query) if one[0] == "filter"]


def _edit(page: Page, k: int, new: str) -> None:
    """Put a new value behind the operator, as a person who selects the old one does."""
    page.locator(".bar .chip button:not(.x)").nth(k).click()
    before = re.match(r"\w+(:\w+=|\W+)", field(page).input_value())
    assert before
    field(page).fill(before[0] + new)
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("")


def test_an_operator_that_nobody_knows_stays(
    fleet: Serving, page: Page, complaints: Complaints
) -> None:
    """It is shown by its name, in the form too, and a new value does not change it."""
    complaints.expected = "status of 400"
    page.goto(f"{fleet.read}/?table=offcputime&filter=process__resembles=shop")
    chip = page.locator(".bar .chip button").first
    expect(chip).to_have_attribute("title", "Process resembles shop")
    chip.click()
    expect(field(page)).to_have_value("process:resembles=shop")
    page.keyboard.type("db")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter=process__resembles=shopdb"))


def test_a_chip_is_replaced_after_the_way_back(fleet: Serving, page: Page) -> None:
    """The edited chip is replaced, even if the address was read again in the meantime."""
    page.goto(f"{fleet.read}/?table=offcputime&filter=process=shopdb")
    _frames(page)
    page.get_by_label("Search frames").fill("futex")
    page.get_by_role("tab", name="Rows").click()
    page.go_back()
    page.locator(".bar .chip button").first.click()
    field(page).fill("process=shopweb")
    page.keyboard.press("Enter")
    expect(page.locator(".bar .chip")).to_have_count(1)
    expect(page.locator(".bar .chip")).to_contain_text("shopweb")


def test_shares_under_focus_are_of_the_whole(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Tooltip, table and search say how much of all it is, and of the focus beside it."""
    whole = Profile(fleet_rows)
    part = Profile(row for row in fleet_rows if has(row, "session_main"))
    query = "presets=-&focus=session_main&search=%5Esession_main%24"
    page.goto(f"{fleet.read}/?table=offcputime&{query}")
    _frames(page)
    share = f"{100 * part.total / whole.total:.1f} %"
    expect(page.locator(".matched")).to_have_text(f"{share} matched, 100 % of the focus")
    graph = page.get_by_role("application", name="Flame graph")
    graph.press("ArrowDown")
    said = page.locator(".flame [aria-live]")
    expect(said).to_contain_text(f"{share} of all, 100 % of the focus")
    cell = page.get_by_role("table", name="Frames").locator("tbody tr").first.locator("td").last
    expect(cell).to_have_attribute("title", f"{share} of all")
    for switch in ("Leaf first", "Collapse recursion"):
        page.get_by_role("button", name="Direction").click()
        page.get_by_role("menuitemcheckbox", name=switch).click()
        expect(page.locator(".matched")).to_have_text(f"{share} matched, 100 % of the focus")
