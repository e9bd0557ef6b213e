"""TCP connections, against the process that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_both_ends_of_each_connection(tmp_path: Path) -> None:
    """IPv4 and IPv6: addresses, ports, bytes each way to the byte, and the time it was open."""
    rows, truth = traced("connections", tmp_path, "tcplife")
    seen = {
        (
            r["direction"],
            r["local_address"],
            r["local_port"],
            r["remote_address"],
            r["remote_port"],
        ): r
        for r in rows
    }
    assert len(rows) == len(seen) == 4
    for made in truth["said"]:
        out = seen[("out", *made["client"], *made["server"])]
        into = seen[("in", *made["server"], *made["client"])]
        assert (out["sent"], out["received"]) == (made["up"], made["down"])
        assert (into["sent"], into["received"]) == (made["down"], made["up"])
        assert 100_000 <= out["elapsed"] <= made["us"]
        assert into["elapsed"] == pytest.approx(out["elapsed"], rel=0.1)
    assert {row["pid"] for row in rows} == {truth["actor"]}
