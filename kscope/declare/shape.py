"""JSON Schema's verdict on a document, in words for the person who wrote the file."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from kscope.declare.durations import PATTERN as DURATION
from kscope.declare.values import Validator
from kscope.declare.yamlfile import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import jsonschema

    from kscope.declare.yamlfile import Document, Path
    from kscope.errors import Problem

_TYPE_NAMES = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}
# To look for a similar name among more of them costs too much for a hint.
_MOST_NAMES = 1000
_PATTERNS = {DURATION: "a duration such as 90s, 15m, 12h, 14d or 2y"}


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """` Did you mean 'string'?`, or else the allowed words, or nothing where there are many."""
    names = sorted(known)
    near = difflib.get_close_matches(_show(wrong), names[:_MOST_NAMES], n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Known are: {', '.join(names)}." if 0 < len(names) <= 20 else ""


def check(document: Document, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every place where the document is not of the schema's shape."""
    for error in Validator(schema).iter_errors(document.value):
        for path, message in _explain(error):
            yield document.problem(path, message)


def _explain(error: jsonschema.ValidationError) -> Iterable[tuple[Path, str]]:
    path: Path = tuple(error.absolute_path)
    # jsonschema types these as perhaps unset; an error that iter_errors yields has them all.
    detail: Any = error
    value, rule = detail.instance, detail.validator_value
    if error.validator == "additionalProperties":
        return _unknown_keys(path, value, detail.schema["properties"])
    if error.validator == "required":
        return [(path, f"'{key}' is missing") for key in rule if key not in value]
    if error.validator == "pattern":
        return [(_name_path(error, path), _pattern_message(value, rule))]
    return [(path, _message(error.validator, path, value, rule) or error.message)]


def _unknown_keys(
    path: Path, value: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    free = set(known) - set(value)
    for key in value:
        if key not in known:
            yield (*path, key), f"unknown key '{printable(key)}'.{suggestion(key, free)}"


def _message(validator: object, path: Path, value: object, rule: Any) -> str:
    match validator:
        case "enum":
            noun = path[-1] if path else "value"
            return f"unknown {noun} {_show(value)}.{suggestion(value, rule)}"
        case "type":
            names = (_TYPE_NAMES[name] for name in ([rule] if isinstance(rule, str) else rule))
            return f"must be {' or '.join(names)}, not {_show(value)}"
        case "oneOf":
            keys = (key for branch in rule for key in branch["required"])
            return f"needs exactly one of {', '.join(keys)}"
        case "anyOf":
            return "must be a field such as key.comm, a list of fields, or {from:, names: or as:}"
        case "minItems" | "minLength":
            return "must not be empty"
        case "maxItems" | "maxLength" | "maxProperties":
            return f"too long: at most {rule}"
    return ""


def _name_path(error: jsonschema.ValidationError, path: Path) -> Path:
    """Give the key itself as the place where a mapping's key is what is wrong."""
    in_names = "propertyNames" in error.absolute_schema_path
    return (*path, str(error.instance)) if in_names else path


def _pattern_message(value: object, pattern: str) -> str:
    if pattern in _PATTERNS:
        return f"{_show(value)} is not {_PATTERNS[pattern]}"
    if pattern.startswith("^[a-z]"):
        return (
            f"{_show(value)} must be lower case letters, digits and _, a letter first, at most 40"
        )
    return f"{_show(value)} must match {pattern}"


def _show(value: object) -> str:
    text = re.sub(r"\s+", " ", f"'{value}'" if isinstance(value, str) else repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
