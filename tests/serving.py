"""A real `kscope serve` for tests: a separate process, on free ports of loopback."""

from __future__ import annotations

import random
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.forked import Forked, fork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 90.0
_LISTENING = re.compile(r"page +(https?://\S+)/\s+ingest +(https?://\S+)/\s")
# A test may set the program to start in place of a fork that has kscope imported.
PROGRAM: tuple[str, ...] = ()


@dataclass
class Serving:
    """`read` and `ingest` are the listeners' base URLs; `log` is what the server printed."""

    process: subprocess.Popen[bytes] | Forked
    read: str
    ingest: str
    log_file: Path
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, verify=False))

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def post(self, body: object, **headers: str) -> httpx.Response:
        """Send one batch; raises unless it is stored."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.post(f"{self.ingest}/api/v1/ingest", json=body, headers=names)
        answer.raise_for_status()
        return answer

    def get(self, path: str, **params: str | int) -> httpx.Response:
        return self.client.get(f"{self.read}{path}", params=params)

    def send(
        self, content: bytes | Iterator[bytes], path: str = "/", **headers: str
    ) -> httpx.Response:
        """Send a body as it is; give the answer whatever it is."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"{self.ingest}{path}", content=content, headers=names)


def kscope(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "kscope", *map(str, arguments)]


def free_port(following: int = 0) -> int:
    """A port that may be let go of for a while, and so many that follow it: none of those that the
    kernel assigns to any process that asks, as other tests do at the same time.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(10_000, lowest - 100), lowest - following)
        with suppress(OSError), ExitStack() as stack:
            for each in range(port, port + 1 + following):
                stack.enter_context(socket.create_server(("127.0.0.1", each)))
            return port


def few(folder: Path, *tables: str) -> list[str | Path]:
    """Name a configuration of `offcputime` and these built-in categories alone: a new database's
    tables of all categories take longer than most tests.
    """
    made = folder / "few/categories"
    if not made.exists():
        made.mkdir(parents=True)
        (folder / "few/probes").symlink_to(ROOT / "probes")
    for table in ("offcputime", *tables):
        shutil.copy(ROOT / f"categories/{table}.yaml", made)
    config = folder / "few.yaml"
    config.write_text("categories: [few/categories]\n")
    return ["--config", config]


def start(folder: Path, arguments: Sequence[str | Path] = (), files: int = 0) -> Serving:
    """Start a server whose data is in `folder`, unless the arguments name another database.

    Its ports are free ones, unless the first argument is the page's port. `files` is the limit of
    its open files, if given.
    """
    chosen = [*arguments]
    has_port = bool(chosen) and str(chosen[0]).isdigit()
    if not {"--sqlite", "--mysql", "--clickhouse", "--config"} & set(map(str, chosen)):
        chosen += ["--sqlite", folder / "kernelscope.db"]
    for listener in ("--read", "--ingest"):
        if listener not in chosen and not has_port:
            chosen += [listener, "127.0.0.1:0"]
    log_file = folder / "server.log"
    log_file.write_bytes(b"")
    process = _launched(["serve", *map(str, chosen)], folder, log_file, files)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = _LISTENING.search(log_file.read_text())
        if found:
            return Serving(process, found[1], found[2], log_file)
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"the server did not start:\n{log_file.read_text()}")


def _launched(
    arguments: Sequence[str], folder: Path, log_file: Path, files: int
) -> subprocess.Popen[bytes] | Forked:
    if not PROGRAM and not files:
        return fork(arguments, folder, log_file)
    command = [*(PROGRAM or kscope()), *arguments]
    if files:
        command = ["prlimit", f"--nofile={files}", *command]
    with log_file.open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def stop(server: Serving) -> int:
    """Ask it to end, and give its exit code."""
    server.process.terminate()
    try:
        return server.process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise


@contextmanager
def serving(folder: Path, *arguments: str | Path, files: int = 0) -> Iterator[Serving]:
    server = start(folder, arguments, files)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            stop(server)
