"""Signals, against the process that sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_each_signal_has_sender_target_and_fate(tmp_path: Path) -> None:
    """Signals delivered, ignored, sent to oneself by two calls, and sent to no process."""
    rows, truth = traced("signals", tmp_path, "killsnoop")
    actor, child, nobody = truth["actor"], truth["said"]["child"], truth["said"]["nobody"]
    seen = [(r["signal_name"], r["target_pid"], r["source"], r["result"], r["error"]) for r in rows]
    assert seen == [
        ("SIGWINCH", child, "kill", "ignored", ""),
        ("SIGUSR1", actor, "tkill", "delivered", ""),
        ("SIGUSR1", actor, "kill", "delivered", ""),
        ("SIGHUP", nobody, "kill", "failed", "ESRCH"),
        ("SIGTERM", child, "kill", "delivered", ""),
    ]
    assert {row["pid"] for row in rows} == {actor}
    assert {row["target"] for row in rows if row["target_pid"] == child} == {"sleep"}


def test_the_kernel_own_signals_on_request(tmp_path: Path) -> None:
    """With --kernel the SIGCHLD of each child that ended is there too."""
    rows, truth = traced("signals", tmp_path, "killsnoop", "--kernel")
    ends = [row for row in rows if row["signal_name"] == "SIGCHLD"]
    assert [row["source"] for row in ends] == ["kernel"] * 2
    assert {row["pid"] for row in ends} == {truth["said"]["child"], truth["said"]["nobody"]}
