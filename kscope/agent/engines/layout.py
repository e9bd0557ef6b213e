"""The types of a compiled program's structs, as bcc reads them, and of a tracepoint's fields."""

import ctypes
import re
from collections.abc import Callable
from typing import Any

from kscope.agent.host import kernel
from kscope.declare.files.bpftrace_script import UNKNOWN, tracepoints
from kscope.declare.types.kernel import FieldType, Kind

_REALS = (ctypes.c_float, ctypes.c_double, ctypes.c_longdouble)
_POINTERS = (ctypes.c_void_p, ctypes.c_char_p)
_UNSIGNED = (
    ctypes.c_bool, ctypes.c_ubyte, ctypes.c_ushort, ctypes.c_uint, ctypes.c_ulong,
    ctypes.c_ulonglong,
)  # fmt: skip
_STACK_ENDS = ("kstack", "ustack")
_TEXT = FieldType(Kind.TEXT, "text")
_NUMBER = FieldType(Kind.NUMBER, "a number")
_POINTER = FieldType(Kind.NUMBER, "a pointer", size=8, unsigned=True)
_DECLARED = re.compile(r"^\s*field:(.*?)\s*\b(\w+)(\[\w*\])?;", re.MULTILINE)
_CHARACTERS = frozenset({"char", "const char", "unsigned char", "signed char"})


def field_type(found: Any, name: str = "", bits: int = 0) -> FieldType:
    """Return the type of a ctypes class; `name` is the field's, `bits` its width if given."""
    if issubclass(found, ctypes.Structure | ctypes.Union):
        return _struct(found)
    if issubclass(found, ctypes.Array):
        return _array(found)
    size = ctypes.sizeof(found)
    if issubclass(found, _REALS):
        return FieldType(Kind.REAL, "a floating-point number", size=size)
    if issubclass(found, _POINTERS):
        return FieldType(Kind.NUMBER, "a pointer", size=size, unsigned=True)
    unsigned = found in _UNSIGNED
    stated = f"a {'u' if unsigned else 's'}{8 * size}"
    if bits:
        return FieldType(Kind.NUMBER, f"{stated} of {bits} bits", size=size)
    if name.endswith(_STACK_ENDS) and not unsigned:
        return FieldType(Kind.STACK_ID, f"{stated}, a stack id", size=size)
    return FieldType(Kind.NUMBER, stated, size=size, unsigned=unsigned)


def _array(found: Any) -> FieldType:
    size, length = ctypes.sizeof(found), found._length_
    if found._type_ is ctypes.c_char:
        return FieldType(Kind.TEXT, f"a char[{length}]", size=size, length=length)
    element = field_type(found._type_)
    stated = f"an array of {length} items, each {element.stated}"
    if element.kind is not Kind.NUMBER:
        return FieldType(Kind.ARRAY, stated, size=size, length=length)
    octets = ctypes.sizeof(found._type_) == 1
    return FieldType(Kind.OCTETS if octets else Kind.NUMBERS, stated, size=size, length=length)


def _struct(found: Any) -> FieldType:
    fields: dict[str, FieldType] = {}
    hidden = tuple(getattr(found, "_anonymous_", ()))
    for name, kind, *bits in getattr(found, "_fields_", ()):
        inner = field_type(kind, name, *bits)
        fields |= inner.fields if name in hidden else {name: inner}
    fields = {name: inner for name, inner in fields.items() if not name.startswith("__pad")}
    what = "a union" if issubclass(found, ctypes.Union) else "a struct"
    return FieldType(Kind.STRUCT, what, size=ctypes.sizeof(found), fields=fields)


def argument_types(script: str) -> Callable[[str], FieldType]:
    """Return a function from a field of a script's `args` to its type, which may be UNKNOWN."""
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
