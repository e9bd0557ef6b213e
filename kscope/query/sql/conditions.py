"""Filters as SQL: a tree of conditions becomes the WHERE clause of one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.tables import Dictionaries
from kscope.query.sql.expressions import hashed_ids, ids, mean_size, texts
from kscope.query.sql.operators import HOLDS, OPERATORS
from kscope.store.schema.interning import text_hash

_EXACT = ("eq", "in")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a column with a value; a tuple of values if the operator takes many.

    `matches` are the values that a regular expression was resolved to: ids, or texts of a column
    that is not interned. `weight` is the column with the number of events that a value sums, if
    the operator compares the size of an event. `also` are the ids of further stacks that match, by
    the names that their frames are shown with; `hidden` are those that match only as stored. A
    `declared` condition comes from a category file: others ask it again.
    """

    parameter: str
    column: Column = field(hash=False)
    operator: str
    value: Any
    negated: bool = False
    matches: tuple[Any, ...] | None = None
    weight: Column | None = field(default=None, hash=False)
    also: tuple[int, ...] = field(default=(), hash=False)
    hidden: tuple[int, ...] = field(default=(), hash=False)
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """All of the members (`and`), or any of them (`or`).

    Without members: every row, or with `any_of` none.
    """

    members: "tuple[Condition | Group, ...]" = ()
    any_of: bool = False


def conditions(where: Group | Condition) -> list[Condition]:
    """Return every condition of the tree, in order."""
    if isinstance(where, Condition):
        return [where]
    return [each for member in where.members for each in conditions(member)]


def resolved(where: Group, found: Mapping[Condition, Condition]) -> Group:
    """Return the tree with other conditions in place of some."""
    members = (
        resolved(each, found) if isinstance(each, Group) else found.get(each, each)
        for each in where.members
    )
    return replace(where, members=tuple(members))


def simplified(where: Group) -> Group:
    """Return the same filters with one list of stacks for each column in place of many patterns."""
    lists: dict[tuple[str, bool], list[Condition]] = {}
    others: list[Condition | Group] = []
    for each in where.members:
        if isinstance(each, Group):
            others.append(simplified(each))
        elif each.matches is not None and each.column.type.storage is Storage.STACK_ID:
            lists.setdefault((each.column.name, each.negated), []).append(each)
        else:
            others.append(each)
    joined = (_joined(each, union=negated != where.any_of) for (_, negated), each in lists.items())
    return replace(where, members=(*others, *joined))


def _joined(listed: list[Condition], *, union: bool) -> Condition:
    """Return one condition: none of several lists of stacks is the list of them all."""
    if len(listed) == 1:
        return listed[0]
    found = [({*(each.matches or ())} - {*each.hidden}) | {*each.also} for each in listed]
    whole = set.union(*found) if union else set.intersection(*found)
    return replace(listed[0], matches=tuple(whole), also=(), hidden=())


def complement(where: Group) -> Group:
    """Return the filters that hold for exactly the other rows."""
    members = (
        complement(each) if isinstance(each, Group) else replace(each, negated=not each.negated)
        for each in where.members
    )
    return Group(tuple(members), any_of=not where.any_of)


def clause(
    where: Condition | Group, table: sa.FromClause, dictionaries: Dictionaries
) -> sa.ColumnElement[bool]:
    """Return the clause for a table of rows or a rollup; regular expressions must be resolved."""
    if isinstance(where, Condition):
        built = _comparison(where, table, dictionaries)
        return _complement(where, table, built) if where.negated else built
    members = [clause(member, table, dictionaries) for member in where.members]
    if not members:
        return sa.false() if where.any_of else sa.true()
    return sa.or_(*members) if where.any_of else sa.and_(*members)


def _complement(
    where: Condition, table: sa.FromClause, built: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Match every other row, including those with null, which `NOT` alone leaves out."""
    if not where.column.nullable:
        return sa.not_(built)
    return sa.or_(sa.not_(built), table.c[where.column.name].is_(None))


def _comparison(
    where: Condition, table: sa.FromClause, dictionaries: Dictionaries
) -> sa.ColumnElement[bool]:
    column = table.c[where.column.name]
    operator = OPERATORS[where.operator]
    match where.column.type.storage:
        case Storage.STRING_ID:
            names = dictionaries.string.c
            return _of_interned(where, column, names.id, names.hash, names.text)
        case Storage.STACK_ID:
            stacks = dictionaries.stack.c
            built = _of_interned(where, column, stacks.id, stacks.id, stacks.frames)
            if where.hidden:
                built = sa.and_(built, sa.not_(ids(column, where.hidden)))
            return sa.or_(built, ids(column, where.also)) if where.also else built
        case Storage.TEXT if where.matches is not None:
            return texts(column, where.matches)
        case Storage.TEXT:
            assert operator.of_text is not None
            return operator.of_text(column, where.value)
        case Storage.INTEGER | Storage.REAL if operator.name == HOLDS:
            size = mean_size(column, table.c[where.weight.name] if where.weight else None)
            low, high = where.value
            return sa.and_(size >= low, size < high)
    assert operator.of_number is not None
    return operator.of_number(column, where.value)


def _of_interned(
    where: Condition,
    column: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    hashed: sa.ColumnElement[Any],
    text: sa.ColumnElement[Any],
) -> sa.ColumnElement[bool]:
    """Compare by hash if the texts are known whole: only other operators read every text."""
    if where.matches is not None:
        return ids(column, where.matches)
    if where.operator in _EXACT:
        values = where.value if isinstance(where.value, tuple) else (where.value,)
        hashes = [text_hash(value) for value in values]
        if hashed is key:
            return ids(column, hashes)
        return hashed_ids(column, key, hashed, hashes)
    compare = OPERATORS[where.operator].of_text
    assert compare is not None
    return column.in_(sa.select(key).where(compare(text, where.value)))
