"""Amounts: of bytes, as people write them, and of what a probe's maps hold."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from kscope.declare.model import Option
from kscope.declare.types import TYPES
from kscope.errors import ValueFaultError

_BYTES = {"": 1, "B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", 1)
    for ending, base in (("", 1024), ("iB", 1024), ("B", 1000))
}
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?(?:iB|B)?)", re.ASCII | re.IGNORECASE)
_NUMBER = TYPES["int"]
KEYS = Option(
    "keys", _NUMBER, 16384, "KS_KEYS", "how many keys each of the probe's maps holds",
    least=64, most=1 << 22,
)  # fmt: skip
STACKS = Option(
    "stacks", _NUMBER, 16384, "KS_STACKS", "how many stacks an interval may have",
    least=64, most=1 << 20,
)  # fmt: skip
# The most is the kernel's own default limit; maps are as large as the depth says.
DEPTH = Option(
    "depth", _NUMBER, 127, "KS_DEPTH", "how many frames of a stack are kept, leaf first",
    least=1, most=127,
)  # fmt: skip
_MOST_PRINTED = 1 << 17
NAMES = frozenset(option.name for option in (KEYS, STACKS, DEPTH))


def read_bytes(text: str, least: int = 1) -> int:
    """Turn `32MiB`, `32M` (the same), `32MB` or a number of bytes into bytes. Raises ValueError."""
    found = _AMOUNT.fullmatch(text.strip())
    unit = found[2].upper().replace("IB", "iB") if found else ""
    size = Fraction(found[1]) * _BYTES[unit] if found and unit in _BYTES else Fraction()
    if not found or size < least or size.denominator != 1:
        raise ValueFaultError(f"'{text[:60]}'", "is not a size such as 32MiB")
    return int(size)


def sizes(engine: str, *, has_stack: bool) -> tuple[Option, ...]:
    """bpftrace has stack maps too, and sizes them itself; it prints its maps whole."""
    if engine != "bcc":
        return (replace(KEYS, most=_MOST_PRINTED),)
    return (KEYS, STACKS, DEPTH) if has_stack else (KEYS,)
