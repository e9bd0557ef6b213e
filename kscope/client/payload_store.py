"""Payloads that wait for the server: what memory and the spool have in common, and memory."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import count
from typing import Generic, TypeVar

from kscope.client.answers import Answer
from kscope.client.payload import Payload, Spooled

Entry = TypeVar("Entry", Payload, Spooled)


class PayloadStore(ABC, Generic[Entry]):
    """Waiting payloads, oldest first, in one queue per table: every step takes constant time. Used
    from any thread.

    `count`, `rows` and `size` (compressed bytes) are sums over all entries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, OrderedDict[int, Entry]] = {}
        self.count = self.rows = self.size = 0

    def put(self, payload: Payload) -> bool:
        """Keep the payload. False if the disk does not take it."""
        with self._lock:
            self._make_room(payload.size)
            try:
                self._add(payload)
            except OSError:
                return False
        return True

    def oldest(self, without: Collection[str] = ()) -> Entry | None:
        """Return the entry that arrived first, of tables that are not in `without`."""
        with self._lock:
            self._drop_expired()
            return self._first(without)

    def done(self, entry: Entry) -> None:
        """Remove an entry that the server has stored."""
        with self._lock:
            self._forget(entry)

    def drop(self, entry: Entry) -> None:
        """Remove an entry that cannot be sent."""
        self.done(entry)

    @abstractmethod
    def refuse(self, entry: Entry, answer: Answer) -> None:
        """Remove an entry that the server will never store, and report it."""

    def part(
        self, entry: Entry, good: Collection[Payload], bad: Payload | None, answer: Answer
    ) -> bool:
        """Replace an entry by `good`, and set `bad` aside. False, without a change, if the disk
        does not take all of them.
        """
        with self._lock:
            added: list[Entry] = []
            try:
                for each in good:
                    added.append(self._add(each))  # noqa: PERF401 - it may raise in between
                if bad is not None:
                    self._set_aside(entry, bad, answer)
            except OSError:
                for new in added:
                    self._forget(new)
                return False
            self._forget(entry)
        return True

    def _make_room(self, size: int) -> None:
        """Drop payloads until `size` more bytes fit."""

    def _drop_expired(self) -> None:
        """Drop entries that are too old to be sent."""

    @abstractmethod
    def _keep(self, payload: Payload) -> Entry:
        """Return the entry of a new payload. Raises OSError."""

    @abstractmethod
    def _set_aside(self, entry: Entry, bad: Payload, answer: Answer) -> None:
        """Keep or report the refused part of an entry. Raises OSError."""

    def _fronts(self) -> list[Entry]:
        """Return the first entry of each queue."""
        return [next(iter(queue.values())) for queue in self._queues.values()]

    def _first(self, without: Collection[str] = ()) -> Entry | None:
        fronts = (entry for entry in self._fronts() if entry.table not in without)
        return min(fronts, key=lambda entry: entry.number, default=None)

    def _add(self, payload: Payload) -> Entry:
        entry = self._keep(payload)
        self._enqueue(entry)
        return entry

    def _enqueue(self, entry: Entry) -> None:
        self._queues.setdefault(entry.table, OrderedDict())[entry.number] = entry
        self._count(entry, 1)

    def _forget(self, entry: Entry) -> None:
        """Remove the entry, if it is there."""
        queue = self._queues.get(entry.table, OrderedDict())
        if queue.pop(entry.number, None) is not None:
            self._count(entry, -1)
            if not queue:
                del self._queues[entry.table]

    def _count(self, entry: Entry, by: int) -> None:
        self.count += by
        self.rows += by * entry.rows
        self.size += by * entry.size


class Memory(PayloadStore[Payload]):
    """Payloads of a process without a spool. `refused` is called with the rows that the server
    will never store, and the reason.
    """

    def __init__(self, refused: Callable[[Payload, str], None]) -> None:
        super().__init__()
        self._refused = refused
        self._numbers = count()

    def refuse(self, entry: Payload, answer: Answer) -> None:
        self.part(entry, (), entry, answer)

    def _set_aside(self, entry: Payload, bad: Payload, answer: Answer) -> None:  # noqa: ARG002
        self._refused(bad, answer.text)

    def _keep(self, payload: Payload) -> Payload:
        return replace(payload, number=next(self._numbers))
