"""Readings of a union: of the tables of its members, each row with the state that it belongs to.

A row belongs to the first member of its table whose filters it passes, so it is in one state at
most; a member without filters takes all that are left.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import sqlalchemy as sa

from kscope.declare.files.union import STATE
from kscope.declare.model import Catalog, Category, Member
from kscope.generate.tables import ROLLUP_ROWS, Dictionaries
from kscope.query.parse.presets import applied, parsed
from kscope.query.parse.scope import Scope
from kscope.query.sql.conditions import Group, clause, complement, conditions
from kscope.store.reader import Reader
from kscope.store.sums.planner import Plan, Segment

# More than there are lengths of buckets: each further plan has a longer step.
_MOST_PLANS = 8


def tables_of(category: Category) -> list[str]:
    """Return the tables that hold a category's rows, each once."""
    return list(dict.fromkeys(each.table for each in category.union)) or [category.table]


def filters_of(catalog: Catalog, union: Category) -> list[Group]:
    """Return the filters of each member, in their order."""
    tables = {category.table: category for category in catalog.stored}
    return [_filters(tables[each.table], each) for each in union.union]


def _filters(category: Category, member: Member) -> Group:
    where = parsed(category, member.filters)
    hides = (complement(each.where) for each in applied(category, [member.hidden_by]))
    return Group((*where.members, *hides))


async def plan_of(
    reader: Reader,
    scope: Scope,
    names: Collection[str],
    step: int | None,
    filters: Sequence[Group],
) -> Plan:
    """Plan the reading of all members' tables, with one step; `filters` are those of the members.

    The range is wider than the question's if it is for one of them.
    """
    wanted = step
    for _ in range(_MOST_PLANS):
        plans = await _plans(reader, scope, names, wanted, filters)
        steps = {plan.step for plan in plans.values()}
        if steps == {wanted}:
            break
        wanted = max(each for each in steps if each is not None)
    segments = [
        replace(segment, table=_view(reader, scope.category, table, segment, filters))
        for table, plan in plans.items()
        for segment in plan.segments
    ]
    notices = dict.fromkeys(text for plan in plans.values() for text in plan.notices)
    return Plan(
        min(plan.start for plan in plans.values()),
        max(plan.stop for plan in plans.values()),
        segments,
        [*notices],
        wanted,
    )


async def _plans(
    reader: Reader,
    scope: Scope,
    names: Collection[str],
    step: int | None,
    filters: Sequence[Group],
) -> Mapping[str, Plan]:
    span, plans = scope.range, {}
    for table in tables_of(scope.category):
        pairs = zip(scope.category.union, filters, strict=True)
        own = {
            each.column.name
            for member, where in pairs
            if member.table == table
            for each in conditions(where)
        }
        needed = {*names, *own} - {STATE}
        plans[table] = await reader.plan(table, span.start, span.end, needed, step)
    return plans


def _view(
    reader: Reader, union: Category, table: str, segment: Segment, filters: Sequence[Group]
) -> sa.Table:
    """Return the segment's table with the columns of the union, its states among them."""
    source, dictionaries = segment.table, reader.schema.dictionaries
    state = _state(union, table, source, filters, dictionaries)
    names = ("time", "seq", ROLLUP_ROWS, *(each.name for each in union.all_columns[1:]))
    kept = [source.c[name] for name in names if name != STATE and name in source.c]
    rows = sa.select(*kept, state.label(STATE))
    if isinstance(state, sa.Case) and state.else_ is None:
        rows = rows.where(state.is_not(None))
    return cast("sa.Table", rows.subquery())


def _state(
    union: Category,
    table: str,
    source: sa.Table,
    filters: Sequence[Group],
    dictionaries: Dictionaries,
) -> sa.ColumnElement[Any]:
    """Return the state of a row: NULL if no member takes it."""
    chosen: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[str]]] = []
    for member, where in zip(union.union, filters, strict=True):
        if member.table != table:
            continue
        state = sa.literal(member.state, sa.Text())
        if member.is_rest:
            return sa.case(*chosen, else_=state) if chosen else state
        chosen.append((clause(where, source, dictionaries), state))
    return sa.case(*chosen)
