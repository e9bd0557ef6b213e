"""What the page's banner is made of, against rows whose losses are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.serving import Serving


def test_losses_are_shares_of_what_there_was(fleet: Serving) -> None:
    """44 reports of one lost stack beside 295 waits; 15 of 59 minutes without a report."""
    answer = fleet.get("/api/v1/quality/offcputime", **{"from": "now-90m"}).json()
    assert answer["agents"] == 3
    assert {lack["host"] for lack in answer["lacks"]} == {"web-003"}
    lost = next(lack for lack in answer["lacks"] if lack["column"] == "lost_stacks_full")
    assert lost["count"] == 44
    assert lost["share"] == pytest.approx(44 / (295 + 44))
    silent = next(lack for lack in answer["lacks"] if lack["column"] == "elapsed")
    assert silent["count"] == 15
    assert silent["share"] == pytest.approx(15 / 59)


def test_other_hosts_losses_are_not_told(fleet: Serving) -> None:
    """A filter by host holds for the banner too; other filters do not hide a loss."""
    whole = fleet.get("/api/v1/quality/offcputime", hostname="web-001").json()
    assert whole["lacks"] == []
    spoilt = fleet.get("/api/v1/quality/offcputime", hostname="web-003", process="db").json()
    assert spoilt["agents"] == 1
    assert len(spoilt["lacks"]) == 2


def test_a_table_without_agents_has_nothing_to_tell(fleet: Serving) -> None:
    """Rows that scripts send come without reports."""
    answer = fleet.get("/api/v1/quality/pressure").json()
    assert answer == {"table": "pressure", "agents": 0, "lacks": []}
