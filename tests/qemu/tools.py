"""In the guest: run changed tools of bcc on this very process while it acts, and print their lines.

usage: python tools.py FOLDER HOST TOOL=ACTION ...; the actions are those of tests/probes. It uses
nothing of kscope: FOLDER has the tools, the Logger's file and the headers. A tool that does not
attach or does not end is killed, and its line says where it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import runpy
import signal
import socket
import sys
import time
from pathlib import Path

import bcc  # noqa: F401 - loaded once, with its compiler, and not in each child
from actions import ACTIONS

PATIENCE = 240.0
# Seconds for a tool to end, and after which it is interrupted again: Python drops an interrupt that
# arrives while C calls it, as bcc does for each event.
ENDS_WITHIN = 180.0
AGAIN = 60.0
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
OPTIONS = {
    "biolatency": ["-D"],
    "execsnoop": ["-x", "-P", str(os.getpid())],
    "offcputime": ["-fd", "-p", str(os.getpid())],
}


def main() -> None:
    folder, host, *pairs = sys.argv[1:]
    socket.sethostname(host)
    os.environ["BCC_KERNEL_SOURCE"] = f"{folder}/headers"
    sys.path.insert(0, folder)
    for pair in pairs:
        tool, _, action = pair.partition("=")
        sys.stdout.write(f"@@ tool-{tool} {json.dumps(told(Path(folder, tool), action))}\n")
        sys.stdout.flush()


def told(tool: Path, action: str) -> object:
    """Return what the tool printed of the action, and the action's own record."""
    outputs = tool.with_suffix(".out"), tool.with_suffix(".err")
    child = os.fork()
    if not child:
        become(tool, *outputs)
    getattr(ACTIONS[action], "prepare", lambda: None)()
    attached = wait_until_attached(child)
    truth = ACTIONS[action]()
    hung = "" if attached and has_ended(child) else kill(child)
    _, status = os.waitpid(child, 0)
    lines, errors = (each.read_text(errors="replace").splitlines() for each in outputs)
    how = {"attached": attached, "hung": hung, "status": status, "errors": errors}
    return how | {"lines": lines, "truth": truth}


def become(tool: Path, printed: Path, errors: Path) -> None:
    """Run the tool, as `python3 tool` would, with its output in files.

    Python says among the errors that it dropped an interrupt.
    """
    for number, file in ((1, printed), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    faulthandler.register(signal.SIGUSR1)
    sys.argv = [str(tool), *OPTIONS[tool.name]]
    runpy.run_path(str(tool), run_name="__main__")
    sys.exit()


def wait_until_attached(pid: int) -> bool:
    """Return whether the tool waits with its probes open."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not os.waitid(os.P_PID, pid, ENDED):
        waits = wait_channel(pid)
        if has_probes(pid) and ("poll" in waits or "nanosleep" in waits):
            return True
        time.sleep(0.1)
    return False


def has_ended(pid: int) -> bool:
    """Interrupt the tool. Return whether it has ended; it stays to be waited for."""
    end = time.monotonic() + ENDS_WITHIN
    while (now := time.monotonic()) < end:
        os.kill(pid, signal.SIGINT)
        while time.monotonic() < now + AGAIN:
            if os.waitid(os.P_PID, pid, ENDED):
                return True
            time.sleep(0.1)
    return False


def kill(pid: int) -> str:
    """Kill the tool; it prints where each of its threads is. Return what it waited for."""
    if os.waitid(os.P_PID, pid, ENDED):
        return "it ended by itself"
    waits = wait_channel(pid)
    os.kill(pid, signal.SIGUSR1)
    time.sleep(5)
    os.kill(pid, signal.SIGKILL)
    return f"killed in {waits}"


def wait_channel(pid: int) -> str:
    return Path(f"/proc/{pid}/wchan").read_text()


def has_probes(pid: int) -> bool:
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed in the meantime
            if "perf_event" in str(path.readlink()):
                return True
    return False


main()
