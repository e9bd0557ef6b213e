"""TCP retransmissions, compared with the kernel's count in a separate network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_what_is_sent_again_is_what_the_kernel_counts(tmp_path: Path) -> None:
    """A receiver that drops what arrives makes the sender try again, as often as RetransSegs."""
    rows, truth = traced("lossy", tmp_path, "tcpretrans")
    said = truth["said"]
    assert len(rows) == said["segments"] >= 2
    ends = [
        ((r["local_address"], r["local_port"]), (r["remote_address"], r["remote_port"]))
        for r in rows
    ]
    assert ends == [(tuple(said["local"]), tuple(said["remote"]))] * len(rows)
    assert {(row["pid"], row["state"]) for row in rows} == {(truth["actor"], "established")}
