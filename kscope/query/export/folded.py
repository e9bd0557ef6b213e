"""Folded text, one stack a line, as flamegraph.pl and its many relatives read it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kscope.query.answers.tree import Path

EMPTY = "[no stack]"
# What separates frames and lines cannot be in a frame's name.
_SEPARATORS = str.maketrans({";": ":", "\n": " ", "\r": " "})


def folded(stacks: Iterable[tuple[Path, Any]]) -> bytes:
    """`process;main;write 42`, sorted; a `;` in a process' name becomes `:`."""
    sums: defaultdict[str, Any] = defaultdict(int)
    for path, value in stacks:
        frames = [frame.translate(_SEPARATORS) for frame in path]
        sums[";".join(frames) or EMPTY] += value
    return "".join(f"{stack} {sums[stack]}\n" for stack in sorted(sums)).encode()
