"""A probe's events over HTTP, in the database with their own times."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.tracing import agent
from tests.probes.acting import actor
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_events_are_stored_with_the_time_at_which_they_happened(tmp_path: Path) -> None:
    """Connections arrive whole: addresses, bytes, and the moment of the end, not of the drain."""
    with serving(tmp_path) as server, actor("connections", tmp_path) as acting:
        arguments = ["--server", server.ingest, "--spool", tmp_path / "spool", "--interval", 30]
        with agent("tcplife", "--pid", acting.pid, *arguments) as running:
            running.wait_for("probe running")
            began = time.time() * 1e6
            acting.go()
            made = acting.truth()
            ended = time.time() * 1e6
            time.sleep(0.3)
            running.stop()
        stored = server.get("/api/v1/rows/tcplife", order="time").json()
    rows = [dict(zip(stored["columns"], row, strict=True)) for row in stored["rows"]]
    assert sorted((row["sent"], row["received"]) for row in rows) == sorted(
        pair for one in made for pair in ((one["up"], one["down"]), (one["down"], one["up"]))
    )
    assert all(began < row["time"] < ended for row in rows)
    assert {row["local_address"] for row in rows} == {one["client"][0] for one in made}
    database = sqlite3.connect(tmp_path / "kernelscope.db")
    assert database.execute("SELECT count(*) FROM tcplife").fetchone() == (4,)
