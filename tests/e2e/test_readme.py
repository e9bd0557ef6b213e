"""The README's commands, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT, Serving, serving
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
# Run by tests of their own: test_run.py, test_wheel.py, and the server that serves all these.
ELSEWHERE = ("scripts/run", "python3 -m venv", "kscope serve")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a working folder in which `kscope` and `sudo` are commands."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "bin").mkdir()
    for name, command in (("kscope", f"{sys.executable} -m kscope"), ("sudo", "")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    (folder / "categories").mkdir()
    with serving(folder, "--categories", folder / "categories") as running:
        yield running


@pytest.mark.bpf
def test_every_command_works(folder: Path, server: Serving, tmp_path: Path) -> None:
    """From top to bottom, on other ports, with a process of ours to trace."""
    with workload("waiter.c", tmp_path, 60_000) as waiter:
        waiter.go()
        for language, block in BLOCKS:
            if not block.startswith(ELSEWHERE):
                _run(language, block, folder, server, waiter.pid)
    rows = server.get("/api/v1/rows/cpu").json()
    assert len(rows["rows"]) == 2
    assert "wait_pipe" in server.get("/api/v1/flamegraph/offcputime").json()["names"]


def test_what_is_run_elsewhere_is_there() -> None:
    """A block that changes its beginning does not slip through."""
    assert all(any(block.startswith(begin) for _, block in BLOCKS) for begin in ELSEWHERE)


def test_its_links_lead_somewhere() -> None:
    """Files that the README names exist."""
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def _run(language: str, block: str, folder: Path, server: Serving, pid: int) -> None:
    block = block.replace("http://127.0.0.1:8080", server.read)
    block = block.replace("http://127.0.0.1:8081", server.ingest)
    command = [sys.executable, "-c", block] if language == "python" else ["sh", "-euc", block]
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PID": str(pid),
    }
    run = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, f"{block}\n{run.stdout}\n{run.stderr}"
    # curl succeeds at getting an error, too.
    assert '"status":4' not in run.stdout, f"{block}\n{run.stdout}"
