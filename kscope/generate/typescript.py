"""JSON Schema components -> the TypeScript types of the page."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 100
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def typescript(components: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one exported type per component, in the order of their names."""
    return "\n".join(
        line for name in sorted(components) for line in _declared(name, components[name])
    )


def _declared(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _comment(schema.get("description", ""))
    if "properties" not in schema:
        line = f"export type {name} = {_type(schema)};"
        # As prettier breaks it.
        yield from (line if len(line) <= _WIDTH else line.replace(" = ", " =\n  ", 1), "")
        return
    yield f"export interface {name} {{"
    yield from (f"  {field}" for field in _fields(schema))
    yield from ("}", "")


def _comment(text: str) -> Iterator[str]:
    lines = inspect.cleandoc(text).replace("*/", "* /").splitlines()
    if len(lines) == 1:
        yield f"/** {lines[0]} */"
    elif lines:
        yield from ("/**", *(f" * {line}".rstrip() for line in lines), " */")


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, rule in schema["properties"].items():
        key = name if _IDENTIFIER.fullmatch(name) else json.dumps(name)
        mark = "" if name in schema.get("required", ()) else "?"
        yield f"{key}{mark}: {_type(rule)};"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return _union(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return _union(map(json.dumps, schema["enum"]))
    if schema.get("type") == "array":
        return _array(schema)
    if schema.get("type") == "object":
        return _object(schema)
    kind = str(schema.get("type", "unknown"))
    return "number" if kind == "integer" else kind


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types))


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(map(_type, schema['prefixItems']))}]"
    items = _type(schema.get("items", {}))
    return f"({items})[]" if " | " in items else f"{items}[]"


def _object(schema: Mapping[str, Any]) -> str:
    if "properties" in schema:
        return f"{{ {' '.join(_fields(schema))} }}"
    rest = schema.get("additionalProperties")
    return f"Record<string, {_type(rest if isinstance(rest, dict) else {})}>"
