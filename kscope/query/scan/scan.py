"""The tables that a question reads, and its filters."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec
import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage
from kscope.generate.dialects import DIALECTS
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import TimeRange
from kscope.query.scan import regex, shown_stacks, union
from kscope.query.scan.measures import Expressions
from kscope.query.scan.parallel import together
from kscope.query.sql.conditions import Group, clause, complement, conditions, simplified
from kscope.query.sql.expressions import exact, position
from kscope.store.reader import Reader
from kscope.store.sums.planner import Plan, Segment

# A replaying agent puts this before its host's name.
RECORDED = "recording:"


class Hidden(msgspec.Struct, frozen=True):
    """The amount that a preset hides; `value` is None if the question's values do not add up."""

    preset: str
    value: int | float | None
    rows: int


@dataclass
class Scan:
    """One reading of a plan's tables. The patterns in the filters `where` are resolved.

    `hides` are the filters of what each preset hides, by its name: of rows that several hide, each
    belongs to the first. `hidden` is the amount of it, once it is noted.

    `names` are the columns that it touches, `members` the filters of a union's members.

    `stack` is a stack column that the question needs. `replayed_hosts` are the ids of all hosts
    that ever replayed a recording; `saw_replayed` is set once a row of theirs is read.
    """

    reader: Reader
    plan: Plan
    where: Group
    stack: Column | None
    replayed_hosts: Sequence[int]
    started: float
    saw_replayed: bool = False
    hides: Sequence[tuple[str, Group]] = ()
    names: Collection[str] = ()
    members: Sequence[Group] = ()
    hidden: list[Hidden] = field(default_factory=list)

    @property
    def segments(self) -> Sequence[Segment]:
        return self.plan.segments

    @property
    def range(self) -> TimeRange:
        """The range that is read, which may be wider than the question's."""
        return TimeRange(self.plan.start, self.plan.stop)

    @property
    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 1)

    def inside(self, segment: Segment) -> sa.ColumnElement[bool]:
        """Return the condition for the segment's rows that pass the filters."""
        dictionaries = self.reader.schema.dictionaries
        return sa.and_(segment.within, clause(self.where, segment.table, dictionaries))

    def over(self, change: Callable[[Segment], sa.FromClause]) -> "Scan":
        """Return the reading with other tables in place of the segments' tables."""
        segments = [
            replace(each, table=cast("sa.Table", change(each)), cut=False) for each in self.segments
        ]
        return replace(self, plan=replace(self.plan, segments=segments))

    def uncut(self) -> "Scan":
        """Return the reading with one statement for each segment.

        Where several tables are read at a time, a second connection for one would save nothing.
        """
        return self.over(lambda segment: segment.table)

    def oldest(self, limit: int) -> "Scan":
        """Return the reading of the oldest `limit` rows; the plan must be of single rows."""

        def chosen(segment: Segment) -> sa.FromClause:
            table = segment.table
            rows = sa.select(table).where(self.inside(segment))
            return rows.order_by(table.c.time, table.c.seq).limit(limit).subquery()

        return self.over(chosen)


async def scan_of(
    reader: Reader,
    scope: Scope,
    needs: Iterable[Column | None] = (),
    *,
    single_rows: bool = False,
    step: int | None = None,
) -> Scan:
    """Plan the reading for a question that touches the columns `needs`.

    Set `single_rows` if rollups cannot answer it. `step` is of an answer over time, in
    microseconds.
    """
    planned = plain_scan_of(reader, scope, needs, single_rows=single_rows, step=step)
    if DIALECTS[reader.dialect].reads_in_parallel and reader.replayed_hosts is None:
        # Connections are no scarce thing there, and each statement takes its time.
        found: list[Any] = await together(planned, replayed_hosts(reader))
        scan, scan.replayed_hosts = found
        return cast("Scan", scan)
    scan = await planned
    scan.replayed_hosts = await replayed_hosts(reader)
    return scan


async def plain_scan_of(
    reader: Reader,
    scope: Scope,
    needs: Iterable[Column | None] = (),
    *,
    single_rows: bool = False,
    step: int | None = None,
) -> Scan:
    """Plan the same for an answer that does not tell whether rows are replayed."""
    started = time.perf_counter()
    where, presets, members = await _resolved(reader, scope)
    hides = _hides(where, presets)
    where = Group((where, *presets))
    needed = [column for column in needs if column]
    asked = {column.name for column in needed}
    for each in conditions(where):
        asked.add(each.column.name)
        # A filter on a sum is not one on the rows that were summed.
        single_rows |= each.column.type.role not in (Role.DIMENSION, Role.STACK)
    if single_rows:
        asked.add("seq")
    plan = await _plan_of(reader, scope, asked, step, members)
    stack = next((column for column in needed if column.type.role is Role.STACK), None)
    names = [preset.name for preset in scope.presets]
    return Scan(
        reader,
        plan,
        where,
        stack,
        (),
        started,
        hides=list(zip(names, hides, strict=True)),
        names=asked,
        members=members,
    )


async def at_another_time(scan: Scan, scope: Scope, step: int | None = None) -> Scan:
    """Return the same reading of another range: its filters are resolved already."""
    plan = await _plan_of(scan.reader, scope, scan.names, step, scan.members)
    return replace(scan, plan=plan)


async def _plan_of(
    reader: Reader, scope: Scope, names: Collection[str], step: int | None, members: Sequence[Group]
) -> Plan:
    if scope.category.union:
        return await union.plan_of(reader, scope, names, step, members)
    span = scope.range
    return await reader.plan(scope.category.table, span.start, span.end, names, step)


async def _resolved(reader: Reader, scope: Scope) -> tuple[Group, list[Group], list[Group]]:
    """Resolve all patterns at once: of the request, of its presets and of a union's members."""
    regex.check_number(scope.where)
    presets = [each.where for each in scope.presets]
    members = union.filters_of(reader.catalog, scope.category)
    whole = Group((scope.where, *presets, *members))
    if any(conditions(whole)):
        whole = await shown_stacks.resolve(reader, await regex.resolve(reader, scope, whole))
        whole = await asyncio.to_thread(simplified, whole)
    where, *others = (cast("Group", each) for each in whole.members)
    return where, others[: len(presets)], others[len(presets) :]


def _hides(where: Group, presets: Sequence[Group]) -> list[Group]:
    """Return the filters of what each preset hides that those before it show."""
    found = []
    for preset in presets:
        found.append(Group((where, complement(preset))))
        where = Group((where, preset))
    return found


async def replayed_hosts(reader: Reader) -> tuple[int, ...]:
    """Return the ids of all hosts that ever replayed a recording."""
    if reader.replayed_hosts is not None:
        return reader.replayed_hosts
    strings = reader.schema.dictionaries.string.c
    found = await reader.fetch(sa.select(strings.id).where(is_replayed(strings.text)))
    return tuple(int(key) for (key,) in found)


def is_replayed(host: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition: a host's name is that of one that replays recordings."""
    return position(host, sa.literal(RECORDED)) == 1


def columns(*named: Column) -> Expressions:
    """Group by these columns as they are stored."""
    return lambda segment: [stored(segment, column) for column in named]


def stored(segment: Segment, column: Column) -> sa.ColumnElement[Any]:
    """Return a column as a group's key: MySQL would count texts that end in spaces as one."""
    value = segment.table.c[column.name]
    return exact(value) if column.type.storage is Storage.TEXT else value
