"""Processes of the host, from /proc."""

import os
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
