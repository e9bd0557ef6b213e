"""Whether a field of a BPF program fits the column that a category fills from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kscope.declare.files.check import suggestion
from kscope.declare.types.base import HISTOGRAM_SLOTS, TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.declare.model import Column, Source


class Kind(StrEnum):
    NUMBER = "number"
    REAL = "real"
    TEXT = "text"
    OCTETS = "octets"
    NUMBERS = "numbers"
    ADDRESS = "address"
    STACK_ID = "stack id"
    KERNEL_STACK = "kernel stack"
    USER_STACK = "user stack"
    HISTOGRAM = "histogram"
    ARRAY = "array"
    STRUCT = "struct"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of a field, before any value of it has been read.

    `size` is in bytes, 0 if it is not known. `length` counts the elements of an array. `unsigned`
    numbers of 8 bytes can exceed what a column of whole numbers stores. `stated` is the type as
    messages name it.
    """

    kind: Kind
    stated: str
    size: int = 0
    length: int = 0
    unsigned: bool = False
    fields: Mapping[str, FieldType] = field(default_factory=dict, hash=False)

    def at(self, path: str) -> FieldType | None:
        """Return the type of a field, given as `comm` or `inner.comm`; '' is the type itself."""
        found: FieldType | None = self
        for name in path.split(".") if path else ():
            found = found.fields.get(name) if found else None
        return found


_TEXTS = ("string", "label", "text")
_WHOLE = ("int", "count", "elapsed", "bytes")
_NUMERIC = (*_WHOLE, "float")
_KINDS: Mapping[str, tuple[Kind, ...]] = {
    **dict.fromkeys(_TEXTS, (Kind.NUMBER, Kind.REAL, Kind.TEXT, Kind.OCTETS, Kind.ADDRESS)),
    **dict.fromkeys((*_WHOLE, "bool", "timestamp"), (Kind.NUMBER,)),
    "float": (Kind.NUMBER, Kind.REAL),
    "ip": (Kind.NUMBER, Kind.OCTETS, Kind.NUMBERS, Kind.STRUCT, Kind.ADDRESS),
    "stack": (Kind.STACK_ID, Kind.KERNEL_STACK, Kind.USER_STACK),
    "histogram": (Kind.NUMBERS, Kind.HISTOGRAM),
}
_EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(_TEXTS, "text or a number"),
    **dict.fromkeys(_WHOLE, "a whole number"),
    "bool": "a whole number, of which 0 is false",
    "timestamp": "nanoseconds of bpf_ktime_get_ns() in a u64",
    "float": "a number",
    "ip": "a u32, or 4 or 16 bytes, in network order",
    "stack": "stack ids of ks_stack() in fields named kstack and ustack, or of bpftrace's kstack "
    "or ustack",
    "histogram": f"an array of at most {HISTOGRAM_SLOTS} counts, such as u32 slots[32]",
}
# The kinds that `as:` reads, and the column types that its result fits.
_DECODED: Mapping[str, tuple[tuple[Kind, ...], tuple[str, ...]]] = {
    "arguments": ((Kind.TEXT, Kind.OCTETS), _TEXTS),
    "nanoseconds": ((Kind.NUMBER,), _NUMERIC),
}
_OF_NUMBERS = ((Kind.NUMBER,), _TEXTS)
_BITS_64 = 8
_MOST_NAMED = 8
_IP_SIZES = (4, 16)


def column_problem(column: Column, source: Source) -> str:
    """Return why `as`, `names` or `enum` cannot fill the column, whatever the field; else ''."""
    how = _how(source)
    if not how:
        return ""
    _, fitting = _DECODED.get(source.decode, _OF_NUMBERS)
    if column.type.name in fitting:
        return ""
    what = "a number" if fitting == _NUMERIC else "text"
    words = " or ".join(fitting)
    return f"{how} makes {what}, and the column's type is {column.type.name}; use type {words}"


def field_problem(column: Column, source: Source, path: str, found: FieldType) -> str:
    """Return why a field of this type cannot fill the column, and the fix; '' if it can."""
    if found.kind is Kind.UNKNOWN:
        return ""
    is_that = f"'{path}' is {found.stated}"
    if how := _how(source):
        kinds, _ = _DECODED.get(source.decode, _OF_NUMBERS)
        expected = "a number" if kinds == (Kind.NUMBER,) else "text"
        return "" if found.kind in kinds else f"{is_that}; {how} reads {expected}"
    name = column.type.name
    if found.kind not in _KINDS[name] or _has_wrong_size(name, found):
        takes = f"a column of type {name} takes {_EXPECTED[name]}"
        return "; ".join([is_that, takes, *_inside(path, found)])
    longest = TYPES[name].json.get("maxLength")
    if found.kind in {Kind.TEXT, Kind.OCTETS} and longest and found.length > longest + 1:
        return f"{is_that}; a column of type {name} takes at most {longest} characters"
    if name == "int" and found.unsigned and found.size == _BITS_64:
        return f"{is_that}, which can exceed 2^63-1, the largest int; {_cure(path)}"
    return ""


def _has_wrong_size(name: str, found: FieldType) -> bool:
    if name == "histogram":
        return found.length > HISTOGRAM_SLOTS
    if name != "ip" or not found.size:
        return False
    return found.size not in (_IP_SIZES[:1] if found.kind is Kind.NUMBER else _IP_SIZES)


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
    if parts[part].kind is Kind.UNKNOWN or parts[part].at(rest):
        return ""
    holder = part
    for name in rest.split("."):
        fields = (parts[part].at(holder.partition(".")[2]) or parts[part]).fields
        if name not in fields:
            return f"'{holder}' {_missing(name, fields)}"
        holder = f"{holder}.{name}"
    return ""


def _missing(name: str, fields: Mapping[str, FieldType]) -> str:
    if not fields:
        return f"does not have fields: use it alone, without '.{name}'"
    near = suggestion(name, fields)
    return f"does not have a field '{name}'.{near}" if near else f"does not have a field '{name}'"


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
