"""The on-CPU profile, against the CPU time that a program measures of itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import recording
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_samples_add_up_to_the_cpu_time(tmp_path: Path) -> None:
    """Two functions share 600 ms of CPU time three to one, and so do their samples."""
    with workload("stacks.c", tmp_path, 600, 1) as burner:
        # Each time that others push it off the CPU a sample more or less may fall on it, and
        # always the same where they take turns in step with the clock.
        os.setpriority(os.PRIO_PROCESS, burner.pid, -20)
        with recording("profile", "--pid", burner.pid, "--frequency", 499) as rows:
            burner.go()
            truth = burner.truth()
        most = sum(row["elapsed"] for row in rows if ";burn_most" in row["stack"])
        rest = sum(row["elapsed"] for row in rows if ";burn_rest" in row["stack"])
        assert burner.agrees(most, truth["most"])
        assert burner.agrees(most + rest, truth["all"])
        assert {row["pid"] for row in rows} == {burner.pid}
        assert sum(row["samples"] for row in rows) == pytest.approx(truth["all"] * 499e-6, rel=0.1)
