"""Off-CPU time and its waker, against threads that measure their own waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import recording
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_one_stack_shows_who_waited_and_who_ended_it(tmp_path: Path) -> None:
    """The sleeper's frames stand before --, the waker's behind it upside down; times agree."""
    with workload("waiter.c", tmp_path, 800) as waiter:
        with recording("offwaketime", "--pid", waiter.pid) as rows:
            waiter.go()
            truth = waiter.truth()["futex"]
        measured = 0
        for row in rows:
            if "hrtimer_wakeup" in row["stack"]:  # a timer: whom it interrupted has no part in it
                assert (row["waker"], row["waker_pid"]) == ("[interrupt]", 0)
            sleeper, _, waker = row["stack"].partition(";--;")
            if ";wait_futex;" in sleeper and ";release;" in waker:
                assert waker.index("futex_wake") < waker.index("release")
                assert (row["process"], row["waker_pid"]) == ("futex", waiter.pid)
                measured += row["elapsed"]
        assert waiter.agrees(measured, truth["us"])
        assert {row["pid"] for row in rows} == {waiter.pid}
