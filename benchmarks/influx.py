"""A throw-away InfluxDB that syncs its log before it answers."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 60
# No limits of series and values: the rows have many.
_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
max-series-per-database = 0
max-values-per-tag = 0
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
max-body-size = 0
[logging]
level = "error"
"""


@dataclass(frozen=True)
class Influx:
    pid: int
    write: str  # an address that takes lines


@contextmanager
def running(program: str, folder: Path) -> Iterator[Influx]:
    """Start a server with an empty database. Raises RuntimeError if it does not start."""
    folder.mkdir(parents=True)
    port = free_port(following=1)
    config = folder / "influxdb.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, rpc=port + 1))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-config", config], stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder / "log")
        asked = {"q": "CREATE DATABASE rows"}
        httpx.post(f"http://127.0.0.1:{port}/query", params=asked).raise_for_status()
        yield Influx(process.pid, f"http://127.0.0.1:{port}/write?db=rows")
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"InfluxDB does not start: {log.read_text()[-300:]}")
