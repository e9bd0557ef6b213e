"""Stacks -> a tree in preorder: sorted once, then one walk along common prefixes.

A large graph has some hundred thousand nodes: what is done for each of them is done in slices, a
whole stack's at a time, and only what is done for each stack is a step of Python.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import chain, count
from operator import itemgetter
from typing import Any

from kscope.query.answers.meta import Number
from kscope.query.scan.labels import batched

# Frames, root first: the values of `by`, then the stack's own.
Path = tuple[str, ...]
Row = tuple[Any, ...]

ROOT = "all"
_SORTED_AT_ONCE = 10_000
_PIECES_AT_ONCE = 4
# After the last path: it has not even the root in common with it.
_END = (0, -1, 0)


@dataclass(frozen=True, slots=True)
class Shape:
    """A tree without values: columns of one length, in preorder, node 0 the root.

    `name[i]` is an index into `names`; a node's descendants follow it directly. `paths` are the
    paths, in their order: how deep each is, how much of it it has in common with the one before,
    and the node that the rest begins at.
    """

    names: list[str]
    name: list[int]
    level: list[int]
    paths: list[tuple[int, int, int]]

    def own(self, values: Iterable[Number]) -> list[Number]:
        """Return for each node the values of the paths that end there; `values` are of all."""
        own: list[Number] = [0] * len(self.name)
        end = 0
        for (depth, shared, first), value in zip(self.paths, values, strict=True):
            # A path that adds no frame equals the one before it.
            if depth > shared:
                end = first + depth - shared - 1
            own[end] += value
        return own

    def totals(
        self, values: Sequence[Number], others: Sequence[Number]
    ) -> tuple[list[Number], list[Number]]:
        """Return for each node the values of the paths that go through it.

        Of two columns, as the walk takes longer than to add.
        """
        totals: list[Number] = [0] * len(self.name)
        other_totals = totals.copy()
        # The nodes from the root to where the walk is, in runs that have all the same totals so
        # far: the level and the node that each begins with, and its sums. One lies below the root.
        levels, nodes = [-1, 0], [-1, 0]
        sums: list[Number] = [0, 0]
        other_sums = sums.copy()
        top = 0
        columns = (chain(values, [0]), chain(others, [0]))
        for (depth, shared, first), value, other in zip(
            chain(self.paths, [_END]), *columns, strict=True
        ):
            if depth > shared:
                # No path to come goes through what is above `shared`.
                while levels[-1] > shared:
                    level, node = levels.pop(), nodes.pop()
                    total, other_total = sums.pop(), other_sums.pop()
                    length = top - level + 1
                    totals[node : node + length] = [total] * length
                    other_totals[node : node + length] = [other_total] * length
                    top = level - 1
                    sums[-1] += total
                    other_sums[-1] += other_total
                if top > shared:
                    length = top - shared
                    node = nodes[-1] + shared + 1 - levels[-1]
                    totals[node : node + length] = [sums[-1]] * length
                    other_totals[node : node + length] = [other_sums[-1]] * length
                levels.append(shared + 1)
                nodes.append(first)
                sums.append(0)
                other_sums.append(0)
                top = depth
            sums[-1] += value
            other_sums[-1] += other
        return totals, other_totals


def tree(rows: Iterable[Row]) -> tuple[Shape, list[Row]]:
    """Build the tree of rows that begin with a path, and sort them by it.

    The same path may come more than once.
    """
    # By the path alone: to compare tuples of tuples takes three times as long.
    by_path = itemgetter(0)
    # Many are sorted in pieces: no other thread runs while Python sorts one.
    pieces = [sorted(piece, key=by_path) for piece in batched(rows, _SORTED_AT_ONCE)]
    if len(pieces) <= _PIECES_AT_ONCE:
        # To sort pieces that are sorted takes about as long as to sort one.
        found = list(chain.from_iterable(pieces))
        found.sort(key=by_path)
    else:
        found = list(merge(*pieces, key=by_path))
    return _shaped([row[0] for row in found]), found


def weighed(stacks: Iterable[tuple[Path, Number, int]]) -> tuple[Shape, list[Number]]:
    """Return the tree of paths with their values and events, and the value of each node."""
    shape, ordered = tree(stacks)
    values = [value for _, value, _ in ordered]
    totals, _ = shape.totals(values, values)
    return shape, totals


def boxes(
    levels: Sequence[int], values: Sequence[Number], start: float, width: float
) -> Iterator[tuple[float, float]]:
    """Yield each node's left edge and width, where the root's are these; its value is not 0."""
    scale = width / values[0]
    # Where the next node of each level begins.
    begins = [start]
    for level, value in zip(levels, values, strict=True):
        left, share = begins[level], value * scale
        begins[level:] = [left + share, left]
        yield left, share


def _shaped(ordered: Sequence[Path]) -> Shape:
    frames, level = [ROOT], [0]
    levels = list(range(1 + max(map(len, ordered), default=0)))
    paths = []
    before: Path = ()
    for path in ordered:
        shared = 0
        for one, other in zip(before, path, strict=False):
            if one is not other and one != other:
                break
            shared += 1
        paths.append((len(path), shared, len(frames)))
        frames += path[shared:]
        level += levels[shared + 1 : len(path) + 1]
        before = path
    names: defaultdict[str, int] = defaultdict(count().__next__)
    name = list(map(names.__getitem__, frames))
    return Shape(list(names), name, level, paths)
