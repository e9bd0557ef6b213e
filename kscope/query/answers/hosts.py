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

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import count
from math import log2, sqrt
from statistics import median
from typing import Any

import msgspec

from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured, n_parameter
from kscope.query.answers.stacks import key_parts, rest_notices
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import share_value_of, stack_of
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import REST, heaviest
from kscope.query.scan.labels import frames, labels
from kscope.query.scan.measures import ROWS, events_of, total_of
from kscope.query.scan.read import merger, summed
from kscope.query.scan.same_stacks import same_stacks
from kscope.query.scan.scan import columns, scan_of
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader

Profile = Mapping[Any, float]

MEASURE = "square root of the Jensen-Shannon divergence (base 2) from the median profile"


class Frame(msgspec.Struct, frozen=True):
    """`share` and `median`: the parts of the host's total and of the fleet's profile with it.

    `part` is the sum of its stacks' terms, `alone` its divergence by itself; both in bits.
    """

    name: str
    share: float
    median: float
    part: float
    alone: float


class Host(msgspec.Struct, frozen=True):
    """`distance` is None if there are too few events."""

    host: str
    distance: float | None
    total: Number
    events: int
    rows: int
    few: bool
    frames: list[Frame]


class Hosts(Measured, frozen=True, kw_only=True):
    """The farthest host first; `fleet` is the number of hosts in the median."""

    profile: str
    measure: str
    fleet: int
    hosts: list[Host]

    def as_table(self) -> Table:
        names = ["host", "distance", "total", "events", "frames"]
        rows = (
            (
                each.host,
                each.distance,
                each.total,
                each.events,
                ";".join(frame.name for frame in each.frames),
            )
            for each in self.hosts
        )
        return Table(names, rows)


@dataclass(slots=True)
class _Sums:
    """The sums of one host: its value by stack, its events and rows."""

    values: dict[Any, Any] = field(default_factory=dict)
    events: int = 0
    rows: int = 0

    @property
    def total(self) -> Any:
        return sum(self.values.values())

    @property
    def profile(self) -> Profile:
        total = self.total
        return {stack: value / total for stack, value in self.values.items() if value}


def _profile(category: Category, stack: str) -> Column:
    """Return the stack column, or without one the column that charts group by."""
    if stack or category.with_role(Role.STACK):
        return stack_of(category, stack)
    dimensions = (each for each in category.columns if each.type.role is Role.DIMENSION)
    by = grouping(category.columns) or next(dimensions, None)
    if by is None:
        raise complain("table", f"{category.table} has no column whose shares could be compared")
    return by


async def hosts(reader: Reader, asked: Asked) -> Hosts:
    category = asked.category
    profile, value = _profile(category, asked["stack"]), share_value_of(category, asked["value"])
    scan = await scan_of(reader, asked.scope, (HOSTNAME, profile, *value.columns))
    measures = (total_of(value), events_of(value), ROWS)
    most = await heaviest(scan, columns(HOSTNAME, profile), measures, read.MOST_GROUPS)
    found = most.groups
    if most.left_out:
        # Each host keeps its total: its stacks beyond the heaviest are one.
        whole = await summed(scan, columns(HOSTNAME), measures)
        found = await consumed(_with_rests, found, whole)
    if same := same_stacks(scan, (HOSTNAME, profile)):
        found = await same.merged(found, merger(measures))
    keys, parts = await asyncio.to_thread(key_parts, found, 2)
    parts.discard(None)
    names = await labels(reader, HOSTNAME, keys)
    held = await _frames(reader, profile, parts)
    by_host = await consumed(lambda found, _: _by_host(found, names), found, parts)
    rows = sum(sums.rows for sums in by_host.values())
    answers, fleet, doubts = await consumed(
        lambda held, *_: _ranked(asked, by_host, {**held, None: (REST,)}, reader.deadline),
        held,
        *(sums.values for sums in by_host.values()),
    )
    return Hosts(
        **measured(category.table, value, scan, rows, *rest_notices(most), *doubts),
        profile=profile.name,
        measure=MEASURE,
        fleet=fleet,
        hosts=answers,
    )


def _with_rests(
    found: dict[tuple[Any, ...], list[Any]], whole: dict[tuple[Any, ...], list[Any]]
) -> dict[tuple[Any, ...], list[Any]]:
    """Add the part of each host's sums that is left out, under the stack None."""
    rests = {(host, None): sums for (host,), sums in whole.items()}
    for (host, _), sums in found.items():
        if rest := rests.get((host, None)):
            rests[host, None] = [left - part for left, part in zip(rest, sums, strict=True)]
    return {**found, **{key: sums for key, sums in rests.items() if sums[-1]}}


async def _frames(
    reader: Reader, profile: Column, wanted: Collection[Any]
) -> Mapping[Any, Iterable[str]]:
    """Return the frames of each value of the profile; a value that is not a stack is one frame."""
    if profile.type.role is Role.STACK:
        return await frames(reader, wanted)
    texts = await labels(reader, profile, wanted)
    return await consumed(_single_frames, texts)


def _single_frames(texts: Mapping[Any, str]) -> dict[Any, list[str]]:
    return {value: [text] if text else [] for value, text in texts.items()}


def _by_host(
    found: Mapping[tuple[Any, ...], Sequence[Any]], names: Mapping[Any, str]
) -> dict[str, _Sums]:
    by_host: defaultdict[Any, _Sums] = defaultdict(_Sums)
    for (host, stack), (value, counted, number) in found.items():
        sums = by_host[host]
        sums.values[stack] = value
        sums.events += counted
        sums.rows += number
    return {names[host]: sums for host, sums in by_host.items()}


def _ranked(
    asked: Asked,
    by_host: Mapping[str, _Sums],
    held: Mapping[Any, Iterable[str]],
    deadline: Deadline,
) -> tuple[list[Host], int, list[Notice]]:
    enough = {
        host: sums.profile
        for host, sums in by_host.items()
        if sums.events >= asked["min_events"] and sums.total > 0
    }
    profile, doubts = fleet_profile(list(enough.values()))
    fleet = _Fleet(profile, held)
    answers = []
    for name, sums in by_host.items():
        deadline.check()
        distance, shown = None, []
        if name in enough:
            terms = divergence_terms(enough[name], profile)
            distance = min(1.0, sqrt(sum(terms.values())))
            shown = fleet.frames_of(enough[name], terms, asked["n"])
        answers.append(
            Host(name, distance, sums.total, sums.events, sums.rows, distance is None, shown)
        )
    answers.sort(key=lambda each: (each.few, -(each.distance or 0), each.host))
    return answers, len(enough), doubts


def fleet_profile(profiles: Sequence[Profile]) -> tuple[Profile, list[Notice]]:
    """Median share of each stack, renormalised; the mean if no stack is on half the hosts."""
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
    terms = {stack: _term(share, other.get(stack, 0.0)) for stack, share in one.items()}
    for stack, share in other.items():
        if stack not in one:
            terms[stack] = _term(0.0, share)
    return terms


def _term(p: float, q: float) -> float:
    middle = (p + q) / 2
    found = p / 2 * log2(p / middle) if p > 0 else 0.0
    return max(0.0, found + q / 2 * log2(q / middle)) if q > 0 else found


class _Fleet:
    """The fleet's profile, by stack and by frame: the same for every host, so summed once."""

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
        # A complex number adds up share and term in one step; there are millions of steps.
        sums = [0j] * len(self._names)
        for stack, term in terms.items():
            both = complex(profile.get(stack, 0.0), term)
            for frame in self._frames[stack]:
                sums[frame] += both
        found = [
            (_alone(both.real, usual), both.imag, frame)
            for frame, (both, usual) in enumerate(zip(sums, self._usual, strict=True))
            if both
        ]
        names, usual = self._names, self._usual
        first = nsmallest(most, found, lambda each: (-round(each[0], 12), each[1], names[each[2]]))
        return [
            Frame(
                name=names[frame],
                share=min(sums[frame].real, 1.0),
                median=min(usual[frame], 1.0),
                part=part,
                alone=alone,
            )
            for alone, part, frame in first
        ]


def _alone(share: float, usual: float) -> float:
    """Divergence of two coins; rounding may carry a share of everything past 1."""
    share, usual = min(share, 1.0), min(usual, 1.0)
    return _term(share, usual) + _term(1 - share, 1 - usual)


_MIN_EVENTS = p.Parameter(
    "min_events",
    "hosts with fewer events are listed but not ranked",
    "100",
    least=0,
    most=10**9,
)
QUESTIONS = (
    Question(
        name="hosts",
        help="The distance of each host from the others' median profile, and the frames behind it.",
        parameters=(p.SHARE, p.STACK, n_parameter("frames of each host", 10), _MIN_EVENTS),
        ask=hosts,
        answer=Hosts,
    ),
)
