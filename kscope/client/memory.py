"""Batches in memory until the server has them: bounded, for a process without a spool."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.client.table_queues import TableQueues

if TYPE_CHECKING:
    from collections.abc import Callable

    from kscope.client.payload import Payload


@dataclass(frozen=True, slots=True)
class Held:
    """One waiting batch."""

    number: int
    made: Payload
    place: str = ""

    @property
    def table(self) -> str:
        return self.made.table

    @property
    def rows(self) -> int:
        return self.made.rows

    @property
    def size(self) -> int:
        return len(self.made.body)

    def batch(self) -> Payload:
        return self.made


class Memory:
    """Used from any thread. `refused` gets the rows that the server will never take, and why."""

    def __init__(self, refused: Callable[[Payload, str], None]) -> None:
        self._refused = refused
        self._lock = threading.Lock()
        self._waiting: TableQueues[Held] = TableQueues()
        self._next = 0

    @property
    def rows(self) -> int:
        return self._waiting.rows

    @property
    def size(self) -> int:
        """Bytes that wait, compressed."""
        return self._waiting.size

    def put(self, batch: Payload) -> bool:
        with self._lock:
            self._add(batch)
        return True

    def oldest(self, without: frozenset[str] = frozenset()) -> Held | None:
        with self._lock:
            return self._waiting.first(without)

    def done(self, entry: Held) -> None:
        with self._lock:
            self._waiting.remove(entry)

    drop = done

    def refuse(self, entry: Held, status: int, reason: str) -> None:
        del status
        self.done(entry)
        self._refused(entry.made, reason)

    def part(
        self, entry: Held, good: tuple[Payload, ...], bad: Payload | None, status: int, reason: str
    ) -> bool:
        del status
        with self._lock:
            self._waiting.remove(entry)
            for batch in good:
                self._add(batch)
        if bad is not None:
            self._refused(bad, reason)
        return True

    def _add(self, batch: Payload) -> None:
        self._waiting.add(Held(self._next, batch))
        self._next += 1
