"""Every view in both themes, wide and narrow: pictures to look at, and what can be checked."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import ViewportSize, expect

from tests import needs
from tests.page.bar import field
from tests.serving import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

    from tests.browserfixtures import Complaints
    from tests.page.conftest import Incident
    from tests.serving import Serving

pytestmark = pytest.mark.browser

# Continuous integration keeps them: see CONTRIBUTING.md.
PICTURES = Path(os.environ.get("KSCOPE_SCREENSHOTS", ROOT / ".work" / "screenshots"))
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHIFTS = """
window.shift = 0;
window.moved = [];
const where = ({x, y}) => `${Math.round(x)},${Math.round(y)}`;
new PerformanceObserver(list => {
    for (const entry of list.getEntries().filter(entry => !entry.hadRecentInput)) {
        window.shift += entry.value;
        for (const {node, previousRect, currentRect} of entry.sources) {
            const name = node?.className || node?.nodeName;
            window.moved.push(`${name} ${where(previousRect)} to ${where(currentRect)}`);
        }
    }
}).observe({type: 'layout-shift', buffered: true});
"""


@dataclass(frozen=True)
class View:
    """An address, and what is there once the view has been drawn.

    `opened` is a button of what lies over it, `error` a part of what the browser complains of.
    """

    address: str
    shown: str
    opened: str = ""
    fleet: bool = False
    incident: bool = False
    error: str = ""


STACKS = "/?table=offcputime"
STALL = "{stall}"
VIEWS = {
    "home": View("", ".home .type", incident=True),
    "home-panel": View(f"&panel=changes{STALL}", ".panel .remarks", incident=True),
    "panel": View(f"&table=offcputime&panel=changes{STALL}", ".panel .remarks", incident=True),
    "flame": View(STACKS, "table[aria-label=Frames] tbody tr"),
    "search": View(f"{STACKS}&search=futex", "text=matched"),
    "sandwich": View(f"{STACKS}&view=sandwich&frame=do_syscall_64_[k]", ".sandwich .line strong"),
    "compare": View(f"{STACKS}&view=compare&from=now-10m", "table[aria-label=Frames] tbody tr"),
    "hosts": View(f"{STACKS}&view=hosts", "table[aria-label=Hosts] tbody tr", fleet=True),
    "rows": View(f"{STACKS}&view=rows", "table[aria-label=Rows] tbody tr"),
    "charts": View("/?table=agent&view=charts", "figure canvas", fleet=True),
    "filters": View(
        f"{STACKS}&filter=process=shopdb&filter=elapsed__gte=5ms&filter=reason=blocked",
        "table[aria-label=Frames] tbody tr",
    ),
    "types": View(STACKS, "role=menuitemradio[name=/Agents/]", "Data type"),
    "range-form": View(STACKS, "text=Show this range", "last 1 h"),
    "export-menu": View(STACKS, "text=Folded stacks", "Export"),
    "more-menu": View(STACKS, "text=New category", "More"),
    "banner": View(STACKS, ".notices.open", "all 2", fleet=True),
    "error": View(f"{STACKS}&filter=elapsed__gte=x", ".loader.failed", error="400"),
    "empty": View(f"{STACKS}&from=now-20d&to=now-19d", "text=Nothing in this range"),
    "first-visit": View("/?table=biolatency", "text=No Block I/O latency yet"),
    "new": View("/new", "text=No problems."),
}
FORMS = ("types", "range-form", "filters")
NARROW = (
    *("home", "panel"),
    *("flame", "search", "sandwich", "compare", "hosts", "rows", "charts", "banner"),
    *("first-visit", "new", *FORMS),
)
SIZES = [
    *((1440, view) for view in VIEWS if view not in FORMS),
    *((420, view) for view in NARROW),
    *((2560, view) for view in ("flame", "home", "panel")),
]
# When the page says which theme was chosen; a paint tells its own time.
THEMED = """
new MutationObserver(() => { window.themed ??= performance.now(); })
    .observe(document, {subtree: true, attributeFilter: ['data-theme']});
"""
PAINTED = "performance.getEntriesByName('first-paint')[0]?.startTime"
# The flame graph is not so high as its place.
CANVAS = """
color => {
    const canvas = document.querySelector('.flame canvas')
    if (!canvas) return false
    const [bottom, paper] = [canvas.height - 1, canvas.getContext('2d')]
    return `rgb(${paper.getImageData(0, bottom, 1, 1).data.slice(0, 3).join(', ')})` === color
}
"""
PAGE = "color => getComputedStyle(document.body).backgroundColor === color"
# In the dark only colours differ.
RULES = {"light": "{}", "dark": "{runOnly: ['color-contrast']}"}


@pytest.mark.parametrize(("width", "view"), SIZES)
def test_view(
    *,
    recorded: Serving,
    fleet: Serving,
    browser: Browser,
    complaints: Complaints,
    request: pytest.FixtureRequest,
    width: int,
    view: str,
) -> None:
    """It fits its width, stands still, is accessible to axe-core, and its pictures are kept."""
    one = VIEWS[view]
    complaints.expected = one.error
    size = ViewportSize(width=width, height=900)
    context = browser.new_context(viewport=size, color_scheme="light")
    context.on("page", complaints.watch)
    page = context.new_page()
    page.add_init_script(SHIFTS)
    if one.incident:
        incident: Incident = request.getfixturevalue("incident")
        page.goto(incident.address(one.address.replace(STALL, incident.box(34, 28))))
    else:
        page.goto((fleet if one.fleet else recorded).read + one.address)
    page.wait_for_load_state("networkidle")
    if one.opened:
        page.get_by_role("button", name=one.opened).first.click()
    expect(page.locator(one.shown).first).to_be_visible(timeout=15_000)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.shift") < 0.005, page.evaluate("window.moved")
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


def test_filters_can_be_read_on_a_phone(recorded: Serving, browser: Browser) -> None:
    """Range and filters share one line; a filter is as wide as its words, and can be removed."""
    page = browser.new_page(viewport={"width": 420, "height": 900})
    page.goto(recorded.read + VIEWS["filters"].address)
    chips = page.locator(".bar .chip")
    expect(chips).to_have_count(3)
    for chip in chips.all():
        assert chip.evaluate("chip => chip.scrollWidth <= chip.clientWidth")
    middle = "part => (part.getBoundingClientRect().top + part.getBoundingClientRect().bottom) / 2"
    middles = [part.evaluate(middle) for part in (chips.first, page.locator(".bar .range"))]
    assert abs(middles[0] - middles[1]) < 4
    page.get_by_role("button", name="Remove filter: Reason is blocked").click()
    expect(chips).to_have_count(2)
    page.close()


@pytest.mark.parametrize("width", [360, 420])
def test_the_bar_takes_two_lines_on_a_phone(
    recorded: Serving, browser: Browser, width: int
) -> None:
    """However long a data type's name is, the buttons stay beside it."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{recorded.read}/?table=offwaketime")
    chosen = page.get_by_role("button", name="Data type: Off-CPU time and its waker")
    top = chosen.bounding_box()
    assert top
    for name in ("Live", "Share", "More"):
        box = page.locator(".bar").get_by_role("button", name=name).bounding_box()
        assert box
        assert abs(box["y"] - top["y"]) < 4, name
        assert box["x"] + box["width"] <= width
    page.close()


def test_filters_have_a_line_of_their_own_on_a_tablet(recorded: Serving, browser: Browser) -> None:
    """Beside the range and the buttons they would stand below each other."""
    page = browser.new_page(viewport={"width": 700, "height": 900})
    page.goto(f"{recorded.read}/?table=offcputime&filter=process=shopdb&filter=hostname=shop-1")
    bar = page.locator(".bar")
    expect(bar.locator(".chip")).to_have_count(2)
    first = [bar.get_by_role("button", name=name) for name in ("Data type", "Share", "More")]
    second = [bar.locator(".range"), *bar.locator(".chip").all(), field(page)]
    middle = "part => (part.getBoundingClientRect().top + part.getBoundingClientRect().bottom) / 2"
    for line in (first, second):
        middles = [part.evaluate(middle) for part in line]
        assert max(middles) - min(middles) < 4
    assert bar.evaluate("bar => bar.clientHeight") < 100
    page.close()


def test_a_chosen_theme_is_there_from_the_first_paint(recorded: Serving, browser: Browser) -> None:
    """It outlasts a reload, against the system's; page and canvases follow, nothing flashes up."""
    page = browser.new_page(color_scheme="light", viewport={"width": 1440, "height": 900})
    page.add_init_script(THEMED)
    page.goto(f"{recorded.read}/?table=offcputime")
    for theme in ("system", "light"):
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name=f"Theme: {theme}").click()
    page.wait_for_function(PAGE, arg="rgb(15, 17, 20)")
    page.wait_for_function(CANVAS, arg="rgb(15, 17, 20)")
    page.route("**/main-*.js", _late)
    page.reload()
    page.wait_for_function(CANVAS, arg="rgb(15, 17, 20)")
    painted = page.wait_for_function(PAINTED).json_value()
    assert page.evaluate("window.themed") <= painted
    page.close()


def _late(route: Route) -> None:
    """Answers after the browser would have painted."""
    time.sleep(0.5)
    route.continue_()


def test_recorded_data_is_marked(recorded: Serving, page: Page) -> None:
    """A replay is marked, so that it is not mistaken for live data."""
    page.goto(f"{recorded.read}/?table=offcputime")
    expect(page.locator(".notices")).to_contain_text("Recorded data")


def test_speedscope_opens_the_same_profile(recorded: Serving, page: Page) -> None:
    """Its release is served here and fetches the profile itself, from nowhere else."""
    page.goto(f"{recorded.read}/?table=offcputime&filter=process=shopdb")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.get_by_text("session_main", exact=True)).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name="Open in speedscope").click()
    speedscope = opened.value
    expect(speedscope.locator("body")).to_contain_text("Left Heavy", timeout=15_000)
    expect(speedscope.locator("body")).to_contain_text("Kernelscope offcputime")
    assert speedscope.url.startswith(f"{recorded.read}/speedscope/")


def test_speedscope_reads_a_profile_for_pprof(recorded: Serving, page: Page) -> None:
    """It lists the functions of the profile's default type of values."""
    profile = "/api/v1/flamegraph/offcputime?format=pprof&process=shopdb"
    page.goto(f"{recorded.read}/speedscope/index.html#profileURL={quote(profile, safe='')}")
    expect(page.locator("body")).to_contain_text("Left Heavy", timeout=15_000)
    page.get_by_text("Sandwich").click()
    expect(page.locator("body")).to_contain_text("session_main")


def test_it_prints(recorded: Serving, browser: Browser, tmp_path: Path) -> None:
    """On paper it is light whatever the screen is, without controls, and nothing is cut off."""
    pdftoppm = needs.program("pdftoppm", "poppler-utils")
    page = browser.new_page(color_scheme="dark", viewport={"width": 1440, "height": 900})
    page.goto(f"{recorded.read}/?table=offcputime")
    frames = page.get_by_role("table", name="Frames")
    expect(frames.locator("tbody tr").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.pdf(path=tmp_path / "page.pdf", print_background=True)
    subprocess.run([pdftoppm, "-r", "40", "-gray", "page.pdf", "page"], cwd=tmp_path, check=True)
    papers = sorted(tmp_path.glob("*.pgm"))
    assert len(papers) >= 3
    for paper in papers:
        shades = paper.read_bytes().split(b"\n", 3)[3]
        assert sum(shade < 64 for shade in shades) < 0.1 * len(shades), paper.name
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Export")).to_be_hidden()
    rows = int(frames.get_attribute("aria-rowcount") or 0) - 1
    expect(frames.locator("tbody tr:not([aria-hidden])")).to_have_count(min(rows, 200))
    graph = page.locator(".flame")
    assert graph.evaluate("flame => flame.scrollHeight <= flame.clientHeight")
    page.emulate_media(media="screen")
    expect(page.get_by_role("button", name="Export")).to_be_visible()
    page.close()
