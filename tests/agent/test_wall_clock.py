"""One command traces where the time of a process goes: on the CPU and off it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.serving import kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

# Half of its time it computes, half of it sleeps.
PROGRAM = """\
import time
while True:
    end = time.time() + 0.1
    while time.time() < end:
        pass
    time.sleep(0.1)
"""


@pytest.mark.bpf
def test_the_probes_of_a_union_run_together(tmp_path: Path) -> None:
    """Rows of both members arrive, and each is in a state of the wall clock."""
    traced = subprocess.Popen([sys.executable, "-c", PROGRAM])
    try:
        with serving(tmp_path) as server:
            limits = ("--pid", traced.pid, "--duration", 4, "--interval", 2)
            sending = ("--server", server.ingest, "--spool", tmp_path / "spool")
            run = kscope("agent", "wallclock", *map(str, (*limits, *sending)))
            ran = subprocess.run(run, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            top = server.get("/api/v1/top/wallclock", by="state").json()
            overview = server.get("/api/v1/overview").json()
    finally:
        traced.kill()
        traced.wait()
    states = {each["key"][0]: each["value"] for each in top["entries"]}
    assert states["on CPU"] > 0
    assert sum(states.values()) > states["on CPU"]
    assert "wallclock" in {each["table"] for each in overview["tables"] if each["rows"]}


def test_flags_of_single_probes_are_not_those_of_a_union() -> None:
    """A recording is of one probe."""
    assert "No such option" in command("agent", "wallclock", "--record", "x").stderr
    assert "requires --pid" in command("agent", "wallclock", "--children").stderr
