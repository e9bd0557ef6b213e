"""Ends of processes, against what their parent waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_exits_and_deaths_have_their_cause_and_age(tmp_path: Path) -> None:
    """Exit codes, signals, and an age no longer than the parent measured from fork to wait."""
    rows, truth = traced("ends", tmp_path, "exitsnoop")
    causes = {row["pid"]: (row["code"], row["signal_name"]) for row in rows}
    expected = {
        "fine": (0, ""),
        "three": (3, ""),
        "killed": (0, "SIGKILL"),
        "crashed": (0, "SIGSEGV"),
    }
    assert causes == {child["pid"]: expected[name] for name, child in truth["said"].items()}
    ages = {row["pid"]: row["elapsed"] for row in rows}
    for child in truth["said"].values():
        assert 50_000 <= ages[child["pid"]] <= child["us"]
    assert {row["parent_pid"] for row in rows} == {truth["actor"]}


def test_only_failures(tmp_path: Path) -> None:
    """With --failed a process that exits with 0 is left out."""
    rows, truth = traced("ends", tmp_path, "exitsnoop", "--failed")
    fine = truth["said"].pop("fine")["pid"]
    assert [row["pid"] for row in rows] == [child["pid"] for child in truth["said"].values()]
    assert fine not in {row["pid"] for row in rows}
