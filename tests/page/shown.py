"""The rows that the page's address asks for, and whether the page shows exactly those."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.page.recording import Profile, has_size
from tests.page.written import at_once, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from playwright.sync_api import Locator, Page

    from tests.page.recording import Row


def chosen(page: Page, rows: Iterable[Row]) -> list[Row]:
    """The rows of the range that the page's address gives."""
    found = re.search(r"\bfrom=(20[^&]+)&to=([^&]+)", page.url)
    assert found, page.url
    start, end = map(datetime.fromisoformat, found.groups())
    return _within(rows, start, end)


def boxed(page: Page, rows: Iterable[Row]) -> list[Row]:
    """The rows in the time of the address's box that hold waits of its sizes."""
    found = re.search(r"\bbox=lengths,([\d.]+),([\d.]+),([\d.]+),([\d.]+)", page.url)
    assert found, page.url
    begin, stop, low, high = map(float, found.groups())
    sized = [row for row in rows if has_size(row, low, high)]
    start, end = (datetime.fromtimestamp(us / 1e6, UTC) for us in (begin, stop))
    return _within(sized, start, end)


def seconds(url: str) -> float:
    """How long the time is that an address shows: the box's, the range's, or the last hour."""
    box = re.search(r"\bbox=(?:[a-z_]\w*)?,?([\d.]+),([\d.]+)", url)
    if box:
        return (float(box[2]) - float(box[1])) / 1e6
    found = re.search(r"\bfrom=(20[^&]+)&to=([^&]+)", url)
    if not found:
        return 3600
    start, end = map(datetime.fromisoformat, found.groups())
    return (end - start).total_seconds()


def _within(rows: Iterable[Row], start: datetime, end: datetime) -> list[Row]:
    return [row for row in rows if start <= datetime.fromisoformat(row["time"]) < end]


def wait_for(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for a canvas, which is painted a little later, and much later on a busy machine."""
    for _ in range(300):
        if holds():
            return
        page.wait_for_timeout(50)
    assert holds()


def drag(page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two places, in pixels of the canvas."""
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=3)
    page.mouse.up()


def legend(page: Page, words: str) -> list[str]:
    """The series beside the timeline, each with its sum or mean, which is in its title."""
    parts = page.locator(".facts .legend > *").evaluate_all(
        "all => all.map(one => [one.querySelector('.name').textContent, one.title])"
    )
    return [f"{name} {title.split(f' {words}')[0]}" for name, title in parts]


def expect_shown(page: Page, rows: list[Row]) -> None:
    """Table and timeline are of these rows and no others."""
    summed = Profile(rows)
    assert summed.total
    expect(page.locator(".figures")).to_have_text(summed.figures)
    split = [f"{path[0]} {duration(value)}" for path, value in summed.nodes.items() if not path[1:]]
    assert sorted(legend(page, "in all")) == sorted(split)
    most = max(total for _, total in summed.frames.values())
    first = page.get_by_role("table", name="Frames").locator("tbody tr").first
    expect(first.locator("td").last).to_have_text(at_once(most, seconds(page.url)))
