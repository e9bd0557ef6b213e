"""Categories that the page has never heard of: dropped in, or being written."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from kscope.declare.charts import chart_configs
from kscope.declare.files.catalog import load_catalog
from tests.page.bar import choose_type
from tests.serving import ROOT, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.serving import Serving

BREWING = """\
table: brewing
prettyname: Brewing
description: What a coffee machine's kernel does.
columns:
  - {name: bean, type: label, prettyname: Bean}
  - {name: path, type: stack, prettyname: Poured from}
  - {name: drops, type: count, prettyname: Drops}
  - {name: sizes, type: histogram, prettyname: Drop size, unit: bytes}
"""
EVERY_TYPE = ROOT / "tests/cases/every_type/categories"


@pytest.mark.browser
def test_a_dropped_in_category_has_its_charts(built_page: None, page: Page, tmp_path: Path) -> None:
    """Dropped in while the server runs, it has flame graph, timeline, heatmap and table.

    Nothing of the page knows the category: it was made up here.
    """
    del built_page
    folder = tmp_path / "categories"
    folder.mkdir()
    with serving(tmp_path, "--categories", folder) as server:
        (folder / "brewing.yaml").write_text(BREWING)
        _wait_for(server, "brewing")
        _brew(server)
        page.goto(f"{server.read}/")
        choose_type(page, "Brewing")
        expect(page.locator(".figures")).to_contain_text("sum 30 drops")
        expect(page.locator(".facts .legend")).to_contain_text("arabica")
        frames = page.get_by_role("table", name="Frames")
        row = frames.locator("tbody tr").filter(has_text="pour")
        expect(row).to_have_count(1)
        # The frame that calls it has the same, and no separate row.
        cells = row.locator("td").all_inner_texts()
        assert (cells[0].split(), cells[1:]) == (["pour", "+1"], ["30 drops", "", "30 drops"])
        graph = page.get_by_role("application", name="Flame graph")
        for said in ("all", "arabica", "boil", "pour"):
            graph.press("ArrowDown")
            expect(page.locator(".flame [aria-live]")).to_contain_text(said)
        expect(page.get_by_role("img", name="Drop size")).to_be_visible()
        # Three sizes; the middle one occurs five times in each row.
        assert _told(page, ".heatmap", 48, minutes_ago=15) == ["4 B to 8 B", "5 events"]
        # Ten drops in a step of half a minute.
        assert _told(page, ".timeline", 40, minutes_ago=15) == ["20/min  arabica"]
        page.get_by_role("tab", name="Rows").click()
        expect(page.get_by_role("table", name="Rows")).to_contain_text("pour ← boil")
        # Renamed: what stays behind is said, with the command that drops it.
        (folder / "brewing.yaml").write_text(BREWING.replace("table: brewing", "table: coffee"))
        _wait_for(server, "coffee")
        while not server.get("/api/v1/categories").json()["leftovers"]:  # found a moment later
            time.sleep(0.1)
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator(".notices")).to_contain_text("kscope migrate --drop brewing")


TICKETS = """\
table: tickets
columns:
  - {name: n, type: count}
  - {name: path, type: stack}
  - {name: expires, type: timestamp, default: null}
"""


@pytest.mark.browser
def test_null_has_a_series_and_a_group(built_page: None, page: Page, tmp_path: Path) -> None:
    """Its sum is its own, and a click on it, or its menu, leaves the rows without a value."""
    del built_page
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/tickets.yaml").write_text(TICKETS)
    with serving(tmp_path, "--categories", tmp_path / "mine") as server:
        rows = [{"n": n, "path": "main;work"} for n in (1, 2, 4)]
        rows[0]["expires"] = "2026-01-05T10:00:00Z"
        server.post({"hostname": "h", "tickets": rows})
        address = f"{server.read}/?table=tickets&by=expires&group=expires&from=now-5m"
        page.goto(address)
        legend = page.locator(".facts .legend > *")
        expect(legend).to_have_count(2)
        empty = legend.filter(has_text="(empty)")
        expect(empty).to_have_attribute("title", re.compile("^6 "))
        empty.click()
        expect(page.locator(".figures")).to_contain_text("2 rows")
        assert "filter=expires__null=true" in page.url
        page.goto(address)
        graph = page.get_by_role("application", name="Flame graph")
        expect(page.get_by_role("table", name="Frames").locator("tbody tr")).to_have_count(1)
        for key in ("ArrowDown", "ArrowDown", "m"):
            graph.press(key)
        page.get_by_role("menuitem", name="Only (empty)").click()
        expect(page.locator(".figures")).to_contain_text("2 rows")
        expect(page).to_have_url(re.compile("filter=expires__null=true"))


def _wait_for(server: Serving, table: str) -> None:
    """A server looks at its folders every other second."""
    for _ in range(100):
        categories = server.get("/api/v1/categories").json()["categories"]
        if any(each["table"] == table for each in categories):
            return
        time.sleep(0.1)
    raise AssertionError(f"the server has not noticed {table}.yaml")


def _told(page: Page, part: str, y: float, minutes_ago: float) -> list[str]:
    """Return the tooltip's lines below the time, for the last hour's rows."""
    canvas = page.locator(f"{part} canvas")
    box = canvas.bounding_box()
    assert box
    # An axis of 64 pixels on the left, a margin of 8 on the right; a step is some ten pixels wide.
    middle = 64 + (box["width"] - 72) * (1 - minutes_ago / 60)
    for x in range(-16, 17, 4):
        canvas.hover(position={"x": middle + x, "y": y})
        lines = page.locator(".band .tip").inner_text().splitlines()[1:]
        told = [line.strip() for line in lines if not line.startswith(("no report", "most"))]
        if told and told[-1] != "0 events":
            return told
    return []


def _brew(server: Serving) -> None:
    now = datetime.now(UTC)
    row = {"bean": "arabica", "path": "boil;pour", "drops": 10, "sizes": [0, 3, 5, 2]}
    times = [(now - timedelta(minutes=minutes)).isoformat() for minutes in (5, 15, 25)]
    body = {"hostname": "kitchen", "time": now.isoformat()}
    server.post(body | {"brewing": [row | {"time": time} for time in times]})


@pytest.mark.browser
def test_problems_show_as_one_types(server: Serving, page: Page) -> None:
    """The server's check is shown, with line and suggestion; fixing the text clears the list."""
    page.goto(f"{server.read}/new")
    text = page.get_by_label("Category in YAML")
    text.fill(BREWING.replace("label", "lable"))
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("columns[0].type: unknown type 'lable'")
    verdict.get_by_role("button", name="line 5").click()
    assert "lable" in page.evaluate("getSelection().toString()")
    text.fill(BREWING)
    expect(verdict).to_contain_text("No problems.")


@pytest.mark.browser
def test_a_new_category_is_previewed(server: Serving, page: Page) -> None:
    """Table, charts, JSON Schema and DDL are what `kscope generate` would write."""
    page.goto(f"{server.read}/new")
    page.get_by_label("Category in YAML").fill(BREWING)
    preview = page.locator(".preview")
    expect(preview.get_by_role("heading", name="Brewing")).to_be_visible()
    page.get_by_role("tab", name="sqlite").click()
    expect(preview).to_contain_text("CREATE TABLE IF NOT EXISTS kscope_rows_brewing")
    page.get_by_role("tab", name="JSON Schema").click()
    expect(preview).to_contain_text("brewing")
    page.get_by_role("tab", name="Charts").click()
    expect(preview.get_by_role("img", name="Brewing: ")).to_have_count(2)
    graph = preview.get_by_role("application")
    graph.press("ArrowDown")
    expect(preview.locator(".flame [aria-live]")).to_contain_text("total 100")
    tables = [each["table"] for each in server.get("/api/v1/categories").json()["categories"]]
    assert "brewing" not in tables


@pytest.mark.browser
def test_a_line_far_down_is_scrolled_to(server: Serving, page: Page) -> None:
    """The button of a problem shows its line, however long the text is."""
    page.goto(f"{server.read}/new")
    text = page.get_by_label("Category in YAML")
    many = "".join(f"  - {{name: c{k}, type: count}}\n" for k in range(100))
    text.fill(BREWING + many + "  - {name: last, type: cuont}\n")
    page.get_by_role("button", name="line 109").click()
    top, height, line = text.evaluate(
        "text => [text.scrollTop, text.clientHeight, parseFloat(getComputedStyle(text).lineHeight)]"
    )
    assert top < 108 * line < top + height
    assert "cuont" in page.evaluate("getSelection().toString()")


@pytest.mark.browser
def test_an_old_preview_is_marked(server: Serving, page: Page) -> None:
    """While a line is half written the last good preview stays, and says that it is old."""
    page.goto(f"{server.read}/new")
    text = page.get_by_label("Category in YAML")
    preview = page.locator(".preview")
    text.fill(BREWING)
    expect(preview).to_contain_text("Poured from")
    expect(preview).not_to_contain_text("before it had problems")
    text.fill(BREWING.replace("stack", "stakc"))
    expect(preview).to_contain_text("This is of the text before it had problems.")
    expect(preview).to_contain_text("Poured from")
    text.fill(BREWING)
    expect(preview).not_to_contain_text("before it had problems")


@pytest.mark.browser
def test_a_draft_survives_a_reload(server: Serving, page: Page) -> None:
    """Text being written survives a reload of the page."""
    page.goto(f"{server.read}/new")
    page.get_by_label("Category in YAML").fill(BREWING)
    expect(page.locator(".preview")).to_contain_text("Poured from")
    page.reload()
    expect(page.get_by_label("Category in YAML")).to_have_value(BREWING)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xff\xfe", 400), (b"a" * 70_000, 413), (b"", 200), (b"- &a [*a, *a]", 200)],
)
def test_the_check_takes_anything(server: Serving, body: bytes, status: int) -> None:
    """A body that is not text or is too long is refused; any other gets its problems."""
    answer = httpx.post(f"{server.read}/api/v1/check", content=body)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["problems"]
        assert answer.json()["category"] is None


def test_an_existing_table_is_named(server: Serving) -> None:
    """A second file for a table is refused with the name of the first."""
    text = BREWING.replace("brewing", "offcputime")
    answer = httpx.post(f"{server.read}/api/v1/check", content=text).json()
    assert answer["declared_in"] == "offcputime.yaml"


def test_each_chart_names_a_question_that_the_server_answers(server: Serving) -> None:
    """The question and the parameters of every built-in chart are taken as they are."""
    for category in load_catalog(["builtin"]):
        for chart in chart_configs(category):
            parameters = dict(chart.query)
            question = parameters.pop("question")
            url = f"{server.read}/api/v1/{question}/{category.table}"
            assert httpx.get(url, params=parameters).status_code == 200, chart.title


def test_a_mean_is_drawn_as_a_line(server: Serving) -> None:
    """Sums are stacked as areas; a stack of means would have no meaning."""
    marks = {
        (category.table, chart.query["value"]): chart.mark
        for category in load_catalog(["builtin", EVERY_TYPE])
        for chart in chart_configs(category)
        if chart.kind == "timeseries"
    }
    assert marks["agent", "memory"] == "line"
    assert marks["syscalls", "count"] == "area"
    charts = server.get("/api/v1/charts/agent").json()["charts"]
    assert {one["mark"] for one in charts if one["query"]["value"] == "memory"} == {"line"}
