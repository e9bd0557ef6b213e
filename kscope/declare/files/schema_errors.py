"""JSON Schema's verdict on a document, as messages for the author of the file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import jsonschema

from kscope.declare.files.shapes import NAME, PATTERNS
from kscope.declare.files.yaml_lines import Document, Found, Path
from kscope.declare.values import Validator
from kscope.errors import Problem, ValueFaultError, did_you_mean, kind_of, printable, quoted, shown

_TYPE_NAMES = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


# By the `format` of a scalar: value -> what it stands for, or ValueFaultError.
Readers = Mapping[str, Callable[[Any], Any]]


def check(
    document: Document, schema: Mapping[str, Any], readers: Readers = MappingProxyType({})
) -> Iterator[Problem]:
    """Yield every place where the document is not of the schema's shape."""
    formats = jsonschema.FormatChecker(())
    for name, read in readers.items():
        formats.checks(name, raises=ValueFaultError)(partial(_is_readable, read))
    for error in Validator(schema, format_checker=formats).iter_errors(document.value):
        if error.validator == "format" or error.schema.get("format") not in readers:
            for found in _explain(error, discreet=document.discreet):
                yield document.problem(*found)


def _is_readable(read: Callable[[Any], Any], value: Any) -> bool:
    read(value)
    return True


def read_values(value: Any, schema: Mapping[str, Any], readers: Readers) -> Any:
    """Return a checked value with its scalars as their readers return them; lists as tuples."""
    if schema.get("format") in readers:
        return readers[schema["format"]](value)
    if isinstance(value, list) and "items" in schema:
        return tuple(read_values(each, schema["items"], readers) for each in value)
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties") or {}
        parts = value.items()
        return {key: read_values(each, known.get(key, other), readers) for key, each in parts}
    return value


def _explain(error: jsonschema.ValidationError, *, discreet: bool = False) -> Iterable[Found]:
    path: Path = tuple(error.absolute_path)
    # jsonschema types these as perhaps unset; an error that iter_errors yields has them all.
    detail: Any = error
    value, rule = detail.instance, detail.validator_value
    if isinstance(error.cause, ValueFaultError):
        return [(path, error.cause.fault, error.cause.cure)]
    if error.validator == "additionalProperties":
        return _unknown_keys(path, value, detail.schema["properties"], discreet=discreet)
    if error.validator == "required":
        return [(path, f"'{key}' is missing") for key in rule if key not in value]
    pattern = detail.schema.get("pattern")
    if pattern and (error.validator == "pattern" or (pattern != NAME and quoted(value))):
        return [(_name_path(error, path), _pattern_message(value, pattern))]
    if error.validator == "anyOf" and (meant := _meant(error)):
        return [found for each in meant for found in _explain(each)]
    say = kind_of if discreet else shown
    message = _message(error.validator, path, value, rule, say)
    cure = quoted(value) if (error.validator, rule) == ("type", "string") else ""
    return [(_name_path(error, path), message or f"does not satisfy '{error.validator}'", cure)]


def _meant(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """Return the mistakes that the branch for values of this type finds."""
    branches: dict[int, list[jsonschema.ValidationError]] = {}
    for each in error.context or ():
        branches.setdefault(int(each.relative_schema_path[0]), []).append(each)
    of_type = [
        found
        for found in branches.values()
        if not any(each.validator == "type" and not each.relative_path for each in found)
    ]
    return of_type[0] if len(of_type) == 1 else []


def _unknown_keys(
    path: Path, value: Mapping[str, Any], known: Mapping[str, Any], *, discreet: bool
) -> Iterator[Found]:
    free = known if discreet else set(known) - set(value)
    for key in value:
        if key not in known:
            name = "" if discreet else f" '{printable(key)}'"
            yield (*path, key), f"unknown key{name}{did_you_mean(key, free)}"


def _message(
    validator: object, path: Path, value: object, rule: Any, say: Callable[[Any], str]
) -> str:
    match validator:
        case "enum":
            noun = path[-1] if path else "value"
            known = f" Allowed are: {', '.join(map(str, rule))}."
            near = did_you_mean(value, rule, listed=False) or "."
            return f"unknown {noun} {shown(value)}{near}{known}"
        case "type":
            names = (_TYPE_NAMES[name] for name in ([rule] if isinstance(rule, str) else rule))
            text = f"must be {' or '.join(names)}, not {say(value)}"
            return f"{text}; start each entry with '- '" if rule == "array" else text
        case "oneOf":
            keys = (key for branch in rule for key in branch["required"])
            return f"needs exactly one of {', '.join(keys)}"
        case "anyOf":
            return "must be a field such as key.comm, a list of fields, or {from:, names: or as:}"
        case "minItems" | "minLength" | "minProperties":
            return "must not be empty"
        case "maxItems" | "maxProperties" | "maxLength":
            noun = "characters" if validator == "maxLength" else "entries"
            return f"has {len(cast('Any', value))} {noun}; at most {rule} are allowed"
        case "minimum" | "maximum":
            return f"{shown(value)} is beyond what a 64-bit number can hold"
    return ""


def _name_path(error: jsonschema.ValidationError, path: Path) -> Path:
    """Return the key itself as the place if a mapping's key is the problem."""
    in_names = "propertyNames" in error.absolute_schema_path
    return (*path, str(error.instance)) if in_names else path


def _pattern_message(value: object, pattern: str) -> str:
    if pattern == NAME:
        rule = "lower case letters, digits and _, a letter first, at most 40"
        return f"{shown(value)} must be {rule}"
    return f"{shown(value)} is not {PATTERNS.get(pattern, f'text that matches {pattern}')}"
