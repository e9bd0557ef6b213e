"""Out-of-memory kills, against a memory cgroup that counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import actor, recording, traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_the_killed_and_what_it_held(tmp_path: Path) -> None:
    """A child that outgrows its memory cgroup is killed, once, holding about what it may."""
    rows, truth = traced("hunger", tmp_path, "oomkill")
    said = truth["said"]
    assert (said["signal"], said["kills"]) == (9, 1)
    (row,) = rows
    assert (row["pid"], row["trigger_pid"]) == (said["pid"], said["pid"])
    assert row["process"] == row["trigger_process"] != ""
    # The limit is 32 MiB; the files that it has mapped are charged to others.
    assert 24 << 20 < row["resident"] < 96 << 20
    assert row["total"] >= row["resident"]


def test_a_child_that_another_process_crowds_out(tmp_path: Path) -> None:
    """With --pid a killed child counts, no matter which process asked for the memory."""
    with actor("victim", tmp_path) as family, actor("crowds_out", tmp_path) as stranger:
        with recording("oomkill", "--pid", family.pid) as rows:
            stranger.go()
            crowd = stranger.truth()
            family.go()
            said = family.truth()
        assert said["signal"] == 9
        assert [(row["pid"], row["trigger_pid"]) for row in rows] == [(said["pid"], crowd)]
