"""The agent on kernels that Debian ships, through the kprobe path that this one may not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.waits import assert_waits
from tests.qemu import guest, kernel
from tests.serving import ROOT, serving
from tests.workloads import compiled

if TYPE_CHECKING:
    from tests.serving import Serving

JOB = Path(__file__).with_name("job.sh")


@pytest.mark.qemu
@pytest.mark.timeout(400)  # the first run downloads a kernel and makes the image
@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_off_cpu_time_on_a_debian_kernel(series: str, tmp_path: Path) -> None:
    """Booted, traced through finish_task_switch, sent over the network, shown with true times."""
    debian = kernel.fetch(series)
    files = {name: ROOT / name for name in ("kscope", "categories", "probes")}
    files["waiter"] = compiled("waiter.c", tmp_path)
    with serving(tmp_path) as server:
        outcome = guest.run(debian, _job(server, f"debian-{series}"), files, tmp_path, 240)
        assert outcome.exit_code == 0, outcome.console
        assert outcome.lines("up")[0].split()[1].startswith(f"{series}.")
        assert any("finish_task_switch" in line for line in outcome.lines("kprobe"))
        graph = server.get("/api/v1/flamegraph/offcputime", hostname=f"debian-{series}").json()
    assert_waits(graph, json.loads(outcome.lines("truth")[0]))


def _job(server: Serving, host: str) -> str:
    port = server.ingest.rpartition(":")[2]
    return f"server=http://10.0.2.2:{port}\nhost={host}\n{JOB.read_text()}"
