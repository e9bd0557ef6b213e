"""The values of filters: text, or a value of a JSON document, becomes a value as it is stored."""

import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from kscope.declare import units
from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.parse.errors import QueryError, complain
from kscope.query.parse.timerange import now, parse_moment
from kscope.query.sql.operators import HOLDS, NULL, Operator

INT64 = 2**63
MAX_TEXT = 65536
MAX_VALUES = 1000
_LONGEST_WORD = 10
# Python refuses to read longer ones.
_WHOLE = re.compile(r"[+-]?\d{1,4000}", re.ASCII)


def operand(parameter: str, column: Column, operator: Operator, value: Any) -> Any:
    """Return the value as stored; a tuple if the operator takes many. Raise QueryError."""
    parsed: Any
    if operator.many:
        values = _listed(parameter, value)
        parsed = tuple([_read(parameter, column, operator.name, each) for each in values])
    else:
        parsed = _read(parameter, column, operator.name, value)
    if operator.refused and operator.refused in parsed:
        fault = f"{parsed[:80]!r} holds {operator.refused!r}, which separates frames"
        raise complain(parameter, f"{fault}; name one frame, or use {column.name}__contains")
    if operator.name == HOLDS and not _are_sizes(column, parsed):
        raise complain(parameter, "needs two sizes, the smaller first: 1000,16000")
    return parsed


def _are_sizes(column: Column, found: Sequence[Any]) -> bool:
    counted = column.type.storage is Storage.HISTOGRAM
    return len(found) == 2 and found[0] < found[1] and not (counted and found[0] < 0)


def _read(parameter: str, column: Column, operator: str, value: Any) -> Any:
    match column.type.storage:
        case _ if operator == NULL:
            return _boolean(parameter, value)
        case Storage.INTEGER | Storage.REAL if operator == HOLDS:
            return _size(parameter, column, value)
        case Storage.INTEGER | Storage.HISTOGRAM:
            return _whole(parameter, column, value)
        case Storage.REAL:
            return _real(parameter, value)
        case Storage.BOOLEAN:
            return _boolean(parameter, value)
    written = text(parameter, value)
    if column.type.storage is Storage.TIME:
        return parse_moment(parameter, written, now())
    if column.type.encode is None or operator not in ("eq", "in"):
        return written
    try:
        # A text such as an address has one spelling in which it is stored.
        return column.type.encode(written)
    except ValueError:
        _bad(parameter, value, column.type.help)


def _listed(parameter: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str) and value.startswith("["):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise complain(parameter, f"not a JSON array: {value[:80]!r}") from None
    # Split only as far as a list may go: the longest text would become many values.
    values = value.split(",", MAX_VALUES) if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise complain(parameter, "needs a list of values: a,b or a JSON array")
    if len(values) > MAX_VALUES:
        fault = f"the list has over {MAX_VALUES} values"
        raise complain(parameter, f"{fault}; use at most {MAX_VALUES}")
    return values


def _size(parameter: str, column: Column, value: Any) -> int | float:
    """Read the mean size of an event, which may be fractional."""
    try:
        return _real(parameter, value)
    except QueryError:
        return _whole(parameter, column, value)


def text(parameter: str, value: Any) -> str:
    """Return text that every database takes: no NUL, no half of a surrogate pair, not too long."""
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
    unit = column.type.unit
    try:
        number = int(written) if _WHOLE.fullmatch(written) else round(units.measure(written, unit))
    except ValueError:
        listed = " ".join(units.UNITS.get(unit, ()))
        also = f", or a number with one of the units {listed}" if listed else ""
        _bad(parameter, value, f"a whole number{also}")
    if not -INT64 <= number < INT64:
        raise complain(parameter, f"{written[:40]} does not fit 64 bits")
    return number


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
