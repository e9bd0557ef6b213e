"""Probes on an older kernel, whose tracepoints and verifier are not those of the one here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.qemu import guest, kernel
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = "execsnoop=programs biosnoop=reads oomkill=hunger tcpretrans=lossy"
JOB = f"""
mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
cd /root
PYTHONPATH=/kscope/actions:$PYTHONPATH python3 /kscope/probes.py {PAIRS}
"""


@pytest.mark.qemu
@pytest.mark.timeout(400)  # the first run downloads a kernel and makes the image
def test_probes_on_linux_6_1(tmp_path: Path) -> None:
    """Programs, requests, a kill and retransmissions are as true as on a new kernel."""
    files = {name: ROOT / name for name in ("kscope", "categories", "probes")}
    files["probes.py"] = ROOT / "tests/qemu/probes.py"
    files["actions/actions.py"] = ROOT / "tests/probes/actions.py"
    outcome = guest.run(kernel.fetch("6.1"), JOB, files, tmp_path, 300)
    assert outcome.exit_code == 0, outcome.console
    told = {
        name: json.loads(outcome.lines(name)[0]) for name in PAIRS.replace("=", " ").split()[::2]
    }

    programs = told["execsnoop"]["rows"]
    assert [row["path"] for row in programs][0::2] == ["/bin/true", "/bin/sleep", "/bin/true"]
    assert [row["error"] for row in programs] == ["", "", "", "ENOENT", ""]

    # The agent lives in the same process, and may read a page of itself.
    reads = [row for row in told["biosnoop"]["rows"] if row["operation"] == "read"]
    assert (
        sum(r["bytes"] for r in reads if r["bytes"] > 32768) == told["biosnoop"]["truth"]["bytes"]
    )

    (killed,) = told["oomkill"]["rows"]
    assert killed["pid"] == told["oomkill"]["truth"]["pid"]
    assert killed["process"] == "python3"

    retransmitted = told["tcpretrans"]
    assert len(retransmitted["rows"]) == retransmitted["truth"]["segments"] >= 2
