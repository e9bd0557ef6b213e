"""Many threads, many stacks, many drains: nothing of it may be lost unless it is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fakeserver import Server

pytestmark = pytest.mark.bpf


def lost(server: Server) -> dict[str, int]:
    """What the agent's rows say was lost, by column, over all intervals."""
    rows = server.rows("agent")
    # Other BPF programs may be in the way of ours on this machine, and a thread that is caught in
    # libc, which keeps no frame pointer, may seem to be without end.
    elsewhere = {"lost_runs", "lost_stacks_truncated"}
    names = [name for name in rows[0] if name.startswith("lost_") and name not in elsewhere]
    return {name: sum(row[name] for row in rows) for name in names}


def test_stacks_outlive_the_drains_between(tmp_path: Path) -> None:
    """Threads that sleep across drains keep their stacks, whenever they wake."""
    with fake_server() as server, workload("napper.c", tmp_path, 4000, 200, 20_000) as napper:
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--interval", 0.2)
        with agent("offcputime", "--pid", napper.pid, *flags) as running:
            running.wait_for("probe running")
            napper.go()
            napper.truth()
            running.stop()
    # The main thread sleeps in libc, whose frames cannot be followed.
    rows = [row for row in server.rows("offcputime") if row["process"] != "napper"]
    naps = [row["stack"] for row in rows if "nanosleep" in row["stack"]]
    assert len(naps) >= 10 * 200
    assert [stack for stack in naps if ";napping;" not in stack] == []
    assert not any(lost(server).values()), lost(server)
