"""Folded text, one stack a line, as flamegraph.pl and its many relatives read it."""

from collections import defaultdict
from typing import Any

from kscope.query.answers.stacks import FoldedStacks
from kscope.query.export.base import StackFormat

EMPTY = "[no stack]"
# A frame's name cannot contain the separators of frames and lines.
_SEPARATORS = str.maketrans({";": ":", "\n": " ", "\r": " "})


def _folded(stacks: FoldedStacks) -> bytes:
    """`process;main;write 42`, sorted; a `;` in a process' name becomes `:`."""
    sums: defaultdict[str, Any] = defaultdict(int)
    for path, value, _ in stacks.values:
        frames = [frame.translate(_SEPARATORS) for frame in path]
        sums[";".join(frames) or EMPTY] += value
    return "".join(f"{stack} {sums[stack]}\n" for stack in sorted(sums)).encode()


FORMATS = (
    StackFormat(
        name="folded",
        media_type="text/plain; charset=utf-8",
        ending="folded",
        help="folded text, one stack a line, as flamegraph.pl reads it",
        encode=_folded,
        title="Folded stacks",
    ),
)
