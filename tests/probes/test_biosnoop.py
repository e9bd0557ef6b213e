"""Block I/O requests, against what /proc/PID/io and the reader's own clock say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced
from tests.probes.actions import BLOCK, READS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_each_direct_read_is_an_event(tmp_path: Path) -> None:
    """Reads past the page cache: each one's size and place, and no more time than they took."""
    rows, truth = traced("reads", tmp_path, "biosnoop")
    said = truth["said"]
    reads = [row for row in rows if row["operation"] == "read"]
    assert sum(row["bytes"] for row in reads) == said["bytes"] == READS * BLOCK
    assert READS <= len(reads) <= 2 * READS
    assert len({row["sector"] for row in reads}) == len(reads)
    assert 0 < sum(row["elapsed"] + row["queued"] for row in reads) <= said["us"]
    assert {row["pid"] for row in reads} == {truth["actor"]}
    assert {row["error"] for row in rows} == {""}
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
