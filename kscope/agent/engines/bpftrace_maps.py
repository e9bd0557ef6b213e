"""What bpftrace prints of a map, and a script with its constants put in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kscope.agent.engines.symbols import UNKNOWN, without_own
from kscope.agent.rows.convert import frame_text
from kscope.declare.files.bpftrace_script import with_names
from kscope.declare.types.kernel import Kind
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.declare.types.kernel import FieldType

Value = Any
_LINES = r"\n(?:[ \t]+.*\n)*"
_PRINTED = {
    Kind.NUMBER: r"-?\d+|0x[0-9a-fA-F]+",
    Kind.ADDRESS: r"[0-9a-fA-F.:]+",
    Kind.KERNEL_STACK: _LINES,
    Kind.USER_STACK: _LINES,
}
_LAST_SLOT = 31
_OFFSET = re.compile(r"\+(0x)?[0-9a-f]+$")


def key_pattern(types: Sequence[FieldType]) -> re.Pattern[str]:
    """Return what takes a printed key apart: parts are joined by commas, a stack is lines.

    A name can hold commas too. A key of several names with commas in them is ambiguous: the first
    name takes all that it can.
    """
    return re.compile(",".join(f"({_PRINTED.get(each.kind, '(?s:.*)')})" for each in types))


def stack_frames(printed: str, suffix: str) -> list[str]:
    """Leaf first, without offsets; an address that has no name is unknown."""
    names = [_OFFSET.sub("", line.strip()) for line in printed.splitlines() if line.strip()]
    if suffix:
        names = without_own(names)
    return [(UNKNOWN if name.startswith("0x") else frame_text(name)) + suffix for name in names]


def difference(now: Value, before: Value | None) -> Value:
    """What was added to a count, to statistics or to a histogram; falsy if nothing was.

    A histogram becomes counts by power of two, {"slots": [...]}; its slots below 1 join slot 0.
    """
    if isinstance(now, list):
        slots = [a - b for a, b in zip(_slots(now), _slots(before or []), strict=True)]
        return {"slots": slots} if any(slots) else None
    if isinstance(now, dict):
        old = before or {}
        added = {name: now[name] - old.get(name, 0) for name in ("count", "total") if name in now}
        return added if added.get("count") else None
    return now - (before or 0)


def _slots(buckets: list[dict[str, int]]) -> list[int]:
    slots = [0] * 64
    for bucket in buckets:
        slots[_slot(bucket)] += bucket["count"]
    return slots


def _slot(bucket: dict[str, int]) -> int:
    """The slot of values below 0, which have no least, is 0. bpftrace's last bucket is that from
    2^31 on, a number that it prints as a negative one.
    """
    least = int(bucket.get("min", 0))
    return _LAST_SLOT if least < 0 else max(0, least.bit_length() - 1)


def with_constants(script: str, constants: dict[str, Any], where: str) -> str:
    """Constants are put in by name, all at once; bpftrace's own parameters are only numbered."""
    return with_names(script, lambda name: _literal(constants[name], name, where), constants)


def _literal(value: Any, name: str, where: str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if int(value) != value:
        raise KscopeError(f"{where}: {name}: bpftrace knows whole numbers only, not {value}")
    return str(int(value))
