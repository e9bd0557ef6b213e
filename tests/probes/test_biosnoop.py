"""Block I/O requests, against what /proc/PID/io, the file system and the reader's clock say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import UNSAID, traced_reads
from tests.probes.actions import BLOCK, READS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def sectors(pieces: list[tuple[int, int]]) -> list[int]:
    return sorted(sector for first, count in pieces for sector in range(first, first + count))


def test_each_direct_read_is_an_event(tmp_path: Path) -> None:
    """Reads past the page cache: each sector of the file once, none of another process's."""
    rows, truth = traced_reads(tmp_path, "biosnoop")
    reads = [row for row in rows if row["operation"] == "read"]
    seen = sectors([(row["sector"], row["bytes"] // 512) for row in reads])
    there = sectors(truth["sectors"])
    assert len(there) * 512 == truth["bytes"] == READS * BLOCK
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(there)
    assert not set(seen) & set(sectors(truth["other"]))
    assert len(there) - len(seen) <= (rows.lost + UNSAID) * BLOCK // 512
    assert 0 < sum(row["elapsed"] + row["queued"] for row in reads) <= truth["us"]
    assert {row["pid"] for row in rows} == {truth["actor"]}
    assert {row["error"] for row in rows} == {""}
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
