"""The figures of the page's banner, compared with rows whose losses are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.world import HOSTS, MINUTES, SLOW, reports

if TYPE_CHECKING:
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
    assert answer == {"table": "pressure", "agents": 0, "lacks": []}
