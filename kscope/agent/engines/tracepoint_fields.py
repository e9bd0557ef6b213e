"""The types of a script's `args->NAME`, from the formats of its tracepoints."""

import re
from collections.abc import Callable

from kscope.agent.host import kernel
from kscope.declare.files.bpftrace_script import UNKNOWN, tracepoints
from kscope.declare.types.kernel import FieldType, Kind

_TEXT = FieldType(Kind.TEXT, "text")
_NUMBER = FieldType(Kind.NUMBER, "a number")
_POINTER = FieldType(Kind.NUMBER, "a pointer", size=8, unsigned=True)
_DECLARED = re.compile(r"^\s*field:(.*?)\s*\b(\w+)(\[\w*\])?;", re.MULTILINE)
_CHARACTERS = frozenset({"char", "const char", "unsigned char", "signed char"})


def field_types(script: str) -> Callable[[str], FieldType]:
    """Return a function from a field to its type; UNKNOWN if the tracepoints disagree."""
    found: dict[str, FieldType] = {}
    for group, name in set(tracepoints(script)):
        for declared in _DECLARED.finditer(kernel.tracepoint_format(group, name)):
            kind = _kind(declared[1], array=bool(declared[3]))
            known = found.setdefault(declared[2], kind)
            if known.kind is not kind.kind:
                found[declared[2]] = UNKNOWN
    return lambda name: found.get(name, UNKNOWN)


def _kind(declared: str, *, array: bool) -> FieldType:
    if declared.startswith(("__data_loc", "__rel_loc")):
        return UNKNOWN
    if array:
        return _TEXT if declared in _CHARACTERS else UNKNOWN
    if declared.startswith(("struct ", "union ")) and not declared.endswith("*"):
        return UNKNOWN
    return _POINTER if declared.endswith("*") else _NUMBER
