"""Processes of the host, from /proc."""

import os
import re
import time
from collections import defaultdict
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the descendants of `pid`, except those that exit in the meantime."""
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (status := stat(folder.name)):
            children[int(status[1])].append(int(folder.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        born = children[waiting.pop()]
        found += born
        waiting += born
    return found


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process; 0 if it has ended."""
    user, system = map(int, stat(pid)[11:13] or (0, 0))
    return (user + system) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def stat(pid: int | str) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on; none if the process has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a hot path
            # The name in brackets may hold anything, brackets too.
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def image(pid: int) -> tuple[int, int, int] | None:
    """Return the start time and the start of program and stack, which an execve changes.

    None if the process has ended, also if its parent has not waited for it yet: its memory is gone.
    """
    fields = stat(pid)
    found = (int(fields[19]), int(fields[23]), int(fields[25])) if fields else (0, 0, 0)
    return found if found[1] else None


def started(pid: int) -> float | None:
    """Return when a process started, in seconds since the epoch; None if it has ended."""
    fields = stat(pid)
    if not fields:
        return None
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def namespace_pid(pid: int) -> int:
    """Return the id that a process has in its own, innermost pid namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return pid
    found = re.search(r"^NSpid:.*?(\d+)$", status, re.MULTILINE)
    return int(found[1]) if found else pid
