"""The commands of the guides, as they stand there, with one server that reads mine/."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.documents import blocks, install_commands, run
from tests.serving import ROOT, Serving, serving
from tests.workloads import until_killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GUIDES = ("docs/logging.md", "docs/sizing.md", "docs/troubleshooting.md")
# It computes the figures of the repository.
ELSEWHERE = "python -m benchmarks.scaling\n"
BUSY = """
print("ready", flush=True)
while True:
    sum(range(10000))
"""
CONFIG = "categories: [builtin, mine]\ndatabase: {sqlite: kernelscope.db}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guides")
    install_commands(folder)
    (folder / "mine").mkdir()
    (folder / "kernelscope.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with serving(folder, "--config", folder / "kernelscope.yaml") as running:
        yield running


@pytest.mark.bpf
@pytest.mark.xdist_group("tools")
def test_the_commands_of_the_guides_run(folder: Path, server: Serving) -> None:
    """From top to bottom; the rows that a reader logs by each way are there."""
    needs.program("bpftrace", "bpftrace")
    with until_killed(sys.executable, "-c", BUSY) as pid:
        for guide in GUIDES:
            for language, block in blocks(guide):
                if block != ELSEWHERE:
                    run(language, block, folder, server, pid)
    rows = server.get("/api/v1/rows/job").json()
    names = [dict(zip(rows["columns"], row, strict=True))["name"] for row in rows["rows"]]
    assert sorted(names) == ["backup"] * 3 + ["probe"] * 2 + ["report"] * 2
    assert server.get("/api/v1/rows/profile").json()["rows"]


def test_the_computation_of_sizing_runs() -> None:
    (block,) = (text for _, text in blocks("docs/sizing.md") if text == ELSEWHERE)
    program = block.split()[1:]
    done = subprocess.run([sys.executable, *program], cwd=ROOT, capture_output=True, check=True)
    assert b"| hosts |" in done.stdout


def test_metrics_that_guides_name_exist(server: Serving) -> None:
    metrics = server.get("/metrics").text
    for guide in GUIDES:
        for name in re.findall(r"`(kscope_\w+)`", (ROOT / guide).read_text()):
            if name != "kscope_logger":
                assert f"\n{name}" in metrics, name
