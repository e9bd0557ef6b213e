"""A table as columns, in place of an array of rows: the forms in which a column may be sent."""

from collections.abc import Mapping
from typing import Annotated, Any

from kscope.declare.types.base import INT64_MAX, ColumnType, Role, Storage
from kscope.declare.types.histogram import HISTOGRAM_SLOTS
from kscope.declare.types.numbers import COUNT
from kscope.declare.types.stack import MAX_CHARACTERS
from kscope.declare.types.wire import Meta

# A request's `strings`, which columns refer to by place.
MAX_STRINGS = 250_000
# The characters of one: as many as the longest type of a column has.
MAX_STRING = MAX_CHARACTERS

PLACES = {"strings": Annotated[int, Meta(ge=0, le=MAX_STRINGS - 1)]}
SLOTS = {
    "slots": Annotated[int, Meta(ge=0, le=HISTOGRAM_SLOTS - 1)],
    "counts": Annotated[int, Meta(ge=1, le=INT64_MAX)],
    "ends": COUNT,
}
HELP: Mapping[str, str] = {
    "strings": "for each row the place of its text in the body's `strings`, from 0",
    "slots": "the slots that are not empty, of one row after another, ascending within each",
    "counts": "the count of each slot",
    "ends": "for each row the place in `slots` behind its last; the next row begins there",
}


def parts(kind: ColumnType) -> Mapping[str, Any]:
    """Return the arrays of the object that may replace an array of values: name -> wire type."""
    if kind.storage is Storage.HISTOGRAM:
        return SLOTS
    is_text = kind.json.get("type") == "string" or kind.role is Role.STACK
    return PLACES if is_text else {}
