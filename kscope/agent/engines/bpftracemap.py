"""What bpftrace prints of a map, and a script with its constants put in."""

from __future__ import annotations

import re
from typing import Any

from kscope.agent.engines.symbols import UNKNOWN, without_own
from kscope.agent.rows import frame_text
from kscope.errors import KscopeError

Value = Any
_STACK = re.compile(r"\n(?:[ \t]+.*\n)*")
_OFFSET = re.compile(r"\+(0x)?[0-9a-f]+$")


def key_fields(key: str, count: int) -> list[str]:
    """Take a printed key apart: parts are joined by commas, a stack is lines in line feeds.

    A name may hold commas too; what is too many is taken to be the first part's.
    """
    parts: list[str] = []
    at = 0
    while at <= len(key):
        stack = _STACK.match(key, at)
        end = stack.end() if stack else (key.find(",", at) if "," in key[at:] else len(key))
        parts.append(key[at:end])
        at = end + 1
    surplus = len(parts) - count
    if surplus > 0 and count:
        parts[: surplus + 1] = [",".join(parts[: surplus + 1])]
    return parts


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
        slots[max(0, int(bucket.get("min", 0)).bit_length() - 1)] += bucket["count"]
    return slots


def with_constants(script: str, constants: dict[str, Any], where: str) -> str:
    """Constants are put in by name, all at once; bpftrace's own parameters are only numbered."""
    if not constants:
        return script
    names = re.compile(rf"\b({'|'.join(map(re.escape, constants))})\b")
    return names.sub(lambda found: _literal(constants[found[0]], found[0], where), script)


def _literal(value: Any, name: str, where: str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if int(value) != value:
        raise KscopeError(f"{where}: {name}: bpftrace knows whole numbers only, not {value}")
    return str(int(value))
