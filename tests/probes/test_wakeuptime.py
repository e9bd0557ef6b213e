"""Wake-up time, against threads that measure how long they waited for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import recording
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_the_waker_is_charged_with_the_sleep(tmp_path: Path) -> None:
    """A thread that waits for a futex is woken by the stack that releases it, for as long as it
    says that it waited.
    """
    with workload("waiter.c", tmp_path, 800) as waiter:
        with recording("wakeuptime", "--pid", waiter.pid) as rows:
            waiter.go()
            truth = waiter.truth()["futex"]
        found = [r for r in rows if r["target"] == "futex" and ";release;" in r["stack"]]
        assert all("futex_wake" in row["stack"] for row in found)
        assert {row["target_pid"] for row in rows} == {waiter.pid}
        # A timer ends a sleep; whom it interrupted has no part in that.
        timers = [row for row in rows if "hrtimer_wakeup" in row["stack"]]
        assert {(row["process"], row["pid"]) for row in timers} == {("[interrupt]", 0)}
        assert all(row["stack"].startswith(("asm_", "el")) for row in timers)
        assert waiter.agrees(sum(row["elapsed"] for row in found), truth["us"])
        assert sum(row["count"] for row in found) <= truth["count"] + 1
