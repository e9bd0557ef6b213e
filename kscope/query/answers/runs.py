"""The nodes of a tree in runs: to work with many columns, one number for each run is enough."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, repeat

from kscope.query.answers.meta import Number
from kscope.query.answers.tree import Shape


@dataclass(frozen=True, slots=True)
class Runs:
    """A run is a node with those below it, as far as all have the same total: no path parts or ends
    between them.

    Runs are in preorder; the first is the root alone. `above` is the run that each hangs at, and
    `ends` is the one whose last node each path ends with.
    """

    starts: list[int]
    lengths: list[int]
    above: list[int]
    ends: list[int]

    def own(self, values: Iterable[Number]) -> list[Number]:
        """Return for each run the values of the paths that end there; `values` are of all."""
        own: list[Number] = [0] * len(self.starts)
        for run, value in zip(self.ends, values, strict=True):
            own[run] += value
        return own

    def totals(self, own: Iterable[Number]) -> list[Number]:
        """Return for each run the values of the paths that go through it."""
        totals, above = [*own], self.above
        for run in range(len(totals) - 1, 0, -1):
            totals[above[run]] += totals[run]
        return totals

    def of_nodes(self, totals: Iterable[Number]) -> list[Number]:
        """Return for each node the total of its run."""
        return [*chain.from_iterable(map(repeat, totals, self.lengths))]

    def of_last_nodes(self, own: Iterable[Number]) -> list[Number]:
        """Return the same for the last node of each run, and 0 for the others."""
        nodes: list[Number] = [0] * (self.starts[-1] + self.lengths[-1])
        for last, value in zip(self.last_nodes, own, strict=True):
            nodes[last] = value
        return nodes

    @property
    def last_nodes(self) -> Iterable[int]:
        return (start + n - 1 for start, n in zip(self.starts, self.lengths, strict=True))


def runs_of(shape: Shape) -> Runs:
    level, starts = shape.level, _starts(shape)
    ends = [*starts[1:], len(level)]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    above = []
    # The last run that ends at each level: one that begins below it hangs there.
    lowest = [0] * (1 + max(level))
    for run, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        above.append(lowest[level[start] - 1])
        lowest[level[start] + length - 1] = run
    runs = {end: run for run, end in enumerate(ends)}
    ended = [runs[first + depth - shared] for depth, shared, first in shape.paths]
    return Runs(starts, lengths, above, ended)


def _starts(shape: Shape) -> list[int]:
    """Return the nodes that runs begin with: those that hang at a node where a path parts."""
    starts = {0}
    # The nodes from the root to where the walk is, in stretches that one path added: the level that
    # each begins at, and how far the numbers of its nodes are from their levels.
    begins, offsets = [0], [0]
    for depth, shared, first in shape.paths:
        # A path that adds no frame equals the one before it.
        if depth > shared:
            # No path to come goes through what is below `shared`.
            while begins[-1] > shared:
                begins.pop()
                offsets.pop()
            # The first node that hangs there, and the one that is added.
            starts.add(offsets[-1] + shared + 1)
            starts.add(first)
            begins.append(shared + 1)
            offsets.append(first - shared - 1)
    return sorted(starts)
