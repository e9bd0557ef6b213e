"""The members of a request beside its tables: one description of their names and limits."""

import types
from collections.abc import Mapping
from typing import Annotated, Any

from kscope.declare.columnar import MAX_STRING, MAX_STRINGS
from kscope.declare.types.base import text_type
from kscope.declare.types.stack import FOLDED
from kscope.declare.types.time import TIMESTAMP
from kscope.declare.types.wire import Meta, json_schema

MAX_STACKS = 250_000
Stacks = Annotated[list[FOLDED], Meta(max_length=MAX_STACKS)]
STRING: Any = text_type(MAX_STRING)
Strings: Any = Annotated[types.GenericAlias(list, (STRING,)), Meta(max_length=MAX_STRINGS)]

_WIRE: Mapping[str, tuple[Any, str]] = {
    "hostname": (
        text_type(255, "^[^\\u0000-\\u001f]*$", minLength=1),
        "the host that the rows come from",
    ),
    "time": (TIMESTAMP.wire, "when the rows' interval ended; UTC without an offset"),
    "stacks": (Stacks, "folded stacks that rows refer to by their place, from 0"),
    "strings": (Strings, "texts that columns refer to by their place, from 0"),
}
NAMES = frozenset(_WIRE)
REQUIRED = ("hostname",)


def properties() -> dict[str, Any]:
    """Return the members as properties of a JSON Schema."""
    return {
        name: {**json_schema(wire), "description": text} for name, (wire, text) in _WIRE.items()
    }
