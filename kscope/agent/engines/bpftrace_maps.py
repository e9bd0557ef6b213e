"""Read the maps that bpftrace prints, and insert constants into a script."""

import re
from collections.abc import Sequence
from typing import Any

from kscope.client.frames import UNKNOWN, frame_text, without_own
from kscope.declare.files.bpftrace_script import with_names
from kscope.declare.types.kernel import FieldType, Kind
from kscope.errors import KscopeError

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
    """Return a pattern of a printed key: commas separate its parts, a stack is lines.

    A name can contain commas. A key of several such names is ambiguous: the first name takes as
    much as possible.
    """
    return re.compile(",".join(f"({_PRINTED.get(each.kind, '(?s:.*)')})" for each in types))


def stack_frames(printed: str, suffix: str) -> list[str]:
    """Return the names, leaf first, without offsets; an address without a name is unknown."""
    names = [_OFFSET.sub("", line.strip()) for line in printed.splitlines() if line.strip()]
    if suffix:
        names = without_own(names)
    return [(UNKNOWN if name.startswith("0x") else frame_text(name)) + suffix for name in names]


def difference(now: Value, before: Value | None) -> Value:
    """Return the amount added to a count, to statistics or to a histogram; falsy if none.

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
    """Return the slot; 0 for values below 0, which do not have a `min`.

    bpftrace prints the `min` of its last bucket, 2^31, as a negative number.
    """
    least = int(bucket.get("min", 0))
    return _LAST_SLOT if least < 0 else max(0, least.bit_length() - 1)


def with_constants(script: str, constants: dict[str, Any], where: str) -> str:
    """Return the script with its constants; bpftrace itself has only numbered parameters."""
    return with_names(script, lambda name: _literal(constants[name], name, where), constants)


def _literal(value: Any, name: str, where: str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if int(value) != value:
        raise KscopeError(f"{where}: {name}: bpftrace takes only whole numbers, not {value}")
    return str(int(value))
