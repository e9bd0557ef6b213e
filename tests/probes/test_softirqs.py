"""Soft interrupts, against packets whose number is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_each_packet_to_oneself_is_a_soft_interrupt(tmp_path: Path) -> None:
    """A packet over loopback is received in a soft interrupt of the call that sends it."""
    rows, truth = traced("packets", tmp_path, "softirqs")
    said = truth["said"]
    received = next(row for row in rows if row["softirq"] == "net_rx")
    # The kernel may put one off to its own thread when there are many, or receive two at once.
    sure = said["at_once"] - said["pushed_off"]
    assert sure > said["packets"] / 2
    assert 0.95 * sure <= received["count"] <= 1.05 * said["packets"]
    assert sum(received["duration"]) == received["count"]
    assert 0 < received["elapsed"] < said["us"]
