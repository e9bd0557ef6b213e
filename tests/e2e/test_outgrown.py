"""docs/scaling.md: its commands for those who have outgrown one machine, as they stand there."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import time
import venv
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.clickhouse import Node
from tests.documents import blocks
from tests.serving import ROOT, free_port, serving

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = ".venv/bin/pip install '.[clickhouse]'"
HOST = "127.0.0.1:8123"
ROWS = [
    {"process": process, "pid": 1, "stack": "main;read", "elapsed": elapsed, "reason": "blocked"}
    for process, elapsed in (("mysqld", 5000), ("nginx", 300))
]


def environment(folder: Path) -> dict[str, str]:
    """Let pip find what the tests have: it builds and installs the project alone."""
    (folder / "bin").mkdir()
    (folder / "bin" / "kscope").symlink_to(folder / ".venv" / "bin" / "kscope")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": sysconfig.get_path("purelib")}


def clone(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    packed = ["tar", "-C", str(ROOT), "--null", "-T", "-", "-cf", "-"]
    there = b"\0".join(name.encode() for name in names if (ROOT / name).exists())
    archive = subprocess.run(packed, input=there, capture_output=True, check=True)
    subprocess.run(["tar", "-C", str(folder), "-xf", "-"], input=archive.stdout, check=True)


@pytest.mark.clickhouse
@pytest.mark.timeout(400)
def test_the_commands_move_a_database_and_go_on_with_it(tmp_path: Path) -> None:
    """The page of the server on ClickHouse shows the numbers that the page before it showed."""
    folder = tmp_path / "clone"
    folder.mkdir()
    clone(folder)
    venv.create(folder / ".venv", with_pip=True, symlinks=True)
    (folder / ".work" / "run").mkdir(parents=True)
    database = folder / ".work" / "run" / "kernelscope.db"
    with serving(tmp_path, "--sqlite", database) as before:
        body = {"hostname": "web-1", "offcputime": ROWS}
        assert httpx.post(f"{before.ingest}/api/v1/ingest", json=body).status_code == 200
        shown = before.get("/api/v1/top/offcputime?by=process").json()["entries"]
    node = Node(tmp_path / "node", free_port(), user="default", password="")
    node.folder.mkdir()
    node.start()
    try:
        (block,) = (text for _, text in blocks("docs/scaling.md") if text.startswith(BEGIN))
        *commands, serve = block.replace(HOST, f"127.0.0.1:{node.port}").splitlines()
        run = environment(folder)
        for command in commands:
            done = subprocess.run(
                ["sh", "-euc", command], cwd=folder, env=run, capture_output=True, check=False
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert moved(serve, folder, run) == shown
    finally:
        node.stop()


def moved(serve: str, folder: Path, run: dict[str, str]) -> list[object]:
    """Run the last command on other ports; return what its page shows."""
    read, ingest = free_port(), free_port()
    ports = f" --read 127.0.0.1:{read} --ingest 127.0.0.1:{ingest}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["sh", "-euc", f"exec {serve}{ports}"], cwd=folder, env=run, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{read}/api/v1/top/offcputime?by=process")
                if answer.status_code == 200:
                    return list(answer.json()["entries"])
            except httpx.TransportError:
                pass
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.2)
    finally:
        server.terminate()
        server.wait(60)
