"""What a filter may ask of a column: one row per operator, one mapping per kind of storage."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.query.expressions import exact, position, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Build = Callable[[sa.ColumnElement[Any], Any], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Operator:
    """`of_text` and `of_number` build the comparison; None where it has no sense.

    A regular expression has neither: it is resolved to ids before the statement is made.
    """

    name: str
    help: str
    of_text: Build | None
    of_number: Build | None
    many: bool = False


def _text(compare: Callable[[Any, Any], Any]) -> Build:
    return lambda column, value: compare(exact(column), exact(sa.literal(value, sa.Text())))


def _contains(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    return position(column, sa.literal(value, sa.Text())) > 0


def _startswith(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    return position(column, sa.literal(value, sa.Text())) == 1


def _in_numbers(column: sa.ColumnElement[Any], values: Any) -> sa.ColumnElement[bool]:
    return column.in_(list(values))


def _holds(column: sa.ColumnElement[Any], values: Any) -> sa.ColumnElement[bool]:
    """The stored text is `slot:count,slot:count`; a slot without a count is left out of it."""
    low, high = values
    slots = range(max(0, low.bit_length() - 1), max(1, (high - 1).bit_length()))
    listed = sa.literal(",", sa.Text()) + column
    return sa.or_(*(position(listed, sa.literal(f",{slot}:", sa.Text())) > 0 for slot in slots))


# Of a histogram: some of its events are of such sizes. Of a plain number: its mean event is.
HOLDS = "holds"


def _compare(name: str, text: str, compare: Callable[[Any, Any], Any]) -> Operator:
    return Operator(name, text, _text(compare), compare)


_ALL = (
    _compare("eq", "is", operator.eq),
    _compare("gt", "is greater than", operator.gt),
    _compare("gte", "is at least", operator.ge),
    _compare("lt", "is less than", operator.lt),
    _compare("lte", "is at most", operator.le),
    Operator("in", "is one of: a,b or a JSON array", texts, _in_numbers, many=True),
    Operator(HOLDS, "sums events of sizes from a up to b: a,b", None, _holds, many=True),
    Operator("contains", "contains the text, upper and lower case told apart", _contains, None),
    Operator("startswith", "starts with the text", _startswith, None),
    Operator("regex", "matches the regular expression (RE2) anywhere", None, None),
)
OPERATORS: Mapping[str, Operator] = MappingProxyType({row.name: row for row in _ALL})

# Written out, so that a person sees `ne` and not `not_eq`.
NEGATIONS: Mapping[str, str] = MappingProxyType(
    {
        "ne": "eq",
        "not_in": "in",
        "not_contains": "contains",
        "not_startswith": "startswith",
        "not_regex": "regex",
    }
)
SUFFIXES = (*OPERATORS, *NEGATIONS)

_NUMBER = ("eq", "gt", "gte", "lt", "lte", "in", "ne", "not_in")
_TEXT = tuple(name for name in SUFFIXES if name != HOLDS)
_STACK = tuple(name for name in _TEXT if name not in ("gt", "gte", "lt", "lte"))
_ALLOWED: Mapping[Storage, tuple[str, ...]] = MappingProxyType(
    {
        Storage.TIME: _NUMBER,
        Storage.INTEGER: (*_NUMBER, HOLDS),
        Storage.REAL: (*_NUMBER, HOLDS),
        Storage.BOOLEAN: ("eq", "ne"),
        Storage.TEXT: _TEXT,
        Storage.STRING_ID: _TEXT,
        Storage.STACK_ID: _STACK,
        Storage.HISTOGRAM: (HOLDS,),
    }
)


def allowed(storage: Storage) -> tuple[str, ...]:
    """List the suffixes that a column of this storage takes."""
    return _ALLOWED[storage]
