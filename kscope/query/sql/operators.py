"""The operators of filters: one row per operator, one mapping per kind of storage."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.sql.expressions import exact, has_slot, position, texts

Build = Callable[[sa.ColumnElement[Any], Any], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Operator:
    """`of_text` and `of_number` build the comparison; None if it has no sense.

    A regular expression has neither: it is resolved to ids before the statement is made.
    `words` are those between a column and a value on the page; `opposite` is the name of the
    exact complement, and its words. A value does not hold `refused`.
    """

    name: str
    words: str
    help: str
    of_text: Build | None = None
    of_number: Build | None = None
    opposite: tuple[str, str] | None = None
    many: bool = False
    refused: str = ""


def _text(compare: Callable[[Any, Any], Any]) -> Build:
    return lambda column, value: compare(exact(column), exact(sa.literal(value, sa.Text())))


def _contains(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    return position(column, sa.literal(value, sa.Text())) > 0


def _startswith(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    return position(column, sa.literal(value, sa.Text())) == 1


def _has_frame(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    """A stack is its frames with `;` between; the empty text is a stack without frames."""
    framed = sa.literal(FRAME_SEPARATOR, sa.Text()) + column + FRAME_SEPARATOR
    wanted = sa.literal(f"{FRAME_SEPARATOR}{value}{FRAME_SEPARATOR}", sa.Text())
    found = position(framed, wanted) > 0
    return found if value else sa.and_(found, sa.func.length(column) > 0)


def _in_numbers(column: sa.ColumnElement[Any], values: Any) -> sa.ColumnElement[bool]:
    return column.in_(list(values))


def _holds(column: sa.ColumnElement[Any], values: Any) -> sa.ColumnElement[bool]:
    low, high = values
    slots = range(max(0, low.bit_length() - 1), max(1, (high - 1).bit_length()))
    return sa.or_(*(has_slot(column, sa.literal_column(str(slot))) for slot in slots))


def _null(column: sa.ColumnElement[Any], value: int) -> sa.ColumnElement[bool]:
    return column.is_(None) if value else column.is_not(None)


# Of a histogram: some of its events are of such sizes. Of a plain number: its mean event is.
HOLDS = "holds"


FRAME_SEPARATOR = ";"
# Only of columns that may be null.
NULL = "null"

_ALL = (
    Operator("eq", "is", "is", _text(operator.eq), operator.eq, ("ne", "is not")),
    Operator("gt", ">", "is greater than", _text(operator.gt), operator.gt),
    Operator("gte", "≥", "is at least", _text(operator.ge), operator.ge),
    Operator("lt", "<", "is less than", _text(operator.lt), operator.lt),
    Operator("lte", "≤", "is at most", _text(operator.le), operator.le),
    Operator(
        "in",
        "is one of",
        "is one of: a,b or a JSON array; * alone is any",
        texts,
        _in_numbers,
        ("not_in", "is none of"),
        many=True,
    ),
    Operator(
        HOLDS,
        "holds sizes",
        "sums events of sizes from a up to b: a,b",
        of_number=_holds,
        many=True,
    ),
    Operator(
        "contains",
        "contains",
        "contains the text; case-sensitive",
        _contains,
        opposite=("not_contains", "does not contain"),
    ),
    Operator(
        "startswith",
        "starts with",
        "starts with the text; case-sensitive",
        _startswith,
        opposite=("not_startswith", "does not start with"),
    ),
    Operator(
        "has",
        "has the frame",
        "has a frame that is exactly the text; case-sensitive",
        _has_frame,
        opposite=("lacks", "does not have the frame"),
        refused=FRAME_SEPARATOR,
    ),
    Operator(
        "regex",
        "matches",
        "matches the regular expression (RE2) anywhere",
        opposite=("not_regex", "does not match"),
    ),
    Operator(NULL, "has no value:", "has no value: true, or has one: false", of_number=_null),
)
OPERATORS: Mapping[str, Operator] = MappingProxyType({row.name: row for row in _ALL})
NEGATIONS: Mapping[str, str] = MappingProxyType(
    {row.opposite[0]: row.name for row in _ALL if row.opposite}
)
SUFFIXES = (*OPERATORS, *NEGATIONS)
_OF_STACKS = ("has", "lacks")

_NUMBER = ("eq", "gt", "gte", "lt", "lte", "in", "ne", "not_in")
_TEXT = tuple(name for name in SUFFIXES if name not in (HOLDS, NULL, *_OF_STACKS))
_STACK = (*_OF_STACKS, *(name for name in _TEXT if name not in ("gt", "gte", "lt", "lte")))
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
    """List the suffixes that every column of this storage takes."""
    return _ALLOWED[storage]


def taken(column: Column) -> tuple[str, ...]:
    """List the suffixes that the column takes."""
    return (*_ALLOWED[column.type.storage], *((NULL,) if column.nullable else ()))


class OperatorAnswer(msgspec.Struct, frozen=True):
    """`words` are those between a column and a value; `opposite_of` is another's name, or empty."""

    name: str
    words: str
    many: bool
    opposite_of: str


def described() -> list[OperatorAnswer]:
    """List every suffix with its words, for programs that let a person choose one."""
    answers = [OperatorAnswer(row.name, row.words, row.many, "") for row in _ALL]
    return answers + [
        OperatorAnswer(*row.opposite, row.many, row.name) for row in _ALL if row.opposite
    ]
