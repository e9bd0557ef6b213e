"""Opened files, against the process that opened them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_each_open_is_seen_with_its_outcome(tmp_path: Path) -> None:
    """As many events as calls, whichever of the system calls made them; failures by name."""
    rows, truth = traced("opens", tmp_path, "opensnoop")
    said = truth["said"]
    seen = [(r["path"], r["access"], r["created"], r["error"]) for r in rows]
    there = said["there"]
    assert seen == [
        (there, "write", True, ""),
        *[(there, "read", False, "")] * 20,
        ("made", "read and write", True, ""),
        ("not/there", "read", False, said["failure"]),
        (there, "path", False, ""),
        ("by-creat", "write", True, ""),
        ("by-open", "write", True, ""),
        ("by-openat2", "write", True, ""),
    ]
    assert 0 < sum(row["elapsed"] for row in rows) <= said["us"]
    assert {row["pid"] for row in rows} == {truth["actor"]}


def test_only_failures(tmp_path: Path) -> None:
    """With --failed only the open that failed is recorded."""
    rows, _ = traced("opens", tmp_path, "opensnoop", "--failed")
    assert [(row["path"], row["error"]) for row in rows] == [("not/there", "ENOENT")]
