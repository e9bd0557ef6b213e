"""Text that repeats is stored once: its hash, and what is known to be stored."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Key = TypeVar("Key")
Value = TypeVar("Value")


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b as the signed integer that every engine can hold."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


class Known(Generic[Key, Value]):
    """A bounded map of what is committed; at its limit the older half is forgotten.

    Entries come in only after a commit: what a rolled-back transaction numbered was never here.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def find(self, keys: Iterable[Key]) -> dict[Key, Value]:
        found = {}
        for key in keys:
            if key in self._young:
                found[key] = self._young[key]
            elif key in self._old:
                found[key] = self._old[key]
                self._remember(key, self._old[key])
        return found

    def add(self, entries: Mapping[Key, Value]) -> None:
        for key, value in entries.items():
            self._remember(key, value)

    def clear(self) -> None:
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young | self._old)

    def _remember(self, key: Key, value: Value) -> None:
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young
        self._young[key] = value
