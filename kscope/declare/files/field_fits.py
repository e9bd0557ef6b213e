"""Whether a field of a BPF program fits the column that a category fills from it."""

from collections.abc import Mapping

from kscope.declare.model import Column, Source
from kscope.declare.types import TYPES
from kscope.declare.types.kernel import FieldType, Kind
from kscope.errors import did_you_mean

# The kinds that `as:` reads, and what it makes of them: see KernelField.takes.
_DECODED: Mapping[str, tuple[tuple[Kind, ...], str]] = {
    "arguments": ((Kind.TEXT, Kind.OCTETS), "text"),
    "nanoseconds": ((Kind.NUMBER,), "a number"),
}
_OF_NUMBERS = ((Kind.NUMBER,), "text")
_BITS_64 = 8
_MOST_NAMED = 8


def column_problem(column: Column, source: Source) -> str:
    """Return why `as`, `names` or `enum` cannot fill the column, whatever the field; else ''."""
    how = _how(source)
    if not how:
        return ""
    _, made = _DECODED.get(source.decode, _OF_NUMBERS)
    if column.type.kernel.takes == made:
        return ""
    words = " or ".join(name for name, each in TYPES.items() if each.kernel.takes == made)
    return f"{how} makes {made}, and the column's type is {column.type.name}; use type {words}"


def field_problem(column: Column, source: Source, path: str, found: FieldType) -> str:
    """Return why a field of this type cannot fill the column, and the fix; '' if it can."""
    if found.kind is Kind.UNKNOWN:
        return ""
    is_that = f"'{path}' is {found.stated}"
    if how := _how(source):
        kinds, _ = _DECODED.get(source.decode, _OF_NUMBERS)
        expected = "a number" if kinds == (Kind.NUMBER,) else "text"
        return "" if found.kind in kinds else f"{is_that}; {how} reads {expected}"
    name, takes = column.type.name, column.type.kernel
    if found.kind not in takes.kinds or not takes.fits(found):
        expected = f"a column of type {name} takes {takes.expected}"
        return "; ".join([is_that, expected, *_inside(path, found)])
    longest = column.type.json.get("maxLength")
    if found.kind in {Kind.TEXT, Kind.OCTETS} and longest and found.length > longest + 1:
        return f"{is_that}; a column of type {name} takes at most {longest} characters"
    if takes.refuses_u64 and found.unsigned and found.size == _BITS_64:
        return f"{is_that}, which can exceed 2^63-1, the largest {name}; {_cure(path)}"
    return ""


def _cure(path: str) -> str:
    return (
        f"for an address make the column a string and write {{from: {path}, as: hex}} or "
        "as: ksym; for a smaller number use a signed type, such as s64"
    )


def path_problem(path: str, parts: Mapping[str, FieldType]) -> str:
    """Return why there is no field at the path; '' if there is one."""
    part, _, rest = path.partition(".")
    if part not in parts:
        return f"'{path}' must start with {' or '.join(parts)}"
    holder, found = part, parts[part]
    for name in rest.split(".") if rest and found.kind is not Kind.UNKNOWN else ():
        if not found.fields:
            return f"'{holder}' does not have fields: use it alone, without '.{name}'"
        if name not in found.fields:
            return f"'{holder}' does not have a field '{name}'{did_you_mean(name, found.fields)}"
        holder, found = f"{holder}.{name}", found.fields[name]
    return ""


def _how(source: Source) -> str:
    if source.decode:
        return f"as: {source.decode}"
    if source.enum:
        return f"enum: {source.enum}"
    return "names" if source.names else ""


def _inside(path: str, found: FieldType) -> list[str]:
    """Name the fields of a value that is not one number."""
    names = [f"{path}.{name}" for name in found.fields][:_MOST_NAMED]
    return [f"use {', '.join(names)}"] if names else []
