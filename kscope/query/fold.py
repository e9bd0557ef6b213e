"""Folded stacks -> a tree in preorder: sorted once, then one walk along common prefixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Number = int | float

ROOT = "all"
# Sorts before every character that a frame can hold: a frame's children follow it directly.
_JOINT = "\0"


@dataclass(frozen=True, slots=True)
class Shape:
    """A tree without values: columns of one length, in preorder, node 0 the root.

    `name[i]` is an index into `names`; `parent` of the root is the root; a node's descendants
    follow it directly.
    """

    names: list[str]
    name: list[int]
    level: list[int]
    parent: list[int]

    def totals(self, own: Sequence[Number]) -> list[Number]:
        """Give each node its own value and those of all above it."""
        totals = list(own)
        parent = self.parent
        # Children follow their parents: from the end, each is complete when it is added.
        for node in range(len(totals) - 1, 0, -1):
            totals[parent[node]] += totals[node]
        return totals


@dataclass(frozen=True, slots=True)
class Tree(Shape):
    """`value[i]` is `own[i]` with everything above it."""

    value: list[Number]
    own: list[Number]


def path(by: Sequence[str], frames: str) -> str:
    """Join a stack's place in the tree into a text that sorts as the tree does.

    A joint stands before each frame: a frame without a name is not the same as no frame.
    """
    parts = [*by, frames.replace(";", _JOINT)] if frames else by
    return "".join([_JOINT + part for part in parts])


def frames_of(joined: str) -> list[str]:
    """Split a path into its frames, root first."""
    return joined.split(_JOINT)[1:]


def tree(stacks: Iterable[tuple[str, Number]]) -> Tree:
    """Build the tree of (path, value); the same path may come more than once."""
    ordered = sorted(stacks)
    shape, ends = _shaped(joined for joined, _ in ordered)
    own: list[Number] = [0] * len(shape.name)
    for end, (_, value) in zip(ends, ordered, strict=True):
        own[end] += value
    return Tree(
        shape.names, shape.name, shape.level, shape.parent, value=shape.totals(own), own=own
    )


def shaped(paths: Iterable[str]) -> tuple[Shape, dict[str, int]]:
    """Build the tree of these paths, and say at which node each ends."""
    ordered = sorted(set(paths))
    shape, ends = _shaped(ordered)
    return shape, dict(zip(ordered, ends, strict=True))


def _shaped(ordered: Iterable[str]) -> tuple[Shape, list[int]]:
    names: dict[str, int] = {ROOT: 0}
    name, level, parent, ends = [0], [0], [0], []
    open_frames: list[str] = []
    open_nodes = [0]
    for joined in ordered:
        frames = frames_of(joined)
        shared = _shared(open_frames, frames)
        del open_nodes[shared + 1 :]
        for depth, frame in enumerate(frames[shared:], shared + 1):
            node = len(name)
            name.append(names.setdefault(frame, len(names)))
            level.append(depth)
            parent.append(open_nodes[-1])
            open_nodes.append(node)
        ends.append(open_nodes[-1])
        open_frames = frames
    return Shape(list(names), name, level, parent), ends


def _shared(before: list[str], after: list[str]) -> int:
    shared = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        shared += 1
    return shared
