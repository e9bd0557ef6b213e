"""The options of every probe: how much its maps hold."""

from __future__ import annotations

from dataclasses import replace

from kscope.declare.model import Option
from kscope.declare.types import TYPES

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


def sizes(engine: str, *, has_stack: bool) -> tuple[Option, ...]:
    """bpftrace has stack maps too, and sizes them itself; it prints its maps whole."""
    if engine != "bcc":
        return (replace(KEYS, most=_MOST_PRINTED),)
    return (KEYS, STACKS, DEPTH) if has_stack else (KEYS,)
