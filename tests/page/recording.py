"""The recording that comes with Kernelscope: what one real host did, read and summed from the file.

Nothing of Kernelscope is used here: what a page shows is held against sums made another way.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from tests.page.written import duration, percent
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, Any]
    # The boxes of a flame graph from the root up: the group, then the frames.
    Path = tuple[str, ...]

FILE = ROOT / "kscope/agent/recordings/offcputime.ndjson.gz"


@cache
def intervals() -> list[list[Row]]:
    """The rows of each ten seconds, as they were recorded, each with its stack's text."""
    with gzip.open(FILE, "rt") as file:
        _, *lines = map(json.loads, file)
    return [
        [row | {"stack": line["stacks"][row["stack"]]} for row in line["rows"]] for line in lines
    ]


def rows() -> list[Row]:
    """All of it."""
    return [row for interval in intervals() for row in interval]


def label(frame: str) -> str:
    """A frame's name as the page writes it: what marks its kind is shown by a colour."""
    return re.sub(r"_\[k\]$| \[[^\]]+\]$", "", frame)


def has(row: Row, frame: str) -> bool:
    """Whether a row's stack runs through what the page calls `frame`."""
    return frame in map(label, row["stack"].split(";"))


def has_size(row: Row, low: float, high: float) -> bool:
    """Whether a wait of a row may be of such a size: slot k of its histogram ends at 2**(k + 1)."""
    counts = enumerate(row["lengths"])
    return any(count and low < 2 ** (k + 1) and (2**k if k else 0) < high for k, count in counts)


class Profile:
    """Rows summed by path, as a flame graph does; `by` is the column under the root, if any."""

    def __init__(self, rows: Iterable[Row], by: str = "process") -> None:
        self.sums: Counter[Path] = Counter()
        self.events: Counter[Path] = Counter()
        self.rows = 0
        for row in rows:
            frames = row["stack"].split(";") if row["stack"] else []
            path = ((row[by],) if by else ()) + tuple(frames)
            self.sums[path] += row["elapsed"]
            self.events[path] += row["count"]
            self.rows += 1
        self.groups = 1 if by else 0

    @property
    def total(self) -> int:
        return self.sums.total()

    @cached_property
    def nodes(self) -> Counter[Path]:
        """Return the width of each node."""
        return _nodes(self.sums)

    def count(self, path: Path) -> int:
        return _nodes(self.events)[path]

    def middle(self, path: Path) -> float:
        """Where a node's middle lies, as a share of the width: children are sorted by name."""
        before = sum(
            value for one, value in self.sums.items() if one < path and path[: len(one)] != one
        )
        return (before + self.nodes[path] / 2) / self.total

    def widest(self, depth: int) -> Path:
        """The way up from the root that always takes the widest child."""
        path: Path = ()
        for _ in range(depth):
            above = [n for n in self.nodes if len(n) == len(path) + 1 and n[: len(path)] == path]
            path = max(above, key=self.nodes.__getitem__)
        return path

    @cached_property
    def frames(self) -> dict[str, tuple[int, int]]:
        """Self and total of each frame; one that calls itself counts once."""
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for path, value in self.sums.items():
            frames = [label(frame) for frame in path[self.groups :]]
            own.update(dict.fromkeys(frames[-1:], value))
            for name in set(frames):
                total[name] += value
        return {name: (own[name], total[name]) for name in total}

    def share(self, frame: str) -> float:
        return self.frames.get(frame, (0, 0))[1] / self.total

    def matches(self, pattern: str) -> list[Path]:
        """The nodes that match and lie on no other match, the widest first."""
        found = re.compile(pattern)
        first = set()
        for path in self.sums:
            depth = next((k for k, name in enumerate(path) if found.search(label(name))), None)
            if depth is not None:
                first.add(path[: depth + 1])
        return sorted(first, key=lambda path: -self.nodes[path])

    def matched(self, pattern: str) -> str:
        found = sum(self.nodes[path] for path in self.matches(pattern))
        return f"{percent(found, self.total)} matched"

    @property
    def figures(self) -> str:
        """Return the legend of the timeline."""
        return f"sum {duration(self.total)} \N{MIDDLE DOT} {self.rows:,} rows"


def _nodes(sums: Counter[Path]) -> Counter[Path]:
    nodes: Counter[Path] = Counter()
    for path, value in sums.items():
        for depth in range(1, len(path) + 1):
            nodes[path[:depth]] += value
    return nodes


def by_host(rows: Iterable[Row]) -> dict[str, list[Row]]:
    hosts: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        hosts[row["hostname"]].append(row)
    return hosts
