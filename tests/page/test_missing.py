"""A shard of a cluster is away: every part of the page that has its answer says so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

    from tests.serving import Serving

pytestmark = pytest.mark.browser

SAID = "shard 2 does not answer: the rows of its hosts are missing here"
NOTICE = {"level": "warning", "text": SAID}


@pytest.fixture
def lacking(page: Page) -> Iterator[Page]:
    """Change the answers to those that a cluster gives: see tests/store/test_cluster.py."""

    def changed(line: str) -> str:
        answer: dict[str, Any] = json.loads(line)
        if "notices" in answer:
            answer["notices"].insert(0, NOTICE)
        if "meta" in answer:
            answer["meta"]["missing"] = ["shard 2"]
        return json.dumps(answer)

    def change(route: Route) -> None:
        whole = route.fetch()
        lines = whole.text().splitlines()
        route.fulfill(response=whole, body="".join(f"{changed(line)}\n" for line in lines))

    page.route(re.compile("/api/v1/(flamegraph|timeseries|rows|hosts|overview|changes)"), change)
    yield page
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("width", [420, 1440])
@pytest.mark.parametrize("place", ["?table=offcputime", ""])
def test_the_banner_names_the_shard(fleet: Serving, lacking: Page, place: str, width: int) -> None:
    """Of a data type in each view, and of all data types."""
    page = lacking
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{fleet.read}/{place}")
    banner = page.locator(".notices")
    expect(banner).to_contain_text(SAID)
    expect(banner).to_be_visible()
    if not place:
        # On a phone the banner is below the window.
        expect(page.locator(".home .without")).to_contain_text(SAID)
    else:
        for view in ("Rows", "Hosts"):
            page.get_by_role("tab", name=view).click()
            expect(banner).to_contain_text(SAID)


def test_the_changes_name_the_shard(fleet: Serving, lacking: Page) -> None:
    lacking.goto(f"{fleet.read}/?table=offcputime&panel=changes")
    findings = lacking.get_by_role("region", name="Findings")
    expect(findings).to_contain_text(SAID, timeout=60_000)
