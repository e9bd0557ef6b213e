"""Hardware interrupts, against /proc/interrupts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_a_disk_interrupts_the_one_that_spins_for_it(tmp_path: Path) -> None:
    """Most reads that are awaited by spinning interrupt the reader, none more than the disk did."""
    rows, truth = traced("interrupts", tmp_path, "hardirqs")
    said = truth["said"]
    counted = {row["device"]: row["count"] for row in rows}
    for device, count in counted.items():
        assert count <= said["interrupts"][device]
    # A disk may interrupt one CPU only, and another process may run there.
    # Of one that is polled, or is memory, there is nothing to see.
    if max(said["interrupts"].values(), default=0) >= said["requests"]:
        assert max(counted.values(), default=0) >= said["requests"] / 2
    assert all(sum(row["duration"]) == row["count"] for row in rows)
