"""New programs, against what the process that started them knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_programs_of_children_and_grandchildren_are_seen(tmp_path: Path) -> None:
    """Each program with its command line, its parent and its failure, in the order of starting."""
    rows, truth = traced("programs", tmp_path, "execsnoop")
    said = truth["said"]
    true, shell, sleep, missing, long = rows
    assert true["arguments"] == """/bin/true 'with space' 'it'"'"'s' --x=1"""
    assert (true["pid"], true["parent_pid"]) == (said["true"], truth["actor"])
    assert (true["process"], true["path"], true["error"]) == ("true", "/bin/true", "")
    assert shell["pid"] == said["shell"]
    assert (sleep["parent_pid"], sleep["arguments"]) == (said["shell"], "/bin/sleep 0.01")
    assert (missing["path"], missing["error"]) == ("/not/there", "ENOENT")
    assert missing["pid"] == said["shell"]
    # Long arguments are cut only at the end.
    assert " ".join(said["long"]).startswith(long["arguments"])
    assert len(long["arguments"]) == 1023
