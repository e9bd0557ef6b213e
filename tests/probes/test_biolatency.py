"""Block I/O latency, against what /proc/PID/io and the reader's own clock say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import UNSAID, traced_reads
from tests.probes.actions import BLOCK, READS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_direct_reads_are_counted_and_timed(tmp_path: Path) -> None:
    """Reads past the page cache beside those of another process: their bytes to the last one,
    their number, and no more time than they took.
    """
    rows, truth = traced_reads(tmp_path, "biolatency")
    reads = [row for row in rows if row["operation"] == "read"]
    left_out = rows.lost + UNSAID
    missing = left_out * BLOCK
    seen = sum(row["bytes"] for row in reads)
    assert truth["bytes"] - missing <= seen <= truth["bytes"] == READS * BLOCK
    # A file in several pieces takes more requests than reads.
    requests = sum(row["count"] for row in reads)
    assert READS - left_out <= requests < READS + len(truth["sectors"])
    assert sum(sum(row["latency"]) for row in reads) == sum(row["count"] for row in reads)
    assert 0 < sum(row["elapsed"] for row in reads) <= truth["us"]
    written = sum(row["bytes"] for row in rows if row["operation"] == "write")
    assert READS * BLOCK - missing <= written <= READS * BLOCK
    assert all(row["device"] in truth["device"] for row in rows)
