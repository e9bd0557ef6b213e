"""One bpftrace process: its output, its cost, and its end, at the latest with the agent's."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from kscope.agent.host import processes
from kscope.agent.host.bpfstats import Cost, program_cost
from kscope.agent.rows.interval import LossCounts
from kscope.errors import KscopeError, ProgramError

# Maps are printed in the order of their names: this one is the last.
_LAST = "@zz_kscope"
_PRINTING = f"interval:ms:200 {{ {_LAST} = 1; }}"
_PATIENCE = 20.0
_ANSWERS_WITHIN = 0.3  # usually
_MOST_COMPLAINTS = 100  # lines
_PLACE = re.compile(r"^stdin:(\d+):([\d-]+):", re.MULTILINE)
_HEARD = frozenset({"attached_probes", "lost_events", "map", "hist", "stats"})
# The kernel kills it when the agent ends, in whatever way. A separate process sets that up, because
# a fork of a process with threads must not run Python.
_WITH_US = """
import ctypes, os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

Maps = dict[str, dict[str, Any]]


class Bpftrace:
    """A running bpftrace. `file` and `line` are the place of the script's first line.

    Raises KscopeError with bpftrace's messages if it cannot attach.
    """

    def __init__(self, program: str, script: str, keys: int, file: str = "", line: int = 1) -> None:
        self._file, self._line = file, line
        # -B line: without it, bpftrace does not flush its output to a pipe.
        command = [program, "-B", "line", "-f", "json", "-e", f"{script}\n{_PRINTING}\n"]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-ISc", _WITH_US, str(os.getpid()), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | {"BPFTRACE_MAP_KEYS_MAX": str(keys)},
            start_new_session=True,  # Ctrl-C is for the agent, which then drains it
        )
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._complaints: deque[str] = deque(maxlen=_MOST_COMPLAINTS)
        threading.Thread(target=self._listen, daemon=True).start()
        self._complaining = threading.Thread(target=self._hear, daemon=True)
        self._complaining.start()
        try:
            while (message := self._next("to attach"))["type"] != "attached_probes":
                pass
            # One probe more prints the maps.
            self.attached = int(message["data"]["probes"]) - 1
            self._wait_until_attached()
        except BaseException as error:
            ended = self._process.poll() is not None
            self._kill()
            # Without root's rights, every script ends like this.
            if ended and os.geteuid() == 0 and isinstance(error, KscopeError):
                raise ProgramError(str(error)) from None
            raise

    def _wait_until_attached(self) -> None:
        """Wait for maps: bpftrace announces probes, attaches them, then prints when it is asked."""
        end, found = time.monotonic() + _PATIENCE, Maps()
        while _LAST not in found:
            if time.monotonic() > end:
                raise KscopeError(f"bpftrace took more than {_PATIENCE:.0f} s to attach")
            self._process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(queue.Empty):
                while message := self._said.get(timeout=_ANSWERS_WITHIN):
                    self._take(message, found, LossCounts())
            self.check()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        if self._process.poll() is not None:
            self._complaining.join(1)
            said = "".join(line for line in self._complaints if "RLIMIT_MEMLOCK" not in line)
            said = _PLACE.sub(self._in_category, said).strip()
            if not said and self._process.returncode:
                said = f"exit code {self._process.returncode}"
            left = "the script called exit(); remove the call, because the agent ends the script"
            raise KscopeError(f"bpftrace ended: {said or left}")

    def _in_category(self, found: re.Match[str]) -> str:
        """Name the line of the category file in place of the script's."""
        return f"{self._file}:{self._line + int(found[1]) - 1}: column {found[2]}:"

    def maps(self, loss: LossCounts) -> Maps:
        """Return all maps with their present values: name -> key -> value."""
        self.check()
        self._process.send_signal(signal.SIGUSR1)
        found: Maps = {}
        while _LAST not in found:
            self._take(self._next("to print its maps"), found, loss)
        return found

    def close(self) -> Maps:
        """End the process, and return the maps that it prints at its end."""
        found: Maps = {}
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._kill()
        with contextlib.suppress(queue.Empty):
            while message := self._said.get(timeout=1):
                self._take(message, found, LossCounts())
        return found

    def cost(self) -> Cost:
        """Return the cost of its programs and of the process; nothing if it has ended."""
        infos: list[Path] = []
        with contextlib.suppress(OSError):
            infos += Path(f"/proc/{self._process.pid}/fdinfo").iterdir()
        return program_cost(infos, processes.cpu_ns(self._process.pid))

    def _take(self, message: dict[str, Any], found: Maps, loss: LossCounts) -> None:
        kind, data = message["type"], message.get("data", {})
        if kind == "lost_events":
            loss.events += int(data.get("events", 0))
        elif kind in {"map", "hist", "stats"}:
            for name, content in data.items():
                # A map without a key is its value; a histogram's is a list.
                whole = not isinstance(content, dict) or (kind == "stats" and "count" in content)
                found[name] = {"": content} if whole else content

    def _next(self, what: str) -> dict[str, Any]:
        try:
            message = self._said.get(timeout=_PATIENCE)
        except queue.Empty:
            raise KscopeError(f"bpftrace took more than {_PATIENCE:.0f} s {what}") from None
        if message is None:
            self._process.wait(_PATIENCE)
            self.check()
        assert message is not None
        return message

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                # A script can print more between two drains than memory holds.
                if message["type"] in _HEARD:
                    self._said.put(message)
        self._said.put(None)

    def _hear(self) -> None:
        assert self._process.stderr
        self._complaints.extend(self._process.stderr)
