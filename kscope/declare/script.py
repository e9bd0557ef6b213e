"""What a bpftrace script says of its maps."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What adds up from one print to the next, so that the difference is the interval's.
_SUMS = frozenset({"count", "sum", "stats", "hist", "lhist"})
_FILLED = re.compile(r"@\w+(?=(?:\[[^\n]*?\])?\s*(?:\+\+|\+=|=[^=]))")
# What is of all the time since the script began, and of no interval.
_OF_ALL_TIME = frozenset({"min", "max", "avg"})


@dataclass(frozen=True, slots=True)
class ScriptMap:
    """`key` holds the parts of the key as the script has them; none for a map without a key.

    `sums`: each print holds all that was before it; otherwise it is what the map says now.
    """

    name: str
    key: tuple[str, ...]
    sums: bool

    def key_problem(self, path: str) -> str:
        """Tell what is wrong with a path such as key.1 as a source, if anything."""
        part, _, number = path.partition(".")
        if part != "key" or not number or (number.isdigit() and int(number) < len(self.key)):
            return ""
        last = f"the last part of {self.name}'s key is key.{len(self.key) - 1}"
        return f"there is no '{path}': {last if self.key else f'{self.name} has no key'}"

    def is_kernel_stack(self, part: int) -> bool:
        return part < len(self.key) and self.key[part].startswith("kstack")


def script_map(script: str, name: str) -> ScriptMap:
    """The map as the script fills it; ValueError where rows cannot be made of that."""
    name = f"@{name.removeprefix('@')}"
    for found in re.finditer(rf"{re.escape(name)}\b", script):
        key, end = _key(script, found.end())
        if function := re.match(r"\s*=\s*(\w+)\s*\(", script[end:]):
            if function[1] in _OF_ALL_TIME:
                raise ValueError(
                    f"{name} is made by {function[1]}(), which knows no intervals: use "
                    "count(), sum(), hist(), or stats() with value.count and value.total"
                )
            return ScriptMap(name, key, sums=function[1] in _SUMS)
        if re.match(r"\s*(\+\+|\+=)", script[end:]):
            return ScriptMap(name, key, sums=True)
        if re.match(r"\s*=[^=]", script[end:]):
            return ScriptMap(name, key, sums=False)
    filled = ", ".join(dict.fromkeys(_FILLED.findall(script)))
    raise ValueError(f"the script fills no map {name}. It fills: {filled or 'none'}")


def _key(script: str, at: int) -> tuple[tuple[str, ...], int]:
    """The parts of the key that begins there, if one does, and where it ends."""
    if script[at : at + 1] != "[":
        return (), at
    parts, depth, begin = [], 0, at + 1
    for i in range(at, len(script)):
        depth += (script[i] in "[(") - (script[i] in "])")
        if depth == 0 or (depth == 1 and script[i] == ","):
            parts.append(script[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return tuple(parts), i + 1
    return tuple(parts), len(script)
