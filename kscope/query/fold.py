"""Stacks -> a tree in preorder: sorted once, then one walk along common prefixes.

A large graph has some hundred thousand nodes: what is done for each of them is done in slices, a
whole stack's at a time, and only what is done for each stack is a step of Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Number = int | float
    # Frames, root first: the values of `by`, then the stack's own.
    Path = tuple[str, ...]

ROOT = "all"


class Branch(NamedTuple):
    """What a path adds to those before it: the nodes from `first` on, below its `shared` frames."""

    shared: int
    depth: int
    first: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A tree without values: columns of one length, in preorder, node 0 the root.

    `name[i]` is an index into `names`; a node's descendants follow it directly. `branches` are of
    the paths, in their order.
    """

    names: list[str]
    name: list[int]
    level: list[int]
    branches: list[Branch]

    def own(self, values: Iterable[Number]) -> list[Number]:
        """Give each node the values of the paths that end there; `values` are of all paths."""
        own: list[Number] = [0] * len(self.name)
        end = 0
        for branch, value in zip(self.branches, values, strict=True):
            # A path that adds nothing is the one before it once more.
            if branch.depth > branch.shared:
                end = branch.first + branch.depth - branch.shared - 1
            own[end] += value
        return own

    def totals(self, values: Iterable[Number]) -> list[Number]:
        """Give each node the values of the paths that go through it."""
        totals: list[Number] = [0] * len(self.name)
        runs = _Runs(totals)
        for branch, value in zip(self.branches, values, strict=True):
            if branch.depth > branch.shared:
                runs.close(branch.shared)
                runs.open(branch)
            runs.sums[-1] += value
        runs.close(-1)
        return totals

    def parents(self) -> list[int]:
        """Give each node the node below it; the root is its own."""
        parents = [0]
        open_nodes = [0]
        for branch in self.branches:
            new = range(branch.first, branch.first + branch.depth - branch.shared)
            if new:
                del open_nodes[branch.shared + 1 :]
                parents.append(open_nodes[-1])
                parents += new[:-1]
                open_nodes += new
        return parents


class _Runs:
    """The nodes from the root to where the walk is, in runs that have all the same total so far."""

    def __init__(self, totals: list[Number]) -> None:
        self._totals = totals
        self._depth = 0
        # Of each run: the depth and the node that it begins with, and its total.
        self._starts = [0]
        self._firsts = [0]
        self.sums: list[Number] = [0]

    def open(self, branch: Branch) -> None:
        self._starts.append(branch.shared + 1)
        self._firsts.append(branch.first)
        self.sums.append(0)
        self._depth = branch.depth

    def close(self, shared: int) -> None:
        """No path to come goes through what is deeper than `shared`."""
        while self._depth > shared:
            start, total = self._starts[-1], self.sums[-1]
            lowest = max(start, shared + 1)
            node = self._firsts[-1] + lowest - start
            length = self._depth - lowest + 1
            self._totals[node : node + length] = [total] * length
            self._depth = lowest - 1
            if lowest == start:
                self._starts.pop()
                self._firsts.pop()
                self.sums.pop()
                if self.sums:
                    self.sums[-1] += total


@dataclass(frozen=True, slots=True)
class Tree:
    """A shape's columns; `value[i]` is `own[i]` with everything above it."""

    names: list[str]
    name: list[int]
    level: list[int]
    value: list[Number]
    own: list[Number]


def tree(stacks: Iterable[tuple[Path, Number]]) -> Tree:
    """Build the tree of (path, value); the same path may come more than once."""
    ordered = sorted(stacks)
    shape = shaped([path for path, _ in ordered])
    values = [value for _, value in ordered]
    return Tree(shape.names, shape.name, shape.level, shape.totals(values), shape.own(values))


def shaped(ordered: Sequence[Path]) -> Shape:
    """Build the tree of these paths, which come sorted."""
    frames, level, branches = [ROOT], [0], []
    before: Path = ()
    for path in ordered:
        shared = _shared(before, path)
        branches.append(Branch(shared, len(path), len(frames)))
        frames += path[shared:]
        level += range(shared + 1, len(path) + 1)
        before = path
    places = dict(zip(dict.fromkeys(frames), count(), strict=False))
    return Shape(list(places), list(map(places.__getitem__, frames)), level, branches)


def _shared(before: Path, after: Path) -> int:
    shared = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        shared += 1
    return shared
