"""py-spy records a program of this test, and `kscope import` finds the samples that it counted."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

from tests.commands import command
from tests.serving import Serving, serving
from tests.workloads import until_killed

if TYPE_CHECKING:
    from pathlib import Path

BUSY = """
def inner():
    return sum(range(20000))

def outer():
    print("ready", flush=True)
    while True:
        inner()

outer()
"""
RATE = 100


def record(pid: int, form: str, file: Path) -> None:
    program = f"{sysconfig.get_path('scripts')}/py-spy"
    options = ["--pid", str(pid), "--duration", "1", "--rate", str(RATE)]
    done = subprocess.run(
        [program, "record", *options, "--format", form, "--output", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def stored(server: Serving, host: str, value: str) -> int:
    total = server.get("/api/v1/top/profile", hostname=host, by="process", value=value).json()
    return int(total["total"])


def test_py_spys_formats(tmp_path: Path) -> None:
    """Its speedscope file has times, its folded text samples: both become both."""
    spoken, folded = tmp_path / "recorded.json", tmp_path / "recorded.txt"
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    with until_killed(sys.executable, script) as pid:
        record(pid, "speedscope", spoken)
        record(pid, "raw", folded)
    profile = json.loads(spoken.read_text())["profiles"][0]
    samples = sum(int(line.rpartition(" ")[2]) for line in folded.read_text().splitlines())
    assert samples > 10
    given = ("--set", "process=busy", "--root", "")
    with serving(tmp_path) as server:
        for file, host, more in (
            (spoken, "speedscope", ()),
            (folded, "raw", ("--frequency", str(RATE))),
        ):
            options = (*given, *more, "--hostname", host, "--server", server.ingest)
            done = command("import", "profile", file, *options)
            assert done.returncode == 0, done.stderr
        assert stored(server, "speedscope", "elapsed") == round(sum(profile["weights"]) * 1e6)
        assert stored(server, "raw", "samples") == samples
        assert stored(server, "raw", "elapsed") == samples * 1_000_000 // RATE
        span = {"hostname": "speedscope", "format": "folded"}
        graph = server.get("/api/v1/flamegraph/profile", **span).text
        assert "busy;<module>;outer;inner " in graph
