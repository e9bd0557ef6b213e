"""Run queue latency, against the scheduler's own account in /proc/PID/schedstat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_waiting_for_a_cpu_agrees_with_schedstat(tmp_path: Path) -> None:
    """Three children that compete for one CPU wait as long, and as often, as schedstat says."""
    rows, truth = traced("crowd", tmp_path, "runqlat", "--children")
    by_pid = {str(row["pid"]): row for row in rows}
    assert len(truth["said"]) == 3
    for pid, told in truth["said"].items():
        assert told["us"] > 100_000
        assert by_pid[pid]["elapsed"] == pytest.approx(told["us"], rel=0.1)
        # The child ends a little after it has asked.
        assert told["count"] - 2 <= by_pid[pid]["count"] <= told["count"] + 10
        assert sum(by_pid[pid]["latency"]) == by_pid[pid]["count"]
    assert set(by_pid) <= {*truth["said"], str(truth["actor"])}
