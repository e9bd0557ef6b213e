"""From what a BPF map holds to a category's rows: pure, the same for every engine."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from kscope.declare.columns import Role
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kscope.agent.engines.base import Row
    from kscope.declare.model import Category, Column


# A C++ name may hold anything; these two would break the folded text.
_UNSAFE = re.compile(r"[;\r\n\0]")
MAX_STACK_TEXT = 60_000


def frame_text(name: str) -> str:
    return _UNSAFE.sub(lambda found: ":" if found[0] == ";" else " ", name)


def folded(frames: Sequence[str]) -> str:
    """Folded text of frames that come root first; what is too long is cut at the leaf end."""
    text = ";".join(frames)
    if len(text) > MAX_STACK_TEXT:
        text = text[:MAX_STACK_TEXT].rpartition(";")[0] + ";[truncated]"
    return text


def column_value(column: Column, raw: Any) -> Any:
    """What the wire wants for `column`, from a number, bytes or an array as ctypes gives them."""
    return _CONVERTERS.get(column.type.name, int)(raw)


def adds_up(category: Category) -> bool:
    """Whether two rows of one group may be written as one: every value of theirs is a sum."""
    values = category.with_role(Role.VALUE)
    return all(c.type.aggregate == "sum" for c in values) and bool(
        values or category.with_role(Role.HISTOGRAM)
    )


class Merged:
    """Rows that only differ in what adds up become one, in the order of their first.

    Two addresses in one function, or two threads of one process, are two keys in the kernel and
    one row to a reader.
    """

    def __init__(self, category: Category) -> None:
        self._values = [c.name for c in category.with_role(Role.VALUE, Role.HISTOGRAM)]
        self._rows: dict[tuple[Any, ...], Row] = {}

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            identity = tuple(value for name, value in row.items() if name not in self._values)
            first = self._rows.setdefault(identity, row)
            if first is not row:
                _add(first, row, self._values)

    def rows(self) -> list[Row]:
        return list(self._rows.values())


def merge(category: Category, rows: Iterable[Row]) -> list[Row]:
    if not adds_up(category):
        return list(rows)
    merged = Merged(category)
    merged.add(rows)
    return merged.rows()


def _add(total: Row, row: Row, values: Iterable[str]) -> None:
    for name in values:
        if name not in row:
            continue
        if isinstance(row[name], list):
            total[name] = add_slots(total[name], row[name])
        else:
            total[name] += row[name]


def add_slots(left: list[int], right: list[int]) -> list[int]:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    return [n + (shorter[i] if i < len(shorter) else 0) for i, n in enumerate(longer)]


def field_reader(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """Read `key.comm` from {"key": struct, "value": struct}; `value` alone is the whole value."""
    part, _, name = path.partition(".")

    def read(entry: Mapping[str, Any]) -> Any:
        holder = entry[part]
        if not name:
            return getattr(holder, "value", holder)
        return getattr(holder, name)

    return read


def check_field(path: str, parts: Mapping[str, type], where: str) -> None:
    """Raise KscopeError where the program's structs have no such field."""
    part, _, name = path.partition(".")
    if part not in parts:
        raise KscopeError(f"{where}: '{path}': it must start with one of {', '.join(parts)}")
    fields = [field[0] for field in getattr(parts[part], "_fields_", ())]
    if name and name not in fields:
        have = ", ".join(f for f in fields if not f.startswith("__pad")) or "no fields"
        raise KscopeError(f"{where}: '{path}': the program's {part} has {have}")


def _text(raw: Any) -> str:
    if isinstance(raw, bytes):
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    if hasattr(raw, "__len__") and not isinstance(raw, str):
        return _text(bytes(raw))
    return str(raw).replace("\0", "")


def _address(raw: Any) -> str:
    packed = raw.to_bytes(4, "little") if isinstance(raw, int) else bytes(raw)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _slots(raw: Any) -> list[int]:
    slots = [int(count) for count in raw]
    while slots and not slots[-1]:
        slots.pop()
    return slots


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "label": _text,
    "text": _text,
    "ip": _address,
    "bool": bool,
    "float": float,
    "histogram": _slots,
}
