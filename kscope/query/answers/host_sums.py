"""The sums of each host by stack, and the shares of its processes: one reading of the rows."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.divergence import Profile
from kscope.query.answers.meta import Notice
from kscope.query.answers.stacks import rest_notices
from kscope.query.parse.columns import Value
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed, discard
from kscope.query.scan.heaviest import heaviest, heaviest_of, heaviest_of_many
from kscope.query.scan.measures import ROWS, Measure, events_of, total_of
from kscope.query.scan.read import Groups, TooManyGroups, in_rows, merger, summed
from kscope.query.scan.same_stacks import same_stacks
from kscope.query.scan.scan import Scan, columns
from kscope.query.sql.expressions import as_text

# Pairs of a host and a process that groups are named by.
_MOST_LABELS = 20_000
_WHOLE = {Storage.INTEGER, Storage.STRING_ID, Storage.STACK_ID}


@dataclass(slots=True)
class HostSums:
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """The sums to find: `value` by host and `profile`, and by host and `label` if there is one."""

    profile: Column
    label: Column | None
    value: Value

    @property
    def columns(self) -> tuple[Column, ...]:
        """The keys of one reading; the label may be the profile."""
        named = dict.fromkeys((HOSTNAME, self.label, self.profile))
        return tuple(each for each in named if each)

    @property
    def whole(self) -> bool:
        """Return whether all keys and sums are stored as whole numbers."""
        summed = (each for each in self.value.columns if each)
        return {each.type.storage for each in (*self.columns, *summed)} <= _WHOLE

    @property
    def measures(self) -> tuple[Measure, ...]:
        return total_of(self.value), events_of(self.value), ROWS


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums by the id of the host, and the values of the heaviest pairs of a host and a label.

    A host's stacks that are left out are its stack None.
    """

    hosts: Mapping[Any, HostSums]
    labels: Mapping[tuple[Any, Any], Any]
    notices: Sequence[Notice] = ()


def label_of(category: Category) -> Column | None:
    """Return the process, or another column that charts group by."""
    charts = (asked_by(category, kind) for kind in ("flamegraph", "timeseries"))
    named = next((category.column(chart.by) for chart in charts if chart and chart.by), None)
    if named is None or named.type.role is not Role.DIMENSION or named == HOSTNAME:
        return grouping(category.columns)
    return named


async def sums_of(scan: Scan, wanted: Wanted) -> Sums:
    """Sum once by host, label and profile if so many groups fit; else once for each answer."""
    try:
        # A group may be in several of the tables that are read.
        most = 2 * read.MOST_GROUPS
        keys, whole = columns(*wanted.columns), wanted.whole
        answers = await in_rows(scan, keys, wanted.measures, most, whole=whole)
    except TooManyGroups:
        return await _ranked(scan, wanted)
    sums = await consumed(lambda *answers: _added(answers, wanted), *answers)
    await _merge_same(scan, wanted.profile, sums.hosts.values())
    if sum(len(each.values) for each in sums.hosts.values()) <= read.MOST_GROUPS:
        return sums
    discard(*(each.values for each in sums.hosts.values()))
    return await _ranked(scan, wanted)


def _added(answers: Iterable[Iterable[Sequence[Any]]], wanted: Wanted) -> Sums:
    by_host: defaultdict[Any, HostSums] = defaultdict(HostSums)
    by_label: defaultdict[tuple[Any, Any], Any] = defaultdict(int)
    for host, label, profile, value, events, rows in _wide(answers, wanted):
        sums = by_host[host]
        sums.values[profile] = sums.values.get(profile, 0) + value
        sums.events += events
        sums.rows += rows
        by_label[host, label] += value
    return Sums(by_host, _heaviest_labels(by_label) if wanted.label else {})


def _wide(answers: Iterable[Iterable[Sequence[Any]]], wanted: Wanted) -> Iterable[Sequence[Any]]:
    """Return rows of a host, a label, the profile and the sums."""
    rows = chain.from_iterable(answers)
    if wanted.label in (None, wanted.profile):
        return ((host, profile, profile, *sums) for host, profile, *sums in rows)
    return rows


def _heaviest_labels(labels: Mapping[tuple[Any, Any], Any]) -> Mapping[tuple[Any, Any], Any]:
    groups: Groups = {(host, as_text(label)): [value] for (host, label), value in labels.items()}
    kept = heaviest_of(groups, [ROWS], _MOST_LABELS, by_mean=False).groups
    return {key: value for key, (value,) in kept.items()}


async def _merge_same(scan: Scan, profile: Column, hosts: Collection[HostSums]) -> None:
    """Let stacks that are shown alike be one of each host; make texts of bytes."""
    parts = await asyncio.to_thread(lambda: list(set().union(*(each.values for each in hosts))))
    same = same_stacks(scan, (profile,))
    shown = await same.shown(parts) if same else [*map(as_text, parts)]
    others = {part: each for part, each in zip(parts, shown, strict=True) if part is not each}
    if others:
        await asyncio.to_thread(_rename, hosts, others)


def _rename(hosts: Iterable[HostSums], others: Mapping[Any, Any]) -> None:
    for host in hosts:
        for part in others.keys() & host.values.keys():
            value = host.values.pop(part)
            host.values[others[part]] = host.values.get(others[part], 0) + value


async def _ranked(scan: Scan, wanted: Wanted) -> Sums:
    """Sum the heaviest stacks of all hosts, the rest of each host, and its labels."""
    keys = columns(HOSTNAME, wanted.profile)
    most = await heaviest_of_many(scan, keys, wanted.measures, read.MOST_GROUPS)
    found = most.groups
    if most.left_out:
        # Each host keeps its total: its stacks beyond the heaviest are one.
        whole = await summed(scan, columns(HOSTNAME), wanted.measures)
        found = await consumed(_with_rests, found, whole)
    if same := same_stacks(scan, (HOSTNAME, wanted.profile)):
        found = await same.merged(found, merger(wanted.measures))
    labels = await _labels(scan, wanted)
    notices = rest_notices(most)
    return Sums(await consumed(_by_host, found), labels, notices)


async def _labels(scan: Scan, wanted: Wanted) -> Mapping[tuple[Any, Any], Any]:
    if wanted.label is None:
        return {}
    keys = columns(HOSTNAME, wanted.label)
    most = await heaviest(scan, keys, (total_of(wanted.value),), _MOST_LABELS)
    return {(host, label): total for (host, label), (total,) in most.groups.items()}


def _with_rests(found: Groups, whole: Groups) -> Groups:
    """Add the part of each host's sums that is left out, under the stack None."""
    rests = {(host, None): sums for (host,), sums in whole.items()}
    for (host, _), sums in found.items():
        if rest := rests.get((host, None)):
            rests[host, None] = [left - part for left, part in zip(rest, sums, strict=True)]
    return {**found, **{key: sums for key, sums in rests.items() if sums[-1]}}


def _by_host(found: Groups) -> dict[Any, HostSums]:
    by_host: defaultdict[Any, HostSums] = defaultdict(HostSums)
    for (host, stack), (value, events, rows) in found.items():
        sums = by_host[host]
        sums.values[stack] = value
        sums.events += events
        sums.rows += rows
    return by_host
