"""`kscope` in a separate process that begins with all imports done: they take longer than all else
that most servers do in a test.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

# One process of each pytest worker forks them.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["kscope.cli.serve", "kscope.store.backends.mysql", "kscope.store.backends.clickhouse"]
)


@dataclass(frozen=True)
class Forked:
    """The part of subprocess.Popen that tests use."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("kscope", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(arguments: Sequence[str], folder: Path, log: Path) -> Forked:
    """Run a command line in a folder; the log has what it prints."""
    # A process that a test leaves behind ends with pytest.
    process = CONTEXT.Process(target=_run, args=(arguments, folder, log), daemon=True)
    process.start()
    return Forked(process)


def _run(arguments: Sequence[str], folder: Path, log: Path) -> None:
    os.chdir(folder)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # The process that forks has imported it; those that ask for a fork need not.
    from kscope.cli import main  # noqa: PLC0415

    main([*arguments])
