"""Hosts in groups by likeness, how far each is from its group, and which frames make it so."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import msgspec

from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.divergence import (
    Frame,
    GroupProfile,
    divergence_terms,
    median_profile,
)
from kscope.query.answers.host_groups import grouped, named
from kscope.query.answers.host_sums import HostSums, Wanted, label_of, sums_of
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured, n_parameter
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import share_value_of, stack_of
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import REST
from kscope.query.scan.labels import frames, labels
from kscope.query.scan.scan import scan_of
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader

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
    value = share_value_of(category, asked["value"])
    wanted = Wanted(_profile(category, asked["stack"]), label_of(category), value)
    scan = await scan_of(reader, asked.scope, (*wanted.columns, *value.columns))
    sums = await sums_of(scan, wanted)
    names = await labels(reader, HOSTNAME, sums.hosts)
    shares = await _label_shares(reader, wanted.label, sums.labels, names)
    by_host = {names[host]: of for host, of in sums.hosts.items()}
    held = await _frames(reader, wanted.profile, await asyncio.to_thread(_parts, by_host))
    rows = sum(of.rows for of in by_host.values())
    ranked = await consumed(
        lambda held, *_: _ranked(asked, by_host, {**held, None: (REST,)}, shares, reader.deadline),
        held,
        *(of.values for of in by_host.values()),
    )
    return Hosts(
        **measured(category.table, value, scan, rows, *sums.notices, *ranked.doubts),
        profile=wanted.profile.name,
        measure=MEASURE,
        fleet=sum(each.hosts for each in ranked.groups),
        groups=ranked.groups,
        hosts=ranked.hosts,
    )


async def _label_shares(
    reader: Reader,
    label: Column | None,
    totals: Mapping[tuple[Any, Any], Any],
    names: Mapping[Any, str],
) -> dict[str, dict[str, float]]:
    """Return host -> the share of each label in what its labels sum."""
    if label is None:
        return {}
    texts = await labels(reader, label, {of for _, of in totals})
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (host, of), total in totals.items():
        found[names[host]][texts[of]] = float(total or 0)
    wholes = {host: sum(of.values()) for host, of in found.items()}
    return {
        host: {text: each / wholes[host] for text, each in of.items()}
        for host, of in found.items()
        if wholes[host]
    }


def _parts(by_host: Mapping[str, HostSums]) -> set[Any]:
    """Return the profile's values of all hosts, without the stack None of what is left out."""
    return set().union(*(of.values for of in by_host.values())) - {None}


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


@dataclass(frozen=True, slots=True)
class _Ranked:
    hosts: list[Host]
    groups: list[HostGroup]
    doubts: list[Notice]


def _ranked(
    asked: Asked,
    by_host: Mapping[str, HostSums],
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
    name: str, sums: HostSums, group: tuple[int, str], distance: float | None, frames: list[Frame]
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
