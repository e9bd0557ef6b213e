"""Values of 10^5 to 10^6 parts, in the place of each value of a YAML file in turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MANY = 100_000
_MARK = "the value at this place"


class Raw(str):
    """YAML as it is to be written, not a value to be quoted."""

    __slots__ = ()


# Within the bounds of a file, so that they reach its reader: for each place. Of entries ten times
# as many as a list may have: PyYAML takes 50 us for each.
FLOODS = (
    Raw(f'"{"x" * _MANY}"'),
    Raw(f"[{'x,' * 2000}]"),
    Raw(f"{{{','.join(f'k{i}: v' for i in range(1001))}}}"),
)
# Texts that are cut short before a reader sees them.
CUT_SHORT = (
    Raw("x" * 2 * _MANY),
    Raw(f"[{'1,' * _MANY}]"),
    Raw(f"[{'{},' * 4000}]"),
    Raw(f"{{{','.join(f'k{i}: ' for i in range(_MANY // 5))}}}"),
    Raw("9" * 2 * _MANY),
    Raw(f"0x{'f' * 2 * _MANY}"),
    Raw(f"1.{'0' * 2 * _MANY}e9"),
    Raw(f"1{':30' * (_MANY // 2)}"),
    Raw("[" * 2 * _MANY),
    Raw("{" * 2 * _MANY),
    Raw("? " * _MANY),
    Raw("{[a]: " * (_MANY // 3)),
    Raw(f"{'[' * 30}{'x,' * 9000}{']' * 30}"),
    Raw(f"!{'x' * 2 * _MANY} x"),
    Raw(f'"{chr(92)}0{"y" * _MANY}"'),
    Raw(f"&a [{'*a,' * (_MANY // 2)}]"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value, the whole one's first."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], flood: Raw) -> str:
    """Write the value as YAML, with the flood at that place."""
    return json.dumps(_put(value, path)).replace(json.dumps(_MARK), flood)


def put_key(value: Any, path: tuple[Any, ...], flood: Raw) -> str:
    """Write the value as YAML, with the flood in place of the path's last key."""
    return json.dumps(_put_key(value, path)).replace(json.dumps(_MARK), flood)


def _put_key(value: Any, path: tuple[Any, ...]) -> Any:
    if len(path) == 1:
        return {_MARK if key == path[0] else key: inner for key, inner in value.items()}
    changed = value.copy()
    changed[path[0]] = _put_key(value[path[0]], path[1:])
    return changed


def _put(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return _MARK
    changed = value.copy()
    changed[path[0]] = _put(value[path[0]], path[1:])
    return changed
