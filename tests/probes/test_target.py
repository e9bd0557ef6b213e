"""Whom a probe looks at: a cgroup, a process with the children that it has already."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kscope.agent.host.kernel import cgroup_root
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.probes.acting import actor, recording, traced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.bpf


@contextmanager
def cgroup(pid: int) -> Iterator[Path]:
    """Put a process into a separate cgroup until it exits."""
    root = cgroup_root()
    assert root
    folder = root / f"kscope-test-{os.getpid()}"
    folder.mkdir()
    (folder / "cgroup.procs").write_text(str(pid))
    yield folder
    (root / "cgroup.procs").write_text(str(pid))
    folder.rmdir()


def test_a_cgroup_instead_of_a_process(tmp_path: Path) -> None:
    """With --cgroup the processes in it are seen, and no other."""
    with (
        actor("opens", tmp_path) as inside,
        actor("opens", tmp_path) as outside,
        cgroup(inside.pid) as folder,
        recording("opensnoop", "--cgroup", folder) as rows,
    ):
        for process in (inside, outside):
            process.go()
            process.truth()
    assert len(rows) == 27
    assert {row["pid"] for row in rows} == {inside.pid}


def test_a_cgroup_in_the_configuration(tmp_path: Path) -> None:
    """A probe that kernelscope.yaml lists may be limited there as --cgroup does it."""
    config = tmp_path / "kernelscope.yaml"
    with (
        actor("opens", tmp_path) as inside,
        actor("opens", tmp_path) as outside,
        cgroup(inside.pid) as folder,
        fake_server() as server,
    ):
        config.write_text(f"agent: {{probes: {{opensnoop: {{cgroup: {folder}}}}}}}\n")
        flags = ("--server", server.url, "--spool", tmp_path / "spool", "--config", config)
        with agent(*flags) as running:
            running.wait_for("opensnoop: probe running")
            for process in (inside, outside):
                process.go()
                process.truth()
            running.stop()
        rows = server.rows("opensnoop")
    assert len(rows) == 27
    assert {row["pid"] for row in rows} == {inside.pid}


def test_children_from_before_the_probe(tmp_path: Path) -> None:
    """--children takes those that were forked before the probe began."""
    rows, truth = traced("early_child", tmp_path, "syscalls", "--children")
    found = [r for r in rows if r["pid"] == truth["said"]["child"] and r["syscall"] == "getppid"]
    assert [row["count"] for row in found] == [100]
