"""Descendants of a process, from /proc."""

from collections import defaultdict
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the descendants of `pid`, except those that exit in the meantime."""
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (parent := _parent(folder)) is not None:
            children[parent].append(int(folder.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        born = children[waiting.pop()]
        found += born
        waiting += born
    return found


def _parent(folder: Path) -> int | None:
    try:
        stat = (folder / "stat").read_bytes()
    except OSError:
        return None
    # The name in brackets may hold anything, brackets too.
    return int(stat.rpartition(b")")[2].split()[1])
