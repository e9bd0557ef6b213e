"""How far each host is from the fleet, and which frames make it so.

A host's profile is the share of each stack in its total. The fleet's is the median share of each
stack over the hosts, renormalised. A host's distance is the square root of the Jensen-Shannon
divergence of the two, with logarithms to base 2: 0 for the same profile, 1 for profiles without
a common stack (J. Lin, Divergence measures based on the Shannon entropy, IEEE Transactions on
Information Theory 37, 1991; that the root is a metric: D. M. Endres and J. E. Schindelin, A new
metric for probability distributions, the same, 49, 2003).

The divergence is a sum over stacks of terms that are not negative, so a frame's part in it is the
sum over the stacks that hold it. Since `main` is in all of them, frames are ranked by what each
tells alone: the divergence of (its share, the rest) between host and fleet, which is never more
than the whole divergence and 0 where the shares are the same.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from math import log2, sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.query.answer import Meta, Notice, meta, notices
from kscope.query.names import labels
from kscope.query.scan import ROWS, columns, plan, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kscope.declare.model import Column
    from kscope.query.scope import Scope
    from kscope.query.values import Value
    from kscope.store.base import Reader

    Profile = Mapping[Any, float]

MEASURE = "square root of the Jensen-Shannon divergence (base 2) from the median profile"


@dataclass(frozen=True, slots=True)
class HostsQuestion:
    """`frames` per host at most; a host with fewer than `min_events` is marked, not ranked.

    `profile` is the column whose shares are compared: a stack, or where there is none a
    dimension such as the process.
    """

    scope: Scope
    profile: Column
    value: Value
    frames: int
    min_events: int


class Frame(msgspec.Struct, frozen=True):
    """`share` of the host's total and of the fleet's profile, through this frame.

    `part` is the sum of its stacks' terms, `alone` what it tells by itself; both in bits.
    """

    name: str
    share: float
    median: float
    part: float
    alone: float


class Host(msgspec.Struct, frozen=True):
    """`distance` is None where there were too few events to tell."""

    host: str
    distance: float | None
    total: Any
    events: int
    rows: int
    few: bool
    frames: list[Frame]


class Hosts(msgspec.Struct, frozen=True):
    """The farthest first; `fleet` is how many hosts the median is of."""

    table: str
    profile: str
    value_column: str
    unit: str
    measure: str
    fleet: int
    hosts: list[Host]
    meta: Meta
    notices: list[Notice]


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a host has: value by stack, and how much it rests on."""

    values: dict[Any, Any]
    events: int = 0
    rows: int = 0

    @property
    def total(self) -> Any:
        return sum(self.values.values())

    @property
    def profile(self) -> Profile:
        total = self.total
        return {stack: value / total for stack, value in self.values.items() if value}


async def hosts(reader: Reader, question: HostsQuestion) -> Hosts:
    category = question.scope.category
    host = next(each for each in category.all_columns if each.name == "hostname")
    needs = (host, question.profile, *question.value.columns)
    planned = await plan(reader, question.scope, needs)
    measures = (question.value.total, question.value.events, ROWS)
    found = await summed(reader, planned, columns(host, question.profile), measures)
    names = await labels(reader, host, {key for key, _ in found})
    stacks = await labels(reader, question.profile, {stack for _, stack in found})
    by_host = {names[key]: sums for key, sums in _by_host(found).items()}
    answers, fleet, doubts = await asyncio.to_thread(_ranked, question, by_host, stacks)
    return Hosts(
        table=category.table,
        profile=question.profile.name,
        value_column=question.value.name,
        unit=question.value.unit,
        measure=MEASURE,
        fleet=fleet,
        hosts=answers,
        meta=meta(planned, sum(sums.rows for sums in by_host.values())),
        notices=[*notices(planned), *doubts],
    )


def _by_host(found: Mapping[tuple[Any, ...], Sequence[Any]]) -> dict[Any, _Sums]:
    values: defaultdict[Any, dict[Any, Any]] = defaultdict(dict)
    events: defaultdict[Any, int] = defaultdict(int)
    rows: defaultdict[Any, int] = defaultdict(int)
    for (host, stack), (value, counted, number) in found.items():
        values[host][stack] = value
        events[host] += counted
        rows[host] += number
    return {host: _Sums(values[host], events[host], rows[host]) for host in values}


def _ranked(
    question: HostsQuestion, by_host: Mapping[str, _Sums], stacks: Mapping[Any, str]
) -> tuple[list[Host], int, list[Notice]]:
    enough = {
        host: sums.profile
        for host, sums in by_host.items()
        if sums.events >= question.min_events and sums.total > 0
    }
    fleet, doubts = fleet_profile(list(enough.values()))
    frames = {stack: frozenset(text.split(";")) - {""} for stack, text in stacks.items()}
    answers = []
    for name, sums in by_host.items():
        terms = divergence_terms(enough[name], fleet) if name in enough else {}
        shown = _frames(enough[name], fleet, terms, frames) if name in enough else []
        answers.append(
            Host(
                host=name,
                distance=min(1.0, sqrt(sum(terms.values()))) if name in enough else None,
                total=sums.total,
                events=sums.events,
                rows=sums.rows,
                few=name not in enough,
                frames=shown[: question.frames],
            )
        )
    answers.sort(key=lambda each: (each.few, -(each.distance or 0), each.host))
    return answers, len(enough), doubts


def fleet_profile(profiles: Sequence[Profile]) -> tuple[Profile, list[Notice]]:
    """Median share of each stack, renormalised; the mean where no stack is on half the hosts."""
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
    text = "No stack is on half of the hosts: the fleet's profile is the mean, not the median."
    mean = {stack: sum(found) / len(profiles) for stack, found in shares.items()}
    return mean, [Notice("warning", text)]


def divergence_terms(one: Profile, other: Profile) -> dict[Any, float]:
    """Each stack's term of the Jensen-Shannon divergence, in bits; none is negative."""
    return {stack: _term(one.get(stack, 0.0), other.get(stack, 0.0)) for stack in {*one, *other}}


def _term(p: float, q: float) -> float:
    middle = (p + q) / 2
    halves = (share / 2 * log2(share / middle) for share in (p, q) if share > 0)
    return max(0.0, sum(halves))


def _frames(
    profile: Profile,
    fleet: Profile,
    terms: Mapping[Any, float],
    frames: Mapping[Any, Iterable[str]],
) -> list[Frame]:
    """What makes the host different: the frame that alone tells most comes first."""
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for stack, term in terms.items():
        share, usual = profile.get(stack, 0.0), fleet.get(stack, 0.0)
        for frame in frames[stack]:
            counted = sums[frame]
            counted[0] += share
            counted[1] += usual
            counted[2] += term
    found = [
        Frame(name, min(share, 1.0), min(usual, 1.0), part, _alone(share, usual))
        for name, (share, usual, part) in sums.items()
    ]
    found.sort(key=lambda frame: (-round(frame.alone, 12), frame.part, frame.name))
    return found


def _alone(share: float, usual: float) -> float:
    """Divergence of two coins; rounding may carry a share of everything past 1."""
    share, usual = min(share, 1.0), min(usual, 1.0)
    return _term(share, usual) + _term(1 - share, 1 - usual)
