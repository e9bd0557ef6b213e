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
    host: str = "127.0.0.1"
    user: str = USER
    password: str = PASSWORD
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def sql(self, text: str, database: str = "") -> str:
        """Run one statement; gives tab-separated rows."""
        answer = httpx.post(
            f"http://{self.host}:{self.port}/",
            params={"database": database},
            content=text.encode(),
            auth=(self.user, self.password),
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
            *("--clickhouse", self.host, "--dbport", str(self.port), "--dbuser", self.user),
            *("--dbpassword", self.password, "--dbname", database),
        ]

    def commands(self) -> list[list[str]]:
        """Return the command of each process that the node is made of."""
        program = [sys.executable, "-P", "-m", "tests.clickhouse_node"]
        return [[*program, str(self.folder), str(self.port), self.user, self.password]]

    def start(self) -> None:
        """Start over the folder, with the rows that are in it."""
        with (self.folder / "started").open("ab") as log:
            self.processes = [
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    stdout=log,
                    stderr=log,
                )
                for command in self.commands()
            ]
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and all(each.poll() is None for each in self.processes):
            try:
                self.sql("SELECT 1")
            except (httpx.TransportError, RuntimeError):
                time.sleep(0.02)
            else:
                return
        self.kill()
        raise AssertionError((self.folder / "started").read_text())

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Answer nothing until `resume`; connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(number)

    def _end(self, by: signal.Signals) -> None:
        """Return once the folder is free for other processes."""
        self._signal(by)
        self._signal(signal.SIGCONT)
        for process in self.processes:
            process.wait(_PATIENCE)
        self.processes = []


def install(folder: Path) -> Node:
    folder.mkdir(parents=True, exist_ok=True)
    node = Node(folder, free_port())
    node.start()
    return node
