"""How far a host's profile is from its group's, and which frames make it so.

A host's profile is the share of each stack in its total. A group's is the median share of each
stack over its hosts, renormalised; host_groups.py says how hosts become groups. A host's distance
is the square root of the Jensen-Shannon divergence of the two, with logarithms to base 2: 0 for
the same profile, 1 for profiles without a common stack (J. Lin, Divergence measures based on the
Shannon entropy, IEEE Transactions on Information Theory 37, 1991; that the root is a metric: D. M.
Endres and J. E. Schindelin, A new metric for probability distributions, the same, 49, 2003).

The divergence is a sum over stacks of terms that are not negative, so a frame's part in it is the
sum over the stacks that hold it. Since `main` is in all of them, frames are ranked by what each
tells alone: the divergence of (its share, the rest) between host and group, which is never more
than the whole divergence and 0 where the shares are the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest, nsmallest
from itertools import count
from math import log2
from statistics import median
from typing import Any

import msgspec

from kscope.query.answers.meta import Notice

Profile = Mapping[Any, float]


class Frame(msgspec.Struct, frozen=True):
    """`share` and `median`: the parts of the host's total and of its group's profile with it.

    `part` is the sum of its stacks' terms, `alone` its divergence by itself; both in bits.
    """

    name: str
    share: float
    median: float
    part: float
    alone: float


def median_profile(profiles: Sequence[Profile]) -> tuple[Profile, list[Notice]]:
    """Return the median share of each stack, renormalised; the mean if no stack is on half of the
    hosts.
    """
    shares: defaultdict[Any, list[float]] = defaultdict(list)
    for profile in profiles:
        for stack, share in profile.items():
            shares[stack].append(share)
    absent = [0.0] * len(profiles)
    medians = {
        stack: median([*found, *absent[len(found) :]])
        for stack, found in shares.items()
        # With fewer than half of the hosts the median is 0: it need not be looked for.
        if 2 * len(found) >= len(profiles)
    }
    total = sum(medians.values())
    if total > 0:
        return {stack: share / total for stack, share in medians.items() if share}, []
    if not profiles:
        return {}, []
    text = "No stack is on half of the hosts: the group's profile is the mean, not the median."
    mean = {stack: sum(found) / len(profiles) for stack, found in shares.items()}
    return mean, [Notice("warning", text)]


def divergence_terms(one: Profile, other: Profile) -> dict[Any, float]:
    """Each stack's term of the Jensen-Shannon divergence, in bits; none is negative."""
    terms = {stack: _term(share, other.get(stack, 0.0)) for stack, share in one.items()}
    for stack, share in other.items():
        if stack not in one:
            terms[stack] = _term(0.0, share)
    return terms


def _term(p: float, q: float) -> float:
    if p <= 0 or q <= 0:
        return (p + q) / 2
    middle = (p + q) / 2
    found = p / 2 * log2(p / middle) + q / 2 * log2(q / middle)
    return found if found > 0 else 0.0


class GroupProfile:
    """A group's profile, by stack and by frame: the same for every host, so summed once."""

    def __init__(self, profile: Profile, held: Mapping[Any, Iterable[str]]) -> None:
        numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._frames = {
            stack: [numbers[frame] for frame in dict.fromkeys(frames)]
            for stack, frames in held.items()
        }
        self._names = list(numbers)
        self._usual = [0.0] * len(numbers)
        for stack, share in profile.items():
            for frame in self._frames[stack]:
                self._usual[frame] += share

    def frames_of(self, profile: Profile, terms: Mapping[Any, float], most: int) -> list[Frame]:
        """Return the frames that make the host different, the most telling first."""
        sums = [0.0] * len(self._names)
        for stack, share in profile.items():
            for frame in self._frames[stack]:
                sums[frame] += share
        alone = {
            frame: _alone(share, usual)
            for frame, (share, usual) in enumerate(zip(sums, self._usual, strict=True))
            if share or usual
        }
        parts = self._parts(terms, _first(alone, most))
        names, usual = self._names, self._usual
        order = nsmallest(
            most, parts, lambda each: (-round(alone[each], 12), parts[each], names[each])
        )
        return [
            Frame(
                name=names[frame],
                share=min(sums[frame], 1.0),
                median=min(usual[frame], 1.0),
                part=parts[frame],
                alone=alone[frame],
            )
            for frame in order
        ]

    def _parts(self, terms: Mapping[Any, float], chosen: set[int]) -> dict[int, float]:
        """Return the sum of the terms of each chosen frame's stacks."""
        parts = dict.fromkeys(chosen, 0.0)
        for stack, term in terms.items():
            frames = self._frames[stack]
            if not chosen.isdisjoint(frames):
                for frame in chosen.intersection(frames):
                    parts[frame] += term
        return parts


def _first(alone: Mapping[int, float], most: int) -> set[int]:
    """Return the frames that may be among the first: these, and all that tell as much."""
    told = {frame: round(each, 12) for frame, each in alone.items()}
    least = min(nlargest(most, told.values()), default=0.0)
    return {frame for frame, each in told.items() if each >= least}


def _alone(share: float, usual: float) -> float:
    """Divergence of two coins; rounding may carry a share of everything past 1."""
    share, usual = min(share, 1.0), min(usual, 1.0)
    return _term(share, usual) + _term(1 - share, 1 - usual)
