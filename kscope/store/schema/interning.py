"""Text that repeats is stored once: its hash, and a cache of the stored texts."""

import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from kscope.declare.types.base import Storage
from kscope.generate.dialects import DIALECTS
from kscope.generate.tables import Schema
from kscope.store.backends.base import Session

Key = TypeVar("Key")
Value = TypeVar("Value")


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b as the signed integer that every database can hold."""
    return text_hashes([text])[0]


def text_hashes(texts: Sequence[str]) -> Sequence[int]:
    digests = [blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return struct.unpack(f">{len(digests)}q", b"".join(digests))


def turned_round(stack: str) -> str:
    """Return a folded stack with its frames in the opposite order."""
    return ";".join(reversed(stack.split(";")))


def today() -> int:
    """Return the days since 1970, in which the last use of a text is stored."""
    return int(time.time() // 86400)


@dataclass(frozen=True)
class TextKind:
    """A kind of texts, and its table, where `key` has the hashes and `text` the texts.

    `hash` returns that of a value as rows have it before they are stored.
    """

    storage: Storage
    table: str
    key: str
    text: str
    hash: Callable[[Any], int]


# The value of a stack is the hash of its text.
STACKS = TextKind(Storage.STACK_ID, "kscope_stack", "id", "frames", int)
STRINGS = TextKind(Storage.STRING_ID, "kscope_string", "hash", "text", text_hash)


async def store_texts(
    session: Session, schema: Schema, kind: TextKind, texts: Mapping[int, str], days: Sequence[int]
) -> Mapping[int, int]:
    """Store texts by their hashes as used until these days; return hash -> number."""
    table = schema.metadata.tables[kind.table]
    key, number = table.c[kind.key], table.c.id
    columns = {kind.key: [*texts], "day": days, kind.text: [*texts.values()]}
    await session.insert(table, columns, {"day": "max"})
    if key is number or DIALECTS[session.dialect.name].texts_by_hash:
        return {each: each for each in texts}
    found = await session.look_up(key, [key, number], [*texts])
    return {int(each): int(row) for each, row in found}


class Known(Generic[Key, Value]):
    """A bounded map of what is committed; at its limit the older half is dropped.

    Add entries after their transaction commits. Ids from a transaction that was rolled back must
    not be added. `weigh` returns the share of the limit that a value uses; without it, one.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._half = limit // 2
        self._weigh = weigh
        self._weight = 0
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def find(self, keys: Iterable[Key]) -> dict[Key, Value]:
        young, old = self._young, self._old
        wanted = keys if isinstance(keys, list | dict) else list(keys)
        # The fastest way: most keys of most bodies are there.
        values = map(young.get, wanted)
        found = {key: value for key, value in zip(wanted, values, strict=True) if value is not None}
        if old and len(found) < len(wanted):
            aged = {key: old[key] for key in wanted if key in old and key not in found}
            self.add(aged)
            found |= aged
        return found

    def add(self, entries: Mapping[Key, Value]) -> None:
        for key, value in entries.items():
            self._remember(key, value)

    def __len__(self) -> int:
        return len(self._young | self._old)

    def _remember(self, key: Key, value: Value) -> None:
        weight = 0 if key in self._young else self._weigh(value)
        if self._weight + weight > self._half:
            self._young, self._old, self._weight = {}, self._young, 0
        self._young[key] = value
        self._weight += weight
