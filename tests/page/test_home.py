"""Home: all data types at a glance, and the way from there to each of them."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.written import at_once
from tests.serving import kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Route

    from tests.page.conftest import Incident

pytestmark = pytest.mark.browser

# The disk of db-2 stalls: any of these is right, and the others are its evidence.
CAUSE = re.compile("fsync|flush|jbd2|operation write")

NUMBERS = ("", "", "Two", "Three", "Four", "Five")


def _line(page: Page, name: str) -> Locator:
    return page.locator(".home .type").filter(has=page.get_by_role("link", name=name, exact=True))


def test_home_names_what_is_unusual_without_a_click(incident: Incident, page: Page) -> None:
    """The stall of one disk, the throttled writes of another host, and the host that is silent."""
    page.goto(incident.address())
    lead = page.locator(".home .lead")
    expect(lead.get_by_role("heading")).to_contain_text("things are unusual", timeout=60_000)
    lines = lead.get_by_role("listitem")
    expect(lead.get_by_role("heading")).to_contain_text(NUMBERS[lines.count()])
    stall = lines.filter(has_text="db-2")
    expect(stall).to_contain_text(CAUSE)
    expect(stall).to_contain_text("30 s after config change")
    expect(lines.filter(has_text="db-4")).to_contain_text("since")
    expect(lines.filter(has_text="cache-1")).to_contain_text("silent: last seen 14 min ago")
    assert "unusual" in page.title()


def test_a_stretch_without_a_finding_is_not_told(incident: Incident, page: Page) -> None:
    """Its place is kept while it is asked about: nothing moves when the next one stands there."""
    held: list[Route] = []

    def answer(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile("/api/v1/changes"), answer)
    page.goto(incident.address())
    lead = page.locator(".home .lead")
    expect(lead.get_by_role("heading")).to_contain_text("What is unusual between")
    asking = lead.get_by_role("listitem")
    expect(asking).to_have_count(1)
    expect(asking).to_contain_text("Block I/O latency")
    hosts = page.locator(".home .hosts")
    place = hosts.bounding_box()
    whole = held[0].fetch()
    held[0].fulfill(response=whole, json=whole.json() | {"findings": []})
    expect(lead.get_by_role("heading")).to_contain_text("things are unusual", timeout=60_000)
    number = NUMBERS[lead.get_by_role("listitem").count()]
    expect(lead.get_by_role("heading")).to_contain_text(number)
    expect(lead.filter(has_text="config change")).to_have_count(0)
    assert hosts.bounding_box() == place
    assert page.title().startswith(f"{number} things")


def test_a_sentence_of_home_leads_to_its_moment(incident: Incident, page: Page) -> None:
    """The link selects the stretch and opens the panel about it; the way back leads to Home."""
    page.goto(incident.address())
    stall = page.locator(".home .lead li").filter(has_text="db-2")
    stall.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"table=\w+.*panel=changes.*box="))
    expect(page.locator(".panel .finding").first).to_contain_text("db-2")
    page.go_back()
    expect(page.locator(".home .lead h1")).to_be_visible()


def test_each_type_with_data_has_a_line(incident: Incident, page: Page) -> None:
    """Its total, its line over time, what is on top; types without data are folded away."""
    page.goto(incident.address())
    waits = _line(page, "Off-CPU time")
    expect(waits.locator(".tot b")).to_have_text(re.compile(r"^\d"))
    expect(waits.locator(".spark path.line")).to_have_count(1)
    expect(_line(page, "Block I/O latency").locator(".spark path.loud")).to_have_count(1)
    expect(waits.locator(".on")).to_contain_text("%")
    expect(_line(page, "Opened files").locator(".tot")).to_contain_text("a minute")
    expect(_line(page, "Agents")).to_have_count(0)
    expect(_line(page, "Out-of-memory kills")).to_have_count(0)
    folded = page.locator(".home .without")
    folded.get_by_role("button", name=re.compile(r"\d+ data types without data")).click()
    folded.get_by_role("link", name="Out-of-memory kills").click()
    expect(page).to_have_url(re.compile("table=oomkill"))


def test_a_line_opens_its_type_with_what_is_chosen(incident: Incident, page: Page) -> None:
    """Range and host stay, the unusual stretch becomes the selection; Back leads to Home."""
    page.goto(incident.address())
    page.locator(".home .hosts").get_by_role("button", name="db-2").click()
    expect(page).to_have_url(re.compile("filter=hostname=db-2"))
    line = _line(page, "Block I/O latency")
    expect(line.locator(".up")).to_be_visible()
    line.click(position={"x": 8, "y": 30})
    expect(page).to_have_url(re.compile("table=biolatency"))
    for part in (incident.between(60, 0), "filter=hostname=db-2", "box=,"):
        assert part in page.url
    page.go_back()
    pressed = page.locator(".home .hosts [aria-pressed=true]")
    expect(pressed).to_contain_text("db-2")
    pressed.click()
    expect(page).not_to_have_url(re.compile("filter="))


def test_the_wall_clock_says_where_the_time_went(incident: Incident, page: Page) -> None:
    """A part of the bar for each state, as wide as its time; the numbers are those of the rows."""
    page.goto(incident.address())
    on_top = _line(page, "Wall clock").locator(".on")
    asked = {"by": "state", "preset": "without idle waits", "n": 10, **incident.asked(60, 0)}
    entries = incident.server.get("/api/v1/top/wallclock", value="elapsed", **asked).json()
    threads = {each["key"][0]: each["value"] / (3600 * 1e6) for each in entries["entries"]}
    expect(on_top).to_contain_text(f"disk {at_once(3600e6 * threads['disk'])}")
    states = ("on CPU", "waiting to run", "disk", "lock", "network")
    assert set(states) == threads.keys()
    widths = on_top.locator(".states i").evaluate_all("all => all.map(one => one.clientWidth)")
    whole = sum(threads.values())
    assert [each / sum(widths) for each in widths] == pytest.approx(
        [threads[state] / whole for state in states], abs=0.02
    )


def test_a_drag_over_the_lines_asks_what_changed(incident: Incident, page: Page) -> None:
    """All lines have one axis: what is selected on it is the panel's question, on Home as well."""
    page.goto(incident.address())
    spark = _line(page, "On-CPU profile").locator(".spark")
    box = spark.bounding_box()
    assert box
    y = box["y"] + 10
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, y, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"box=,"))
    page.get_by_role("button", name="What changed here?").click()
    panel = page.get_by_role("region", name="What changed here?", exact=True)
    expect(panel.locator(".finding").first).to_be_visible()
    assert "table=" not in page.url
    right = page.locator(".home .types").bounding_box()
    left = panel.bounding_box()
    assert right
    assert left
    assert right["x"] + right["width"] <= left["x"]


def test_home_says_when_all_is_calm(incident: Incident, page: Page) -> None:
    """A host in the hour before the release: one quiet sentence, each line is as usual."""
    page.goto(incident.address("&filter=hostname=web-2", 110, 50))
    expect(page.locator(".home .type")).not_to_have_count(0)
    assert page.locator(".home .lead li").all_inner_texts() == []
    expect(page.locator(".home h1")).to_contain_text("Nothing is unusual between")
    expect(_line(page, "Off-CPU time")).to_contain_text("as usual")


def test_a_first_visit_becomes_home_with_the_first_rows(
    built_page: None, page: Page, tmp_path: Path
) -> None:
    """A line to copy starts an agent for this server, another plays the recording."""
    del built_page
    with serving(tmp_path) as server:
        page.goto(server.read)
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing has come in yet")
        agent, recording = page.locator(".command code").all_inner_texts()
        assert agent == f"sudo kscope agent offcputime --server {server.ingest}"
        program, *arguments = shlex.split(recording)
        assert program == "kscope"
        command = kscope(*arguments, "--duration", "2", "--spool", tmp_path / "spool")
        subprocess.run(command, check=True, capture_output=True)
        expect(_line(page, "Off-CPU time")).to_be_visible(timeout=30_000)
