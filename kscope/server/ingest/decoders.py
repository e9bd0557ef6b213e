"""The wire types of declarations, as msgspec decodes them."""

import types
from functools import reduce
from operator import or_
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from kscope.declare.types.wire import Meta


def decodable(wire: Any) -> Any:
    """Return the type with msgspec's limits; of keywords of the JSON Schema it knows none."""
    origin, arguments = get_origin(wire), get_args(wire)
    if origin is Annotated:
        kind, *limits = arguments
        return Annotated[decodable(kind), *map(_limits, limits)]
    if origin is list:
        return types.GenericAlias(list, tuple(map(decodable, arguments)))
    if origin in (Union, types.UnionType):
        return reduce(or_, map(decodable, arguments))
    return wire


def _limits(meta: Meta) -> msgspec.Meta:
    limits: Any = {name: getattr(meta, name) for name in ("ge", "le", "min_length", "max_length")}
    made: msgspec.Meta = msgspec.Meta(**limits)
    return made
