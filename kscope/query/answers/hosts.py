"""Hosts in groups by likeness, how far each is from its group, and which frames make it so."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import msgspec

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.divergence import (
    Frame,
    GroupProfile,
    Profile,
    divergence_terms,
    median_profile,
)
from kscope.query.answers.host_groups import grouped, named
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured, n_parameter
from kscope.query.answers.stacks import key_parts, rest_notices
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, share_value_of, stack_of
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import REST, heaviest
from kscope.query.scan.labels import frames, labels
from kscope.query.scan.measures import ROWS, events_of, total_of
from kscope.query.scan.read import Groups, merger, summed
from kscope.query.scan.same_stacks import same_stacks
from kscope.query.scan.scan import columns, scan_of
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader

# Pairs of a host and a process that groups are named by.
_MOST_LABELS = 20_000

MEASURE = "square root of the Jensen-Shannon divergence (base 2) from the group's median profile"


class Host(msgspec.Struct, frozen=True):
    """`distance` is from its group; None if there are too few events: then `group` is -1."""

    host: str
    group: int
    group_name: str
    distance: float | None
    total: Number
    events: int
    rows: int
    few: bool
    frames: list[Frame]


class HostGroup(msgspec.Struct, frozen=True):
    """Hosts that are alike: their number, and what tells them from others, such as `mysqld`."""

    group: int
    name: str
    hosts: int


class Hosts(Measured, frozen=True, kw_only=True):
    """The farthest host first; `groups` by size; `fleet` is the number of hosts in groups."""

    profile: str
    measure: str
    fleet: int
    groups: list[HostGroup]
    hosts: list[Host]

    def as_table(self) -> Table:
        names = ["host", "group", "distance", "total", "events", "frames"]
        rows = (
            (
                each.host,
                each.group_name,
                each.distance,
                each.total,
                each.events,
                ";".join(frame.name for frame in each.frames),
            )
            for each in self.hosts
        )
        return Table(names, rows, kinds=dict.fromkeys(("host", "group", "frames"), Storage.TEXT))


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
    shares = await _label_shares(reader, asked, value)
    ranked = await consumed(
        lambda held, *_: _ranked(asked, by_host, {**held, None: (REST,)}, shares, reader.deadline),
        held,
        *(sums.values for sums in by_host.values()),
    )
    return Hosts(
        **measured(category.table, value, scan, rows, *rest_notices(most), *ranked.doubts),
        profile=profile.name,
        measure=MEASURE,
        fleet=sum(each.hosts for each in ranked.groups),
        groups=ranked.groups,
        hosts=ranked.hosts,
    )


async def _label_shares(reader: Reader, asked: Asked, value: Value) -> dict[str, dict[str, float]]:
    """Return host -> the share of each process, or of another column that charts group by."""
    category = asked.category
    charts = (asked_by(category, kind) for kind in ("flamegraph", "timeseries"))
    named = next((category.column(chart.by) for chart in charts if chart and chart.by), None)
    if named is None or named.type.role is not Role.DIMENSION or named == HOSTNAME:
        named = grouping(category.columns)
    if named is None:
        return {}
    scan = await scan_of(reader, asked.scope, (HOSTNAME, named, *value.columns))
    most = await heaviest(scan, columns(HOSTNAME, named), (total_of(value),), _MOST_LABELS)
    hosts, texts = [
        await labels(reader, column, {key[i] for key in most.groups})
        for i, column in enumerate((HOSTNAME, named))
    ]
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (host, label), (total,) in most.groups.items():
        found[hosts[host]][texts[label]] = float(total or 0)
    wholes = {host: sum(of.values()) for host, of in found.items()}
    return {
        host: {label: each / wholes[host] for label, each in of.items()}
        for host, of in found.items()
        if wholes[host]
    }


def _with_rests(found: Groups, whole: Groups) -> Groups:
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


@dataclass(frozen=True, slots=True)
class _Ranked:
    hosts: list[Host]
    groups: list[HostGroup]
    doubts: list[Notice]


def _ranked(
    asked: Asked,
    by_host: Mapping[str, _Sums],
    held: Mapping[Any, Iterable[str]],
    shares: Mapping[str, Mapping[str, float]],
    deadline: Deadline,
) -> _Ranked:
    enough = {
        host: sums.profile
        for host, sums in by_host.items()
        if sums.events >= asked["min_events"] and sums.total > 0
    }
    parted = grouped(enough, held, deadline)
    names = named(parted, shares)
    ranked = _Ranked([], [], [])
    for number, (group, name) in enumerate(zip(parted, names, strict=True)):
        ranked.groups.append(HostGroup(number, name, len(group)))
        profile, doubts = median_profile([enough[host] for host in group])
        ranked.doubts.extend(each for each in doubts if each not in ranked.doubts)
        fleet = GroupProfile(profile, held)
        for host in group:
            deadline.check()
            terms = divergence_terms(enough[host], profile)
            shown = fleet.frames_of(enough[host], terms, asked["n"])
            distance = min(1.0, sqrt(sum(terms.values())))
            ranked.hosts.append(_host(host, by_host[host], (number, name), distance, shown))
    few = (host for host in by_host if host not in enough)
    ranked.hosts.extend(_host(host, by_host[host], (-1, ""), None, []) for host in few)
    ranked.hosts.sort(key=lambda each: (each.few, -(each.distance or 0), each.host))
    return ranked


def _host(
    name: str, sums: _Sums, group: tuple[int, str], distance: float | None, frames: list[Frame]
) -> Host:
    few = distance is None
    return Host(name, *group, distance, sums.total, sums.events, sums.rows, few, frames)


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
        help="Hosts in groups by likeness, the distance of each from its group's median profile,"
        " and the frames behind it.",
        parameters=(p.SHARE, p.STACK, n_parameter("frames of each host", 10), _MIN_EVENTS),
        ask=hosts,
        answer=Hosts,
    ),
)
