"""Start the programs in a separate cgroup, and end them."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kscope.agent.host.kernel import cgroup_root

_PATIENCE = 60.0


@dataclass
class Program:
    """A program that runs.

    `said` is the line that told that it is ready; `tids` are threads that their names do not tell
    apart.
    """

    process: subprocess.Popen[Any]
    said: str = ""
    tids: frozenset[int] = frozenset()

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE), f"{self.process.args} says nothing"
        return self.process.stdout.readline()

    def next(self) -> str:
        """Send a line and return the one that it answers."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def pids(self) -> set[int]:
        """Return the process and all that descend from it now."""
        found, waiting = set(), [self.pid]
        while waiting:
            pid = waiting.pop()
            found.add(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    waiting += map(int, task.read_text().split())
        return found

    def end(self) -> None:
        """Kill it with its descendants."""
        for pid in sorted(self.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.wait(_PATIENCE)


@dataclass
class Stage:
    """`folder` has the binaries; each program that starts is in the cgroup `name`."""

    folder: Path
    name: str
    programs: list[Program] = field(default_factory=list)

    def __enter__(self) -> Self:
        root = cgroup_root()
        assert root, "there is no cgroup v2"
        self.cgroup = root / f"kscope-{self.name}-{os.getpid()}"
        self.cgroup.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs:
            program.end()
        end = time.monotonic() + _PATIENCE
        while (self.cgroup / "cgroup.procs").read_text() and time.monotonic() < end:
            for pid in (self.cgroup / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            time.sleep(0.01)
        self.cgroup.rmdir()

    def start(self, *command: object, ready: str = "ready") -> Program:
        """Start a program and wait until it says `ready`; with an empty one, do not wait."""
        into = f'echo $$ >{self.cgroup}/cgroup.procs; exec "$@"'
        process = subprocess.Popen(
            ["sh", "-c", into, "sh", *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
        )
        program = Program(process)
        self.programs.append(program)
        while ready not in program.said:
            program.said = program.line()
            assert program.said, f"{command} ended"
        return program

    def freeze(self) -> None:
        """Stop all programs; what they have mapped can be read all the same."""
        (self.cgroup / "cgroup.freeze").write_text("1")

    def adopt(self, process: subprocess.Popen[Any], tids: frozenset[int]) -> Program:
        """Take a program that runs already."""
        (self.cgroup / "cgroup.procs").write_text(str(process.pid))
        self.programs.append(Program(process, tids=tids))
        return self.programs[-1]

    def copy(self, name: str, to: str) -> Path:
        """Return a copy of a binary, which a test may delete or replace."""
        target = self.folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / name, target)
        return target

    def root_folder(self, name: str, to: str) -> Path:
        """Return a folder that has a binary as /app, and all that it needs to be a root folder."""
        root = self.folder / to
        self.copy(name, f"{to}/app")
        (root / "proc").mkdir()
        needed = subprocess.run(["ldd", root / "app"], capture_output=True, text=True, check=True)
        for word in needed.stdout.split():
            if word.startswith("/"):
                copy = root / word.lstrip("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, copy)
        return root
