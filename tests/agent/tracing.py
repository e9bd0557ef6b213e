"""A real `kscope agent` for tests: a separate process that traces the test's processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.serving import ROOT, kscope

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 90.0


class Agent:
    """`log` is what it said on standard error."""

    def __init__(self, *arguments: object, command: list[str] | None = None) -> None:
        self.process = subprocess.Popen(
            command or kscope("agent", *map(str, arguments)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._said = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait_for(self, text: str, seconds: float = _PATIENCE, times: int = 1) -> None:
        """Return once it has said so; an agent that ends first fails the test."""

        def said() -> bool:
            return sum(text in line for line in self.log) >= times

        with self._said:
            self._said.wait_for(lambda: said() or self.process.poll() is not None, seconds)
        assert said(), "".join(self.log)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> str:
        """SIGTERM, as systemd does; what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout
        out = self.process.stdout.read()
        code = self.process.wait(_PATIENCE)
        self._thread.join(_PATIENCE)
        assert code == 0, f"exit code {code}: {''.join(self.log)}"
        return out

    def _listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._said:
                self.log.append(line)
                self._said.notify_all()
        with self._said:
            self._said.notify_all()


@contextmanager
def agent(*arguments: object) -> Iterator[Agent]:
    """A running agent; killed if the test has not stopped it."""
    running = Agent(*arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


class Rows(list[dict[str, Any]]):
    """`lost`: how much the agent said that it missed."""

    lost = 0


@contextmanager
def tracing(name: str, *arguments: object) -> Iterator[Rows]:
    """Run one probe while the body runs; the list holds its rows afterwards."""
    rows = Rows()
    with agent(name, *arguments, "--json", "--verbose") as running:
        running.wait_for("probe running")
        yield rows
        rows += [json.loads(line) for line in running.stop().splitlines()]
        said = (re.match(r"WARNING \w+: lost (\d+)", line) for line in running.log)
        rows.lost = sum(int(found[1]) for found in said if found)
