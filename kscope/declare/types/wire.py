"""Python types with limits: their JSON Schema, and mappings as dataclasses.

Agents read declarations with no libraries but their distribution's, which has none for this.
"""

import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

_SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean"}


class UnsetType(Enum):
    """The value of a field that is left out, where null is a value too."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False


UNSET = UnsetType.UNSET


# Without __eq__: types with limits need a hash.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meta:
    """Limits in `Annotated[TYPE, Meta(...)]`; lengths are those of texts, lists and mappings."""

    description: str | None = None
    ge: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    # Further keywords of the JSON Schema.
    json: Mapping[str, Any] | None = None

    def limited(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a type with these limits."""
        length = {"array": "Items", "object": "Properties"}.get(schema.get("type", ""), "Length")
        limits = {
            "minimum": self.ge,
            "maximum": self.le,
            f"max{length}": self.max_length,
            f"min{length}": self.min_length,
            "pattern": self.pattern,
        }
        said = {} if self.description is None else {"description": self.description}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        return said | schema | given | dict(self.json or {})


def json_schema(wire: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type's values: of a dataclass, mappings of its fields."""
    origin, arguments = get_origin(wire), get_args(wire)
    if wire is Any:
        return {}
    if origin is Annotated:
        schema = json_schema(arguments[0])
        for limits in arguments[1:]:
            schema = limits.limited(schema)
        return schema
    if origin is list:
        return {"type": "array"} | _part("items", arguments[0])
    if origin is dict:
        names = json_schema(arguments[0])
        constrained = {} if names == {"type": "string"} else {"propertyNames": _untyped(names)}
        return {"type": "object"} | constrained | _part("additionalProperties", arguments[1])
    if origin in (Union, types.UnionType):
        schemas = [json_schema(each) for each in arguments if each is not UnsetType]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return _of_mapping(wire) if is_dataclass(wire) else {"type": _SIMPLE[wire]}


def _part(keyword: str, wire: Any) -> dict[str, Any]:
    schema = json_schema(wire)
    return {keyword: schema} if schema else {}


def _untyped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Keys are texts in any case."""
    return {keyword: limit for keyword, limit in schema.items() if keyword != "type"}


def _of_mapping(kind: Any) -> dict[str, Any]:
    documented = "" if kind.__doc__.startswith(f"{kind.__name__}(") else kind.__doc__
    needed = [_key(each) for each in fields(kind) if _is_needed(each)]
    return {
        **({"description": documented} if documented else {}),
        "type": "object",
        "properties": {key: json_schema(wire) for key, _, wire in _fields(kind)},
        "required": needed,
        "additionalProperties": False,
    }


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """Return the key in a mapping, the name and the type of each field of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple((_key(each), each.name, hints[each.name]) for each in fields(kind))


def _key(each: "Field[Any]") -> str:
    """A field whose key is a word of Python has another name, and `metadata={"key": ...}`."""
    key: str = each.metadata.get("key", each.name)
    return key


def _is_needed(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def made(value: Any, wire: Any) -> Any:
    """Return a value that satisfies the type's JSON Schema, its mappings as dataclasses."""
    origin, arguments = get_origin(wire), get_args(wire)
    if origin is Annotated:
        return made(value, arguments[0])
    if origin in (Union, types.UnionType):
        return made(value, next((each for each in arguments if _takes(each, value)), Any))
    if origin is list:
        return [made(each, arguments[0]) for each in value]
    if origin is dict:
        return {key: made(each, arguments[1]) for key, each in value.items()}
    if isinstance(wire, type) and is_dataclass(wire):
        given = ((key, name, part) for key, name, part in _fields(wire) if key in value)
        return wire(**{name: made(value[key], part) for key, name, part in given})
    return value


def _takes(wire: Any, value: Any) -> bool:
    """Is a mapping for this dataclass, or a list for this list?"""
    while get_origin(wire) is Annotated:
        wire = get_args(wire)[0]
    if is_dataclass(wire):
        return isinstance(value, dict)
    return isinstance(value, list) and get_origin(wire) is list


def check_of(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Return a quick check of the values of a column's type: type, limits and pattern.

    It takes no 1.0 for a whole number. It does not know formats: a type's `encode` does.
    """
    if "anyOf" in schema and "type" not in schema:
        checks = [check_of(each) for each in schema["anyOf"]]
        return lambda value: any(each(value) for each in checks)
    match schema["type"]:
        case "integer" | "number" as name:
            return _number_check(frozenset({int} if name == "integer" else {int, float}), schema)
        case "string":
            return _text_check(schema)
        case "array":
            return _list_check(schema)
        case "boolean":
            return lambda value: isinstance(value, bool)
        case other:
            raise ValueError(f"no quick check of {other}")


def _number_check(kinds: frozenset[type], schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    least, most = schema["minimum"], schema["maximum"]
    return lambda value: type(value) in kinds and least <= value <= most


def _text_check(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    least, most = schema.get("minLength", 0), schema["maxLength"]
    found = re.compile(schema.get("pattern", "")).search

    def is_right(value: Any) -> bool:
        return isinstance(value, str) and least <= len(value) <= most and found(value) is not None

    return is_right


def _list_check(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    most, is_right = schema["maxItems"], check_of(schema["items"])

    def are_right(value: Any) -> bool:
        return isinstance(value, list) and len(value) <= most and all(map(is_right, value))

    return are_right
