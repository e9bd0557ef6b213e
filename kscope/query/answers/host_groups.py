"""Hosts in groups by likeness: hosts of one role are near to each other.

The distance of two hosts is the square root of the Jensen-Shannon divergence of their frames: each
stack's share is divided evenly among its frames, so that two hosts that were seen in other stacks
of the same functions are alike. Average linkage merges the nearest hosts first (R. R.
Sokal and C. D. Michener, A statistical method for evaluating systematic relationships, University
of Kansas Science Bulletin 38, 1958). The tree of merges is then cut from its root down, where both
sides are far from each other and much farther than the hosts inside of each. A single host is cut
off only if it has next to nothing in common with others: one host of a role that behaves badly
stays in its group, whose median it is measured against.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import log2, sqrt
from operator import add
from statistics import median
from typing import Any

from kscope.store.backends.deadline import Deadline

# Distances at which two groups, or one host and a group, are cut apart.
_APART, _ALONE = 0.4, 0.6
# So many times farther from each other than the hosts inside of each.
_CLEAR = 1.5
# Frames that distances are made of, the largest; the others count as one.
_FRAMES = 128
# Of each host, the stacks with the most.
_STACKS = 200
# Pairs of hosts take time with the square of their number; further hosts join the nearest group.
MOST_COMPARED = 400
# A label that is so much larger in a group than elsewhere, as a share of its time, tells it apart.
_LIFTED = 0.01
# A group's second name, if it has this part of the first one's weight.
_SECOND = 0.5

Shares = Sequence[float]


def grouped(
    profiles: Mapping[str, Mapping[Any, float]],
    held: Mapping[Any, Iterable[str]],
    deadline: Deadline,
) -> list[list[str]]:
    """Return the hosts of each group, the largest group first; the hosts in order.

    `profiles` are the share of each stack by host, `held` the frames of each stack.
    """
    names = sorted(profiles)
    # Every so many, since neighbours in the order of names are often of one role.
    step = max(1, -(-len(names) // MOST_COMPARED))
    compared = names[::step]
    shares = _shares(profiles, held)
    if not compared:
        return []
    loose: list[int] = []
    groups = _cut(_linked([shares[name] for name in compared], deadline), loose)
    found = [[compared[place] for place in group] for group in groups]
    rest = [name for i, name in enumerate(names) if i % step]
    _join(found, [*rest, *(compared[place] for place in loose)], shares, deadline)
    return sorted((sorted(group) for group in found), key=lambda group: (-len(group), group[0]))


def named(groups: Sequence[Sequence[str]], labels: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a name for each group: the one or two labels that tell most of it from the others.

    `labels` are the shares of processes, or of another column's values, by host.
    """
    means = [_mean([labels.get(host, {}) for host in group]) for group in groups]
    everywhere = _mean(means)
    found = (_name(mean, everywhere) for mean in means)
    return _distinct([name or f"group {number}" for number, name in enumerate(found, 1)])


def _mean(shares: Sequence[Mapping[str, float]]) -> dict[str, float]:
    mean: defaultdict[str, float] = defaultdict(float)
    for each in shares:
        for label, share in each.items():
            mean[label] += share / len(shares)
    return mean


def _name(mean: Mapping[str, float], everywhere: Mapping[str, float]) -> str:
    # All labels of a lone group are as large elsewhere: then their shares alone decide.
    lifted = {label: share * (share / everywhere[label] - 1) for label, share in mean.items()}
    weights = {label: each for label, each in lifted.items() if each > _LIFTED} or dict(mean)
    first = nlargest(2, weights, key=lambda label: (weights[label], label))
    if len(first) > 1 and weights[first[1]] < _SECOND * weights[first[0]]:
        first.pop()
    return ", ".join(first)


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the names that several groups have."""
    counts, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        again = counts[name] > 1
        found.append(f"{name} ({seen[name]})" if again else name)
    return found


def _shares(
    profiles: Mapping[str, Mapping[Any, float]], held: Mapping[Any, Iterable[str]]
) -> dict[str, Shares]:
    """Return by host the shares of the largest frames, in one order, and of the others."""
    frames = {stack: [*dict.fromkeys(of)] or [""] for stack, of in held.items()}
    by_host: dict[str, dict[str, float]] = {}
    everywhere: defaultdict[str, float] = defaultdict(float)
    for host, profile in profiles.items():
        sums: defaultdict[str, float] = defaultdict(float)
        for stack in nlargest(_STACKS, profile, key=profile.__getitem__):
            each = profile[stack] / len(frames[stack])
            for frame in frames[stack]:
                sums[frame] += each
        whole = sum(sums.values())
        by_host[host] = {frame: share / whole for frame, share in sums.items()}
        for frame, share in by_host[host].items():
            everywhere[frame] += share
    chosen = nlargest(_FRAMES, everywhere, key=lambda frame: (everywhere[frame], frame))
    found: dict[str, Shares] = {}
    for host, of in by_host.items():
        listed = [of.get(frame, 0.0) for frame in chosen]
        found[host] = [*listed, max(0.0, 1 - sum(listed))]
    return found


def _information(share: float) -> float:
    return share * log2(share) if share > 0 else 0.0


def distance(one: Shares, other: Shares) -> float:
    """Return the square root of the Jensen-Shannon divergence (base 2)."""
    return _distance(one, other, *(sum(map(_information, each)) for each in (one, other)))


def _distance(one: Shares, other: Shares, known: float, other_known: float) -> float:
    # Of p log p: twice that of the mean is that of the sum, less 2 of them for the halving.
    both = sum(map(_information, map(add, one, other))) / 2
    return sqrt(max(0.0, min(1.0, (known + other_known) / 2 - both + 1)))


@dataclass(frozen=True, slots=True)
class _Tree:
    """Hosts by their places, in the order of merges; a host alone has the height 0."""

    hosts: list[int]
    height: float = 0.0
    parts: "tuple[_Tree, ...]" = ()

    @property
    def heights(self) -> list[float]:
        found, left = [], [self]
        while left:
            tree = left.pop()
            left += tree.parts
            found += [tree.height] if tree.parts else []
        return found


def _linked(shares: Sequence[Shares], deadline: Deadline) -> _Tree:
    """Merge the nearest, by the mean distance of their hosts, until one tree is left.

    A chain of nearest neighbours finds the merges: each ends in a pair that are nearest to each
    other (F. Murtagh, A survey of recent advances in hierarchical clustering algorithms, The
    Computer Journal 26, 1983).
    """
    known = [sum(map(_information, each)) for each in shares]
    far: list[list[float]] = []
    for i, one in enumerate(shares):
        deadline.check()
        far.append([_distance(one, shares[j], known[i], known[j]) for j in range(i)])
    rows = [
        [far[i][j] if j < i else far[j][i] if j > i else 0.0 for j in range(len(shares))]
        for i in range(len(shares))
    ]
    trees = {place: _Tree([place]) for place in range(len(shares))}
    chain: list[int] = []
    while len(trees) > 1:
        chain = chain or [next(iter(trees))]
        here = chain[-1]
        row, before = rows[here], chain[-2] if len(chain) > 1 else -1
        others = (place for place in trees if place != here)
        near = min(others, key=lambda place: (row[place], place != before, place))
        if near != before:
            chain.append(near)
            continue
        del chain[-2:]
        _merge(trees, rows, here, near)
    return next(iter(trees.values()))


def _merge(trees: dict[int, _Tree], rows: list[list[float]], here: int, near: int) -> None:
    """Put the second tree into the first; its distances become means over the hosts of both."""
    one, other = trees[here], trees.pop(near)
    own, added = len(one.hosts), len(other.hosts)
    for place in trees:
        if place != here:
            mean = (rows[here][place] * own + rows[near][place] * added) / (own + added)
            rows[here][place] = rows[place][here] = mean
    trees[here] = _Tree([*one.hosts, *other.hosts], rows[here][near], (one, other))


def _cut(tree: _Tree, loose: list[int]) -> list[list[int]]:
    """Return the places of each group's hosts; those that belong to none of them are `loose`."""
    if not tree.parts:
        return [tree.hosts]
    larger, smaller = sorted(tree.parts, key=lambda part: -len(part.hosts))
    inner = max(median(part.heights or [0.0]) for part in tree.parts)
    least = _APART if len(smaller.hosts) > 1 else _ALONE
    if tree.height >= max(least, _CLEAR * inner):
        return [*_cut(larger, loose), *_cut(smaller, loose)]
    # Hosts that are no separate group may hide that the others are two.
    groups = _cut(larger, loose)
    if len(groups) == 1:
        return [tree.hosts]
    loose += smaller.hosts
    return groups


def _join(
    groups: list[list[str]],
    rest: Iterable[str],
    shares: Mapping[str, Shares],
    deadline: Deadline,
) -> None:
    """Put each further host into the group whose mean it is nearest to."""
    means = [
        [sum(column) / len(group) for column in zip(*map(shares.__getitem__, group), strict=True)]
        for group in groups
    ]
    for host in rest:
        deadline.check()
        far = [distance(shares[host], mean) for mean in means]
        groups[far.index(min(far))].append(host)
