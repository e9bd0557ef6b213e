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

# The rows that a reader has of a data type after the commands of a guide.
GUIDES = {
    "docs/data-types.md": {"requests": 3},
    "docs/probes.md": {},
    "docs/logging.md": {"job": 7},
    "docs/sizing.md": {},
    "docs/troubleshooting.md": {},
}
# It computes the figures of the repository.
ELSEWHERE = "python -m benchmarks.scaling\n"
BUSY = """
print("ready", flush=True)
while True:
    sum(range(10000))
"""
CONFIG = "categories: [builtin, mine]\ndatabase: {sqlite: kernelscope.db}\n"


def declarations(guide: str) -> list[str]:
    """Return the category files that a guide shows whole."""
    shown = re.findall(r"^```yaml\n(.*?)^```", (ROOT / guide).read_text(), re.MULTILINE | re.DOTALL)
    return [text for text in shown if re.search(r"^table:", text, re.MULTILINE)]


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
@pytest.mark.timeout(400)
@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands_of_a_guide_run(folder: Path, server: Serving, guide: str) -> None:
    """From top to bottom; the rows that a reader sends are there, and its files have no mistake."""
    needs.program("bpftrace", "bpftrace")
    for number, declared in enumerate(declarations(guide)):
        (folder / f"mine/{number}.yaml").write_text(declared)
    with until_killed(sys.executable, "-c", BUSY) as pid:
        for language, block in blocks(guide):
            if block != ELSEWHERE:
                run(language, block, folder, server, pid)
    for table, count in GUIDES[guide].items():
        assert len(server.get(f"/api/v1/rows/{table}").json()["rows"]) == count
    assert "ERROR" not in server.log


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
