"""The main job: a process waits, the agent sees it, and a person finds it on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.tracing import agent
from tests.e2e.waits import WAITS, assert_waits, waited
from tests.serving import serving
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.serving import Serving

pytestmark = pytest.mark.bpf

# How many pixels differ from those of the first call.
COUNT_FADED = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const before = canvas.firstSeen ??= data;
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    count += [0, 1, 2].some(k => data[i + k] !== before[i + k]);
  return count;
}"""


@dataclass(frozen=True)
class Traced:
    """A server with what the agent saw of the workload, and what the workload says of itself."""

    server: Serving
    pid: int
    truth: dict[str, Any]
    stolen_us: int


@pytest.fixture(scope="module")
def traced(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    del built_page
    folder = tmp_path_factory.mktemp("main-job")
    with serving(folder) as server, workload("waiter.c", folder, 3000) as waiter:
        target = ["--pid", waiter.pid, "--interval", 1]
        sending = ["--server", server.ingest, "--spool", folder / "spool"]
        with agent("offcputime", *target, *sending) as running:
            running.wait_for("probe running")
            waiter.go()
            truth = waiter.truth()
            running.stop()
        yield Traced(server, waiter.pid, truth, waiter.stolen_us)


def test_the_flame_graph_holds_each_wait_with_its_time(traced: Traced) -> None:
    """Futex, pipe, fsync and sleep: frames of program and kernel, times within 10 %."""
    graph = traced.server.get("/api/v1/flamegraph/offcputime", pid=traced.pid).json()
    assert_waits(graph, traced.truth, traced.stolen_us)


@pytest.mark.browser
def test_the_page_shows_each_wait(traced: Traced, page: Page) -> None:
    """Every function that waits can be found in the table beside the graph."""
    _open(page, traced)
    for function in WAITS:
        _search(page, f"^{function}$")
        row = page.get_by_role("table", name="Frames").get_by_role("button", name=function)
        row.first.wait_for()


@pytest.mark.browser
def test_a_search_highlights_the_waits(traced: Traced, page: Page) -> None:
    """The other frames fade in the graph, and the page shows the share of those that match."""
    _open(page, traced)
    canvas = page.get_by_role("application", name="Flame graph")
    page.wait_for_load_state("networkidle")
    assert canvas.evaluate(COUNT_FADED) == 0
    _search(page, "^no_such_frame$")
    all_of_them = canvas.evaluate(COUNT_FADED)
    _search(page, "^wait_")
    assert 1000 < canvas.evaluate(COUNT_FADED) < all_of_them - 1000
    share = re.match(r"([\d.]+) % matched", page.locator(".matched").inner_text())
    assert share
    graph = traced.server.get("/api/v1/flamegraph/offcputime", pid=traced.pid).json()
    # Told with a digit behind the point.
    assert float(share[1]) == pytest.approx(100 * waited(graph) / graph["total"], abs=0.06)


def _open(page: Page, traced: Traced) -> None:
    # The preset of off-CPU time would hide those that look like idle workers.
    page.goto(f"{traced.server.read}/?table=offcputime&presets=-")
    page.get_by_role("table", name="Frames").locator("tbody tr").first.wait_for()


def _search(page: Page, expression: str) -> None:
    page.get_by_label("Search frames").fill(expression)
    page.wait_for_function(
        "text => new URLSearchParams(location.search).get('search') === text", arg=expression
    )
    page.locator(".matched").get_by_text("matched").wait_for()
    page.evaluate("new Promise(requestAnimationFrame)")
