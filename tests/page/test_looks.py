"""Every view in both themes, wide and narrow: pictures to look at, and what can be checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.browserfixtures import Complaints
    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Continuous integration keeps them.
PICTURES = ROOT / "build" / "screenshots"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

# Address, and what is there once the view has been drawn.
VIEWS = {
    "flame": ("/?table=offcputime", "table[aria-label=Frames] tbody tr"),
    "search": ("/?table=offcputime&search=futex", "text=matched"),
    "sandwich": (
        "/?table=offcputime&view=sandwich&frame=do_syscall_64_[k]",
        ".sandwich .line strong",
    ),
    "compare": ("/?table=offcputime&view=compare&from=now-10m", "text=Change"),
    "hosts": ("/?table=offcputime&view=hosts", "table[aria-label=Hosts] tbody tr"),
    "rows": ("/?table=offcputime&view=rows", "table[aria-label=Rows] tbody tr"),
    "first-visit": ("/?table=biolatency", "text=No Block I/O latency yet"),
    "new": ("/new", "text=No problems."),
}
NARROW = ("flame", "compare", "rows", "first-visit", "new")
SIZES = [(1440, view) for view in VIEWS] + [(420, view) for view in NARROW] + [(2560, "flame")]
# In the dark only colours differ.
RULES = {"light": "{}", "dark": "{runOnly: ['color-contrast']}"}


@pytest.mark.parametrize(("width", "view"), SIZES)
def test_view(
    recorded: Serving, browser: Browser, complaints: Complaints, width: int, view: str
) -> None:
    """It fits its width, axe-core finds nothing serious, and its pictures are kept."""
    size = ViewportSize(width=width, height=900)
    context = browser.new_context(viewport=size, color_scheme="light")
    context.on("page", complaints.watch)
    page = context.new_page()
    address, shown = VIEWS[view]
    page.goto(recorded.read + address)
    expect(page.locator(shown).first).to_be_visible(timeout=15_000)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(AXE.read_text())
    PICTURES.mkdir(parents=True, exist_ok=True)
    for theme, rules in RULES.items():
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.screenshot(path=PICTURES / f"{view}-{width}-{theme}.png", full_page=width < 500)
        assert _serious(page, rules) == []
    context.close()
    assert complaints.unexpected == []


def _serious(page: Page, rules: str) -> list[str]:
    run = f"axe.run(document, {rules}).then(result => JSON.stringify(result.violations))"
    return [
        f"{rule['id']}: {node['html'][:120]}: {node['failureSummary'][:200]}"
        for rule in json.loads(page.evaluate(run))
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_nothing_moves_while_it_loads(recorded: Serving, page: Page) -> None:
    """The layout stands from the first picture on: charts and tables fill places kept for them."""
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => {"
        " for (const entry of list.getEntries()) window.shift += entry.value"
        "}).observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(f"{recorded.read}/?table=offcputime&filter=process=pipe")
    expect(page.locator("table[aria-label=Frames] tbody tr").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.02


def test_recorded_data_is_marked(recorded: Serving, page: Page) -> None:
    """Nobody takes a replay for what is happening now."""
    page.goto(f"{recorded.read}/?table=offcputime")
    expect(page.locator(".notices")).to_contain_text("Recorded data")


def test_speedscope_opens_the_same_profile(recorded: Serving, page: Page) -> None:
    """Its release is served here and fetches the profile itself, from nowhere else."""
    page.goto(f"{recorded.read}/?table=offcputime&filter=process=futex")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("futex_wait", exact=True)).to_be_visible()
    page.get_by_role("button", name="export").click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name="Open in speedscope").click()
    speedscope = opened.value
    expect(speedscope.locator("body")).to_contain_text("Left Heavy", timeout=15_000)
    expect(speedscope.locator("body")).to_contain_text("Kernelscope offcputime")
    assert speedscope.url.startswith(f"{recorded.read}/speedscope/")


def test_it_prints(recorded: Serving, page: Page, tmp_path: Path) -> None:
    """On paper there are no controls, and the graph is there."""
    page.goto(f"{recorded.read}/?table=offcputime")
    expect(page.locator("table[aria-label=Frames] tbody tr").first).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="export")).to_be_hidden()
    expect(page.get_by_role("application", name="Flame graph")).to_be_visible()
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
