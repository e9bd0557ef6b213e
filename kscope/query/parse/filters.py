"""Filters: parsed from text, resolved where they need a look at the data, compiled to a clause."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.declare.types.encode import canonical_ip
from kscope.query.parse.errors import QueryError, complain, one_of
from kscope.query.parse.timerange import now, parse_moment
from kscope.query.sql.expressions import ids, mean_size
from kscope.query.sql.operators import HOLDS, NEGATIONS, NULL, OPERATORS, taken
from kscope.store.schema.interning import text_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kscope.declare.model import Category, Column
    from kscope.generate.tables import Dictionaries

INT64 = 2**63
_LONGEST_WORD = 10
MAX_TEXT = 65536
MAX_VALUES = 1000
# Engines bound how deep an expression may be, and each costs time for every row.
MAX_CONDITIONS = 200
TOO_MANY = f"a question takes at most {MAX_CONDITIONS} filters; many values fit into one, as `in`"
_EXACT = ("eq", "in")
# Python refuses to read much longer ones.
_WHOLE = re.compile(r"[+-]?\d{1,4000}", re.ASCII)
_MEASURE = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s?([a-zA-Zµ]{1,5})", re.ASCII)
_UNITS = {
    "us": {"us": 1, "µs": 1, "ms": 1000, "s": 10**6, "m": 6 * 10**7, "h": 36 * 10**8},
    "bytes": {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
    | {"kib": 2**10, "mib": 2**20, "gib": 2**30},
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `value` is a tuple where the operator takes many.

    `matches` holds what a regular expression was resolved to: ids, or texts of a column
    that is not interned. `weight` says of how many events a value is the sum, where its size is
    that of their mean.
    """

    parameter: str
    column: Column = field(hash=False)
    operator: str
    value: Any
    negated: bool = False
    matches: tuple[Any, ...] | None = None
    weight: Column | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Group:
    """All of the members (`and`) or any of them (`or`). No member: every row."""

    members: tuple[Condition | Group, ...] = ()
    any_of: bool = False


def parse_filter(category: Category, parameter: str, text: str) -> Condition:
    """`process=mysqld`, `elapsed__gte=5ms`; QueryError names the parameter and what is allowed."""
    column, suffix = filtered(category, parameter)
    if column is None:
        names = [each.name for each in category.all_columns]
        raise complain(parameter[:80], one_of("column", column_name(parameter), names))
    found = condition(parameter, column, suffix or "eq", text)
    if found.operator == HOLDS:
        return replace(found, weight=category.weight_of(column))
    return found


def filtered(category: Category, parameter: str) -> tuple[Column | None, str]:
    """Return the column that the parameter filters by, and the operator's suffix, if any."""
    if column := category.column(parameter):
        return column, ""
    return category.column(column_name(parameter)), parameter.rpartition("__")[2]


def column_name(parameter: str) -> str:
    """Return the name before the operator; it may end in `_`, and have `__` inside."""
    return parameter.rpartition("__")[0] or parameter


def condition(parameter: str, column: Column, suffix: str, value: Any) -> Condition:
    """Check that the column takes the operator and the value; `value` is text, or JSON's own."""
    usable = taken(column)
    if suffix not in usable:
        kind = f"operator for {column.name} ({column.type.name})"
        raise complain(parameter, one_of(kind, suffix, usable))
    operator = OPERATORS[NEGATIONS.get(suffix, suffix)]
    parsed: Any
    read = _reader(column, operator.name)
    if operator.many:
        parsed = tuple(read(parameter, column, each) for each in _listed(parameter, value))
    else:
        parsed = read(parameter, column, value)
    if operator.refused and operator.refused in parsed:
        fault = f"{parsed[:80]!r} holds {operator.refused!r}, which separates frames"
        raise complain(parameter, f"{fault}; name one frame, or use {column.name}__contains")
    if operator.name == HOLDS and not _are_sizes(column, parsed):
        raise complain(parameter, "needs two sizes, the smaller first: 1000,16000")
    return Condition(parameter, column, operator.name, parsed, negated=suffix in NEGATIONS)


def _are_sizes(column: Column, found: Sequence[Any]) -> bool:
    counted = column.type.storage is Storage.HISTOGRAM
    return len(found) == 2 and found[0] < found[1] and not (counted and found[0] < 0)


def conditions(where: Group | Condition) -> list[Condition]:
    if isinstance(where, Condition):
        return [where]
    return [each for member in where.members for each in conditions(member)]


def resolved(where: Group, found: dict[Condition, tuple[Any, ...]]) -> Group:
    """Put what each regular expression matched into its condition."""

    def put(member: Condition | Group) -> Condition | Group:
        if isinstance(member, Group):
            return resolved(member, found)
        return replace(member, matches=found[member]) if member in found else member

    return replace(where, members=tuple(put(member) for member in where.members))


def clause(
    where: Condition | Group, table: sa.FromClause, dictionaries: Dictionaries
) -> sa.ColumnElement[bool]:
    """Over a table of rows or a rollup; regular expressions must be resolved."""
    if isinstance(where, Condition):
        built = _comparison(where, table, dictionaries)
        return _complement(where, table, built) if where.negated else built
    members = [clause(member, table, dictionaries) for member in where.members]
    if not members:
        return sa.true()
    return sa.or_(*members) if where.any_of else sa.and_(*members)


def _complement(
    where: Condition, table: sa.FromClause, built: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Every other row: SQL leaves out those whose value is null."""
    if not where.column.nullable:
        return sa.not_(built)
    return sa.or_(sa.not_(built), table.c[where.column.name].is_(None))


def _comparison(
    where: Condition, table: sa.FromClause, dictionaries: Dictionaries
) -> sa.ColumnElement[bool]:
    operator = OPERATORS[where.operator]
    column = table.c[where.column.name]
    match where.column.type.storage:
        case Storage.STRING_ID | Storage.STACK_ID if where.matches is not None:
            return ids(column, where.matches)
        case Storage.STRING_ID if operator.name in _EXACT:
            hashes = dictionaries.string.c.hash
            return column.in_(
                sa.select(dictionaries.string.c.id).where(ids(hashes, _hashes(where)))
            )
        case Storage.STACK_ID if operator.name in _EXACT:
            return ids(column, _hashes(where))
        case Storage.STRING_ID:
            names = dictionaries.string
            return column.in_(sa.select(names.c.id).where(_built(operator, names.c.text, where)))
        case Storage.STACK_ID:
            stacks = dictionaries.stack
            return column.in_(
                sa.select(stacks.c.id).where(_built(operator, stacks.c.frames, where))
            )
        case Storage.TEXT if where.matches is not None:
            return _built(OPERATORS["in"], column, replace(where, value=where.matches))
        case Storage.TEXT:
            return _built(operator, column, where)
        case Storage.INTEGER | Storage.REAL if operator.name == HOLDS:
            size = mean_size(column, table.c[where.weight.name] if where.weight else None)
            low, high = where.value
            return sa.and_(size >= low, size < high)
    assert operator.of_number is not None
    return operator.of_number(column, where.value)


def _hashes(where: Condition) -> list[int]:
    """What the values are known by: looked up, where a comparison would read every text."""
    values = where.value if isinstance(where.value, tuple) else (where.value,)
    return [text_hash(value) for value in values]


def _built(operator: Any, column: Any, where: Condition) -> sa.ColumnElement[bool]:
    built: sa.ColumnElement[bool] = operator.of_text(column, where.value)
    return built


def _listed(parameter: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str) and value.startswith("["):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise complain(parameter, f"not a JSON array: {value[:80]!r}") from None
    # Not split whole: a list of the largest size has few values.
    values = value.split(",", MAX_VALUES) if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise complain(parameter, "needs a list of values: a,b or a JSON array")
    if len(values) > MAX_VALUES:
        raise complain(
            parameter, f"the list has over {MAX_VALUES} values; use at most {MAX_VALUES}"
        )
    return values


def _value(parameter: str, column: Column, value: Any) -> Any:
    match column.type.storage:
        case Storage.INTEGER | Storage.HISTOGRAM:
            return _whole(parameter, column, value)
        case Storage.REAL:
            return _real(parameter, value)
        case Storage.BOOLEAN:
            return _boolean(parameter, value)
        case Storage.TIME:
            return parse_moment(parameter, text(parameter, value), now())
        case _:
            return text(parameter, value)


def _reader(column: Column, operator: str) -> Callable[[str, Column, Any], Any]:
    if operator == NULL:
        return lambda parameter, _, value: _boolean(parameter, value)
    if column.type.name == "ip" and operator in _EXACT:
        return _address
    if operator == HOLDS and column.type.storage is not Storage.HISTOGRAM:
        return _size
    return _value


def _size(parameter: str, column: Column, value: Any) -> int | float:
    """An event's mean size need not be whole."""
    try:
        return _real(parameter, value)
    except QueryError:
        return _whole(parameter, column, value)


def _address(parameter: str, column: Column, value: Any) -> str:
    """As it is stored: an address has more than one way to be written."""
    try:
        return canonical_ip(_value(parameter, column, value))
    except ValueError:
        _bad(parameter, value, "an IPv4 or IPv6 address")


def text(parameter: str, value: Any) -> str:
    """Text that every engine takes: no NUL, no half of a surrogate pair, not too long."""
    if not _plain(value):
        _bad(parameter, value, "a text")
    written = str(value)
    try:
        written.encode()
    except UnicodeEncodeError:
        raise complain(parameter, "is not valid Unicode text") from None
    if "\0" in written:
        raise complain(parameter, "must not contain NUL")
    if len(written) > MAX_TEXT:
        raise complain(parameter, f"is longer than {MAX_TEXT} characters")
    return written


def _whole(parameter: str, column: Column, value: Any) -> int:
    written = str(value).strip() if _plain(value) else ""
    if _WHOLE.fullmatch(written):
        number = int(written)
    else:
        number = _measured(parameter, column, value, written)
    if not -INT64 <= number < INT64:
        raise complain(parameter, f"{written[:40]} does not fit 64 bits")
    return number


def _measured(parameter: str, column: Column, value: Any, written: str) -> int:
    units = _UNITS.get(column.type.unit, {})
    measure = _MEASURE.fullmatch(written)
    if measure is None or measure[2].lower() not in units:
        also = f", or a number with one of the units {' '.join(units)}" if units else ""
        _bad(parameter, value, f"a whole number{also}")
    return round(float(measure[1]) * units[measure[2].lower()])


def _real(parameter: str, value: Any) -> float:
    try:
        number = float(value) if _plain(value) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _bad(parameter, value, "a number")
    return number


def _boolean(parameter: str, value: Any) -> int:
    known = {"true": 1, "1": 1, "false": 0, "0": 0}
    written = str(value)[:_LONGEST_WORD].lower()
    if written not in known:
        _bad(parameter, value, "true or false")
    return known[written]


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _bad(parameter: str, value: Any, wanted: str) -> NoReturn:
    raise complain(parameter, f"{str(value)[:80]!r} is not {wanted}")
