"""Comparing: two sides as one tree or beside each other, and where the baseline comes from."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.recording import Profile, has_size, label
from tests.page.world import SLOW
from tests.page.written import at_once, percent

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Position

    from tests.page.recording import Path, Row
    from tests.serving import Serving

pytestmark = pytest.mark.browser

# The rows of each range are of the last hour, and both sides of it.
AGAINST = f"&view=compare&filter=hostname={SLOW}&base.from=same&base.filter=hostname__ne={SLOW}"


def _sides(rows: list[Row]) -> tuple[Profile, Profile]:
    """Before and after: what all others did, and what the slow host did."""
    before = Profile(row for row in rows if row["hostname"] != SLOW)
    return before, Profile(row for row in rows if row["hostname"] == SLOW)


def _open(page: Page, server: Serving, query: str = AGAINST) -> Locator:
    page.goto(f"{server.read}/?table=offcputime&presets=-{query}")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    return frames


def _row(frames: Locator, name: str) -> list[str]:
    row = frames.locator("tbody tr").filter(has=frames.page.get_by_text(name, exact=True))
    return row.first.locator("td").all_inner_texts()


def _times(factor: float) -> str:
    """How often more, with two digits; three from ten on."""
    return f"\N{MULTIPLICATION SIGN}{float(f'{factor:.{3 if factor >= 10 else 2}g}'):g}"


def test_shares_are_shown_where_shares_are_compared(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Both sides are in one unit, and the ratio is that of these numbers."""
    frames = _open(page, fleet)
    before, after = (side.frames["lock_wait"][1] for side in _sides(fleet_rows))
    was, now = (side.share("lock_wait") for side in _sides(fleet_rows))
    amounts = [at_once(before), at_once(after)]
    assert _row(frames, "lock_wait")[1:] == [*amounts, _times(after / before)]
    page.get_by_label("Compare by").select_option("share")
    expect(frames.locator("tbody tr").first).to_contain_text("%")
    shares = [percent(was, 1), percent(now, 1)]
    assert _row(frames, "lock_wait")[1:] == [*shares, _times(now / was)]


def test_what_only_one_side_has_comes_first(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Frames that are new or gone have separate lists, the largest first; a click marks one."""
    frames = _open(page, fleet, "&view=compare&base.from=same&base.filter=&filter=process=shopweb")
    here = Profile(row for row in fleet_rows if row["process"] == "shopweb")
    gone = set(Profile(fleet_rows).frames) - set(here.frames)
    lists = page.locator(".onesided")
    expect(lists).to_have_count(1)
    expect(lists.get_by_role("heading")).to_have_text(re.compile(r"^Gone from A \d+$"))
    names = lists.get_by_role("button").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert set(names) < gone
    assert frames.get_by_role("button", name=names[0], exact=True).count() == 0
    lists.get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("frame="))


def test_a_box_is_compared_with_the_rest_of_its_range(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """All rows of the range but those of the box; or the box's sizes, at other times."""
    times = sorted({datetime.fromisoformat(row["time"]) for row in fleet_rows})
    start, end = (int(times[k].timestamp()) * 10**6 for k in (len(times) // 2, -5))
    box = f"&box=lengths,{start},{end},65536,16777216"
    _open(page, fleet, f"&view=compare&base.from=rest{box}")
    sized = [row for row in fleet_rows if has_size(row, 65536, 16777216)]
    inside = _between(sized, *(datetime.fromtimestamp(us / 1e6, UTC) for us in (start, end)))
    length = (end - start) / 1e6
    part, everything = Profile(inside).total, Profile(fleet_rows).total
    amounts = page.locator(".sides .side > strong")
    rest = [f"{at_once(everything - part)} threads", f"{at_once(part, length)} threads"]
    expect(amounts).to_have_text(rest)
    page.get_by_label("Baseline", exact=True).select_option("elsewhere")
    other = Profile(sized).total - part
    expect(amounts.first).to_have_text(f"{at_once(other, 3600 - length)} threads")


def test_a_comparison_is_taken_along(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """Folded stacks have a column for each side; the text for a ticket has sides and frames."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, fleet)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Folded stacks, A and B").click()
    found = [line.rsplit(" ", 2) for line in saved.value.path().read_text().splitlines()]
    sides = _sides(fleet_rows)
    for k, side in enumerate(sides, start=1):
        sums = {line[0]: int(line[k]) for line in found if line[k] != "0"}
        assert sums == {";".join(path): value for path, value in side.sums.items()}
    page.get_by_role("button", name="Export").click()
    page.get_by_role("menuitem", name="Markdown for a ticket").click()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("**Off-CPU time, threads waiting**\n")
    assert f"- B: Host is {SLOW}, 20" in text
    assert "| `lock_wait` | " in text
    assert f"view=compare&filter=hostname={SLOW}" in text.replace("filters", "filter")


def test_two_sides_stand_beside_each_other(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Each by its own weights; zoom, selection and search are in step."""
    _open(page, fleet)
    page.get_by_role("button", name="side by side").click()
    before = page.get_by_role("application", name="Differential flame graph, before")
    after = page.get_by_role("application", name="Differential flame graph, after")
    expect(after).to_be_visible()
    widths = [side.bounding_box() for side in (before, after)]
    assert widths[0]
    assert widths[1]
    assert abs(widths[0]["width"] - widths[1]["width"]) < 4
    was, now = _sides(fleet_rows)
    tips = page.locator(".flame .tip")

    def place(profile: Profile, path: Path) -> Position:
        x = profile.middle(path) * widths[0]["width"]
        return {"x": x, "y": 20 * len(path) + 10}

    # Locks: next to nothing of the one side, much of the other.
    after.hover(position=place(now, now.matches("^lock_acquire$")[0]))
    expect(tips.nth(1)).to_contain_text("lock_acquire")
    idle = was.widest(4)
    before.hover(position=place(was, idle))
    expect(tips.nth(0)).to_contain_text(label(idle[-1]))
    before.click(position=place(was, idle))
    after.hover(position={"x": widths[1]["width"] * 0.1, "y": 20 * 4 + 10})
    expect(tips.nth(1)).to_contain_text(label(idle[-1]))
    crumbs = page.get_by_role("navigation", name="Zoom path").get_by_role("button")
    expect(crumbs).to_have_text(["all", *map(label, idle)])
    page.go_back()
    expect(crumbs).to_have_text(["all"])
    page.reload()
    expect(after).to_be_visible()


def test_the_tooltip_counts_the_events_of_both_sides(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Of the whole and of any frame, also where the sides are swapped."""
    _open(page, fleet, f"{AGAINST}&sides=1")
    was, now = _sides(fleet_rows)
    path = now.matches("^lock_acquire$")[0]
    graphs = page.get_by_role("application", name="Differential flame graph")
    counts = {len(path): (was.count(path), now.count(path))}
    counts[0] = (was.events.total(), now.events.total())

    def tell(side: int, depth: int, before: int, after: int) -> None:
        graph = graphs.nth(side)
        x = now.middle(path) * graph.evaluate("graph => graph.clientWidth")
        graph.hover(position={"x": x, "y": 20 * depth + 10})
        told = page.locator(".flame .tip").nth(side).locator("dd")
        for k, count in enumerate((before, after)):
            expect(told.nth(k)).to_contain_text(f" {count:,} waits")

    for depth, (before, after) in counts.items():
        tell(1, depth, before, after)
    page.get_by_role("button", name="Swap A and B").click()
    for depth, (before, after) in counts.items():
        tell(0, depth, after, before)


def test_a_baseline_can_be_typed(fleet: Serving, page: Page) -> None:
    """Any range will do, also one that the timeline does not reach."""
    _open(page, fleet, "&view=compare&base.from=same")
    page.get_by_role("button", name="times").click()
    form = page.get_by_role("dialog", name="Times of the baseline")
    form.get_by_label("From").fill("2020-02-02 12:00")
    form.get_by_label("To").fill("2020-02-01 12:00")
    page.keyboard.press("Enter")
    expect(form).to_contain_text("The range ends before it begins.")
    form.get_by_label("To").fill("2020-02-02 13:00")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("base.from=2020-02-02T12:00:00Z&base.to=2020-02-02T13:00"))
    side = page.locator(".side.baseline")
    expect(side).to_contain_text("2020-02-02 12:00:00 \N{EN DASH} 13:00:00 UTC")
    expect(side.get_by_label("Baseline", exact=True)).to_have_value("own")
    expect(page.locator(".notices")).to_contain_text("The baseline holds no rows")


def test_a_host_is_compared_with_the_others(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """A group's own rows are not part of its baseline, and the page says so."""
    page.goto(f"{fleet.read}/?table=offcputime&presets=-&view=hosts")
    hosts = page.get_by_role("table", name="Hosts")
    hosts.get_by_role("button", name=SLOW, exact=True).click()
    page.get_by_role("button", name="Compare with the hosts alike").click()
    others = re.compile(f"host!={SLOW}|host.*shop-[12],shop-[12]")
    expect(page.locator(".side.baseline")).to_contain_text(others)
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("lock_wait", exact=True)).to_be_visible()
    shares = [percent(side.share("lock_wait"), 1) for side in _sides(fleet_rows)]
    assert _row(frames, "lock_wait")[1:3] == shares


def test_the_colours_of_a_change_are_its_own(fleet: Serving, page: Page) -> None:
    """A choice for the colour-blind leaves the flame graph's colours and legend alone."""
    _open(page, fleet)
    page.get_by_label("Colours of the change").select_option("red-green")
    expect(page).to_have_url(re.compile("diffColor=red-green"))
    page.get_by_role("tab", name="Flame graph").click()
    expect(page.locator(".legend > .legend")).to_contain_text("kernel")
    page.get_by_label("Colours", exact=True).select_option("name")
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_label("Colours of the change")).to_have_value("red-green")


def test_both_sides_say_what_they_are(fleet: Serving, page: Page) -> None:
    """Times and filters of each, merged and side by side, swapped or not, and in a picture."""
    _open(page, fleet)
    head = page.locator(".sides .side")
    expect(head.first).to_have_text(re.compile("^A"))
    expect(head.first).to_contain_text(f"host!={SLOW}")
    expect(head.last).to_have_text(re.compile("^B"))
    expect(head.last).to_contain_text(f"Host is {SLOW}, 20")
    titles = page.locator(".pair .side")
    expect(titles.first).to_be_hidden()
    page.get_by_role("button", name="side by side").click()
    before = re.compile(rf"A Host is not {SLOW}, 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d .* UTC$")
    after = re.compile(rf"B Host is {SLOW}, 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d .* UTC$")
    for title, text in zip((titles.first, titles.last), (before, after), strict=True):
        expect(title).to_be_visible()
        expect(title).to_have_text(text)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="SVG").click()
    picture = saved.value.path().read_text()
    assert f"A: Host is not {SLOW}, 20" in picture
    assert f"B: Host is {SLOW}, 20" in picture
    page.get_by_role("button", name="Swap A and B").click()
    expect(titles.first).to_have_text(re.compile(f"^A Host is {SLOW}, "))
    expect(titles.last).to_have_text(re.compile(f"^B Host is not {SLOW}, "))
    page.reload()
    expect(titles.first).to_have_text(re.compile(f"^A Host is {SLOW}, "))


def test_a_box_narrows_the_side_that_it_was_drawn_on(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """The baseline keeps its own times; the box's sizes bound both."""
    times = sorted({datetime.fromisoformat(row["time"]) for row in fleet_rows})
    middle = times[len(times) // 2]
    base = f"&base.from={middle - timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}"
    base += f"&base.to={middle:%Y-%m-%dT%H:%M:%SZ}"
    start, end = (int((middle + timedelta(minutes=m)).timestamp()) * 10**6 for m in (1, 6))
    box = f"&box=lengths,{start},{end},65536,16777216"
    _open(page, fleet, f"&view=compare&relative=0{base}{box}")
    sized = [row for row in fleet_rows if has_size(row, 65536, 16777216)]
    begin = middle.replace(microsecond=0) - timedelta(minutes=20)
    before = Profile(_between(sized, begin, middle.replace(microsecond=0)))
    shown = Profile(
        _between(sized, *(datetime.fromtimestamp(us / 1e6, UTC) for us in (start, end)))
    )
    sides = page.locator(".sides .side")
    # Amounts of twenty minutes and of five are no comparison: their rates are one.
    expect(sides.first).to_contain_text(f"{at_once(before.total, 1200)} threads")
    expect(sides.last).to_contain_text(f"{at_once(shown.total, 300)} threads")
    assert before.total
    assert before.total != shown.total


def test_the_same_range_is_the_box_too(fleet: Serving, fleet_rows: list[Row], page: Page) -> None:
    """Host against host: the box is of both, as the range is."""
    times = sorted({datetime.fromisoformat(row["time"]) for row in fleet_rows})
    start, end = (int(times[k].timestamp()) * 10**6 for k in (len(times) // 2, -1))
    _open(page, fleet, f"{AGAINST}&relative=0&box=lengths,{start},{end},1,16777216")
    left = _between(fleet_rows, *(datetime.fromtimestamp(us / 1e6, UTC) for us in (start, end)))
    before, after = _sides([row for row in left if has_size(row, 1, 16777216)])
    sides = page.locator(".sides .side")
    length = (end - start) / 1e6
    expect(sides.first).to_contain_text(at_once(before.total, length))
    expect(sides.last).to_contain_text(at_once(after.total, length))


def test_a_search_has_a_share_of_each_side(
    fleet: Serving, fleet_rows: list[Row], page: Page
) -> None:
    """Of the whole of each, under a focus too."""
    _open(page, fleet, f"{AGAINST}&search=%5Elock_wait%24")
    was, now = (percent(side.share("lock_wait"), 1) for side in _sides(fleet_rows))
    matched = page.locator(".matched")
    expect(matched).to_have_text(f"{was} before, {now} after matched")
    page.goto(f"{page.url}&focus=lock_wait")
    expect(matched).to_have_text(f"{was} before, {now} after matched")
    graph = page.get_by_role("application", name="Differential flame graph")
    graph.press("ArrowDown")
    said = page.locator(".flame [aria-live]").first
    expect(said).to_contain_text(re.compile(rf"A .* {was} .*B .* {now} "))


def _between(rows: list[Row], start: datetime, end: datetime) -> list[Row]:
    return [row for row in rows if start <= datetime.fromisoformat(row["time"]) < end]
