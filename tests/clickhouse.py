"""A throw-away ClickHouse node in a temporary folder, reached over loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import httpx

from tests.serving import ROOT, free_port

if TYPE_CHECKING:
    from pathlib import Path

USER = "kscope"
PASSWORD = "p@ss:w/rd%"  # characters that a URL must escape
_PATIENCE = 90.0


@dataclass
class Node:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _numbers: count[int] = field(default_factory=count)

    def sql(self, text: str, database: str = "") -> str:
        """Run one statement; gives tab-separated rows."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/",
            params={"database": database},
            content=text.encode(),
            auth=(USER, PASSWORD),
            timeout=_PATIENCE,
            verify=False,  # which would read certificates each time
        )
        if answer.is_error:
            raise RuntimeError(answer.text)
        return answer.text

    def new_database(self) -> str:
        name = f"kscope_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def options(self, database: str) -> list[str]:
        """Name the database to `kscope serve`."""
        return [
            *("--clickhouse", "127.0.0.1", "--dbport", str(self.port), "--dbuser", USER),
            *("--dbpassword", PASSWORD, "--dbname", database),
        ]

    def start(self) -> None:
        """Start over the folder, with the rows that are in it."""
        program = [sys.executable, "-P", "-m", "tests.clickhouse_node"]
        command = [*program, self.folder, str(self.port), USER, PASSWORD]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/ping", timeout=_PATIENCE, verify=False)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
        self.kill()
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Answer nothing until `resume`; connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, by: signal.Signals) -> None:
        """The folder is free for another process once this one has ended."""
        if self.process is not None:
            self.process.send_signal(by)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(_PATIENCE)
            self.process = None


def install(folder: Path) -> Node:
    folder.mkdir(parents=True, exist_ok=True)
    node = Node(folder, free_port())
    node.start()
    return node
