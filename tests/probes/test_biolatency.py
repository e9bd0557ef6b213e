"""Block I/O latency, against what /proc/PID/io and the reader's own clock say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced
from tests.probes.actions import BLOCK, READS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_direct_reads_are_counted_and_timed(tmp_path: Path) -> None:
    """Reads past the page cache: their number, their bytes, and no more time than they took."""
    rows, truth = traced("reads", tmp_path, "biolatency")
    said = truth["said"]
    reads = [row for row in rows if row["operation"] == "read"]
    assert sum(row["bytes"] for row in reads) == said["bytes"] == READS * BLOCK
    # A file in several pieces takes more requests than reads.
    assert READS <= sum(row["count"] for row in reads) <= 2 * READS
    assert sum(sum(row["latency"]) for row in reads) == sum(row["count"] for row in reads)
    assert 0 < sum(row["elapsed"] for row in reads) <= said["us"]
    assert any(row["operation"] == "write" and row["bytes"] >= READS * BLOCK for row in rows)
    assert all(row["device"] in said["device"] for row in rows)
