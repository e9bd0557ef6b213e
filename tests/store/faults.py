"""Failures that tests cause on a server, and requests to it during them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import needs
from tests.forked import fork
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.serving import Serving

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
COUNT = "SELECT count(*) FROM offcputime"


def fails_to_start(*options: object, code: int = 1) -> str:
    """Return the output of `kscope serve` until it exits."""
    listen = ("--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        code_found = fork(["serve", *map(str, options), *listen], ROOT, log).wait(60)
        printed = log.read_text()
    assert code_found == code, printed
    assert "Traceback" not in printed
    return printed


def send(server: Serving, rows: int = 1, text: str = "main;futex_wait") -> httpx.Response:
    body = {"hostname": "h", "offcputime": [ROW | {"stack": text}] * rows}
    return server.client.post(f"{server.ingest}/", json=body)


def until_not_ready(server: Serving) -> str:
    """Wait until /readyz, which shares a ping for a second, is not ready; return its reason."""
    for _ in range(200):
        if (answer := server.get("/readyz")).status_code == 503:
            return str(answer.json()["detail"])
        time.sleep(0.1)
    raise AssertionError("still ready")


def eventually_stored(server: Serving) -> None:
    """Send until it is taken, as an agent does."""
    deadline = time.monotonic() + 30
    while send(server).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    needs.root("mounting a file system")
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """Leave so many bytes free."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - left))
    try:
        yield
    finally:
        filler.unlink()
