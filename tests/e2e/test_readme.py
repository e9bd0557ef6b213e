"""The README's commands, from top to bottom, as they stand there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.documents import blocks, install_commands, run
from tests.serving import ROOT, Serving, kscope, serving
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

BLOCKS = blocks("README.md")
# Run by other tests: test_run.py, test_wheel.py, and the server of these.
ELSEWHERE = (
    "scripts/run",
    "python3 -m venv",
    "kscope serve --config kernelscope.yaml",
)
CONNECTING = """
import socket, sys, time
while True:
    socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
    time.sleep(0.05)
"""
# The README's agent looks at the whole machine, this one at nothing before the README's file comes.
PROBES = "  probes:\n    offcputime: {threshold: 1000}"
IDLE = """
table: idle
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: 'BEGIN { @n = count(); }'
  collect: {map: n, columns: {n: value}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the environment of the commands; `kscope` is where the README puts it."""
    folder = tmp_path_factory.mktemp("readme")
    install_commands(folder)
    shutil.copytree(ROOT / "mine", folder / "mine", ignore=shutil.ignore_patterns("*.yaml"))
    config = (ROOT / "kernelscope.yaml").read_text()
    assert PROBES in config
    (folder / "kernelscope.yaml").write_text(config.replace(PROBES, ""))
    (folder / "mine" / "idle.yaml").write_text(IDLE)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with serving(folder, "--config", folder / "kernelscope.yaml") as running:
        yield running


@pytest.mark.bpf
def test_every_command_works(
    built_page: None, page: Page, folder: Path, server: Serving, tmp_path: Path
) -> None:
    """On other ports, with processes of ours to trace; the new data type shows on the page."""
    del built_page
    needs.program("bpftrace", "bpftrace")
    with (
        _agent(folder, server),
        _connecting(server) as connecting,
        workload("waiter.c", tmp_path, 60_000) as waiter,
    ):
        waiter.go()
        for language, block in BLOCKS:
            if not block.startswith(ELSEWHERE):
                # On this machine only what the test started is traced.
                ours = block.replace("KS_PID == 0 || pid == KS_PID", f"pid == {connecting}")
                run(language, ours, folder, server, waiter.pid)
        page.goto(f"{_arrived(server, 'tcpconnect')}&view=rows")
        shown = page.get_by_role("table", name="Rows")
        shown.get_by_text(f"{connecting}").first.wait_for()
        assert "TCP connects" in page.title()
    assert len(server.get("/api/v1/rows/execsnoop", process="bash").json()["rows"]) == 1
    assert server.get("/api/v1/rows/profile").json()["rows"]
    assert "wait_pipe" in server.get("/api/v1/flamegraph/offcputime").json()["names"]


def test_what_is_run_elsewhere_is_there() -> None:
    """A block that changes its beginning does not slip through."""
    assert all(any(block.startswith(begin) for _, block in BLOCKS) for begin in ELSEWHERE)


@contextmanager
def _agent(folder: Path, server: Serving) -> Iterator[None]:
    """Run a plain `kscope agent`, as scripts/run does, with a shorter interval."""
    command = kscope("agent", "--server", server.ingest, "--spool", "spool", "--interval", "1")
    with (folder / "agent.log").open("wb") as log:
        agent = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        agent.terminate()
        agent.wait(60)
    assert agent.returncode == 0, (folder / "agent.log").read_text()


@contextmanager
def _connecting(server: Serving) -> Iterator[int]:
    port = server.ingest.rpartition(":")[2]
    process = subprocess.Popen([sys.executable, "-c", CONNECTING, port])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _arrived(server: Serving, table: str) -> str:
    """Wait for a row; gives the page's address for it."""
    end = time.monotonic() + 60
    while not server.get(f"/api/v1/rows/{table}").json().get("rows"):
        assert time.monotonic() < end, server.get(f"/api/v1/rows/{table}").text
        time.sleep(0.2)
    return f"{server.read}/?table={table}"
