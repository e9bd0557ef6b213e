"""Unions: categories whose rows are those of others. A file alone does not know the others, so its
columns and charts are found once all files are read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kscope.declare.charts import derive
from kscope.declare.files.charts import charts_of, check_charts
from kscope.declare.files.presets import filters
from kscope.declare.files.yaml_lines import Document, Found, Path
from kscope.declare.model import Category, Column, Member
from kscope.declare.types import TYPES
from kscope.declare.types.base import Role, Storage
from kscope.errors import Problem, did_you_mean, printable

# Its values are words of the declaration: no table stores them.
STATE_TYPE = replace(TYPES["label"], storage=Storage.TEXT)
STATE = "state"
_THREADS, _TIME = "threads", "Time"
_KEPT = (Role.DIMENSION, Role.STACK)
# Keys of a category with a table.
_OF_ROWS = ("retention", "rollup", "probe")


def check_union(value: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the mistakes of a union's file that a schema cannot find."""
    union, states = value.get("union"), value.get("states")
    for key in _OF_ROWS if "union" in value else ():
        if key in value:
            yield (key,), "a union has no table; remove this key"
    if isinstance(union, dict) and isinstance(states, list) and states:
        texts = [each for each in states if isinstance(each, str)]
        if sorted(texts) != sorted(union):
            yield ("states",), f"must name each state once: {', '.join(map(printable, union))}"
    elif states and "union" not in value:
        yield ("states",), "only a union has states; remove this key"


def make_members(union: Mapping[str, Any], document: Document) -> tuple[Member, ...]:
    return tuple(
        Member(state, each, line=document.line(("union", state)))
        if isinstance(each, str)
        else Member(
            state,
            each["table"],
            filters(each.get("filter", {}), document, ("union", state, "filter")),
            each.get("hidden_by", ""),
            document.line(("union", state)),
        )
        for state, each in union.items()
    )


def with_unions(categories: Iterable[Category]) -> tuple[list[Category], list[Problem]]:
    """Return the categories, unions with their columns and charts; and the problems of unions.

    A union with a problem is left out.
    """
    listed = list(categories)
    tables = {each.table: each for each in listed}
    found: list[Category] = []
    problems: list[Problem] = []
    for category in listed:
        wrong = list(_problems(category, tables)) if category.union else []
        problems += wrong
        if not wrong:
            found.append(_complete(category, tables) if category.union else category)
    return found, problems


def _problems(union: Category, tables: Mapping[str, Category]) -> Iterator[Problem]:
    document = Document(union.file, union.declaration, union.lines, ())
    faults = list(_check_members(union, tables))
    if not faults:
        columns = _columns(union, tables)
        known = {column.name: column for column in columns}
        faults += check_charts(union.declaration.get("charts"), known)
        if columns[1:] == ():
            faults.append((("union",), "its members have no column of the same name and type"))
    yield from (document.problem(*fault) for fault in faults)


def _check_members(union: Category, tables: Mapping[str, Category]) -> Iterator[Found]:
    own = {name for name, each in tables.items() if not each.union}
    whole: dict[str, str] = {}
    for member in union.union:
        place: Path = ("union", member.state)
        table = printable(member.table)
        if member.table in tables and member.table not in own:
            yield place, f"'{table}' is a union itself; name the tables that it unites"
        elif member.table not in own:
            yield place, f"there is no table '{table}'{did_you_mean(member.table, own)}"
        else:
            yield from _check_filters(member, tables[member.table])
        if member.table in whole:
            text = f"'{printable(whole[member.table])}' has all rows of {table} that are left"
            yield place, f"{text}; put it last, or give it a filter"
        elif member.is_rest:
            whole[member.table] = member.state


def _check_filters(member: Member, category: Category) -> Iterator[Found]:
    presets = {preset.name: preset for preset in category.presets}
    if member.hidden_by and member.hidden_by not in presets:
        text = f"{category.table} has no preset '{printable(member.hidden_by)}'"
        path: Path = ("union", member.state, "hidden_by")
        yield path, f"{text}{did_you_mean(member.hidden_by, presets)}"
    preset = presets.get(member.hidden_by)
    for each in (*member.filters, *(preset.filters if preset else ())):
        column = category.column(each.parameter) or category.column(
            each.parameter.rpartition("__")[0]
        )
        if column and column.type.role not in _KEPT:
            kind = f"'{column.name}' is of type {column.type.name}, which sums of rows do not keep"
            yield (
                ("union", member.state, "filter", each.parameter),
                f"{kind}; filter by a string, a label, a bool or a stack",
            )


def _complete(union: Category, tables: Mapping[str, Category]) -> Category:
    columns = _columns(union, tables)
    raw = union.declaration.get("charts")
    return replace(union, columns=columns, charts=charts_of(raw, columns) or derive(columns))


def _columns(union: Category, tables: Mapping[str, Category]) -> tuple[Column, ...]:
    """Return the state, and the columns that all members have, as the first of them has them."""
    first, *others = dict.fromkeys(member.table for member in union.union)
    shared = [
        _shared(column, [tables[other] for other in others])
        for column in tables[first].columns
        if column.name != STATE and all(_has(tables[other], column) for other in others)
    ]
    return (_state(union), *shared)


def _shared(column: Column, others: Iterable[Category]) -> Column:
    """Return a column under names that fit all members: what is not CPUs in all of them is threads.

    Time per time in several states is a number of threads, whatever each member calls its own.
    """
    same = [other for each in others if (other := each.column(column.name))]
    rate, name = column.rate, column.prettyname
    if any(each.rate != rate for each in same):
        rate = _THREADS
    if column.rate and any(each.prettyname != name for each in same):
        name = _TIME
    return replace(column, index=False, rate=rate, prettyname=name)


def _has(category: Category, column: Column) -> bool:
    same = category.column(column.name)
    return same is not None and (same.type, same.unit) == (column.type, column.unit)


def _state(union: Category) -> Column:
    words = union.declaration.get("states") or [member.state for member in union.union]
    text = "the member that has the row"
    return Column(STATE, STATE_TYPE, "State", help=text, words=tuple(words))
