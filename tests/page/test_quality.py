"""The figures of the page's banner, compared with rows whose losses are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.world import HOSTS, MINUTES, SLOW, minutely, past, reports

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.recording import Row
    from tests.serving import Serving


def test_losses_are_shares_of_what_there_was(fleet: Serving, fleet_rows: list[Row]) -> None:
    """Lost stacks beside the waits that arrived; minutes without a report beside all minutes."""
    answer = fleet.get("/api/v1/quality/offcputime", **{"from": "now-90m"}).json()
    assert answer["agents"] == 3
    assert {lack["host"] for lack in answer["lacks"]} == {SLOW}
    said = [row for row in reports(fleet_rows) if row["hostname"] == SLOW]
    lost = next(lack for lack in answer["lacks"] if lack["column"] == "lost_stacks_full")
    assert lost["count"] == sum(row["lost_stacks_full"] for row in said)
    waits = sum(row["count"] for row in fleet_rows if row["hostname"] == SLOW)
    assert lost["share"] == pytest.approx(lost["count"] / (waits + lost["count"]))
    silent = next(lack for lack in answer["lacks"] if lack["column"] == "elapsed")
    assert silent["count"] == 15
    assert silent["share"] == pytest.approx(15 / MINUTES)


def test_other_hosts_losses_are_not_told(fleet: Serving) -> None:
    """A filter by host holds for the banner too; other filters do not hide a loss."""
    whole = fleet.get("/api/v1/quality/offcputime", hostname=HOSTS[0]).json()
    assert whole["lacks"] == []
    spoilt = fleet.get("/api/v1/quality/offcputime", hostname=SLOW, process="shopdb").json()
    assert spoilt["agents"] == 1
    assert len(spoilt["lacks"]) == 2


def test_a_table_without_agents_has_nothing_to_tell(fleet: Serving) -> None:
    """Rows that scripts send come without reports."""
    answer = fleet.get("/api/v1/quality/pressure").json()
    nothing = {"lacks": [], "binaries": [], "notices": []}
    assert answer == {"table": "pressure", "agents": 0, **nothing}


def test_binaries_are_named_with_a_fix(server: Serving, page: Page) -> None:
    """One line for each fix, with the binaries that it helps, and how much has no root."""
    end, address = past(17)
    row = {"process": "shopdb", "pid": 1, "elapsed": 5_000}
    stacks = ["main;wait", "[truncated];deep;deeper", "[broken];__libc_wait [libfoo.so.1]"]
    minutely(server, end, "offcputime", [row | {"stack": stack} for stack in stacks])
    minutely(server, end, "agent", about("app", "libbar.so.2"))
    page.goto(f"{server.read}/?table=offcputime{address}")
    banner = page.locator(".notices")
    banner.get_by_role("button").click()
    nameless = "Frames without a name are in app (15 %, 1,770; on web-001), libbar.so.2 (15"
    expect(banner).to_contain_text(nameless)
    expect(banner).to_contain_text("To do: install debug symbols there (Debian: libc6-dbg for libc")
    expect(banner).to_contain_text("Stacks broke (table not loaded) in app (20 %, 236")
    expect(banner).to_contain_text("33.3 % is in stacks that end in [truncated]")
    expect(banner).to_contain_text("33.3 % is in stacks that end in [broken]")
    expect(banner).not_to_contain_text("runs through frames without a name")


def about(*names: str) -> list[dict[str, object]]:
    """An agent's rows about an interval and about binaries in it."""
    probe = {"probe": "offcputime", "state": "running", "elapsed": 60_000_000}
    rows: list[dict[str, object]] = [probe | {"row_count": 20, "frames": 200, "frames_unknown": 60}]
    for name in names:
        of = {"probe": "offcputime", "state": "stacks", "binary_name": name}
        rows.append(of | {"reason": "no name", "nameless_frames": 30})
        rows.append(of | {"reason": "table not loaded", "broken_stacks": 4})
    return rows
