"""Fields of a BPF program's structs: which of them fill a column, and how they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
    fields: "Mapping[str, FieldType]" = field(default_factory=dict, hash=False)

    def at(self, path: str) -> "FieldType | None":
        """Return the type of a field, given as `comm` or `inner.comm`; '' is the type itself."""
        found: FieldType | None = self
        for name in path.split(".") if path else ():
            found = found.fields.get(name) if found else None
        return found


@dataclass(frozen=True, slots=True)
class KernelField:
    """The fields that fill a column of some type.

    Each is of one of the `kinds`, which messages name as `expected`, and `fits`. `read` turns its
    number, bytes or array into the column's value, or raises UnfitError. `takes` is the result of
    `as`, `names` or `enum` that the type takes: text, or a number. A `u64` may be an address, which
    an `int` cannot hold.
    """

    kinds: frozenset[Kind]
    expected: str
    read: Callable[[Any], Any]
    fits: Callable[[FieldType], bool] = lambda _: True
    takes: str = ""
    refuses_u64: bool = False


class UnfitError(ValueError):
    """A value that a program recorded is of another kind than its column."""


def whole_number(raw: Any) -> int:
    """Return the number in a field: a C char is one, and bpftrace prints keys as text.

    Raises UnfitError.
    """
    if isinstance(raw, bytes):
        return int.from_bytes(raw[:1], "little", signed=True)
    if raw is None:  # a null pointer
        return 0
    try:
        return int(raw, 0) if isinstance(raw, str) else int(raw)
    except (TypeError, ValueError, OverflowError):
        raise UnfitError(f"{raw!r} is not a whole number") from None


def text_of(raw: Any) -> str:
    """Return the text in a field, up to its NUL character."""
    if isinstance(raw, bytes):
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    if hasattr(raw, "__len__") and not isinstance(raw, str):
        return text_of(bytes(raw))
    return str(raw).replace("\0", "")
