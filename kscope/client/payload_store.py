"""Payloads that wait for the server: what memory and the spool have in common."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from kscope.client.payload import Payload


class Queued(Protocol):
    """`number` counts arrivals, `size` is in bytes."""

    @property
    def table(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def size(self) -> int: ...


Entry = TypeVar("Entry", bound=Queued)


class TableQueues(Generic[Entry]):
    """One queue per table, in order of arrival. Every step takes constant time.

    `count`, `rows` and `size` (bytes) are sums over all entries.
    """

    def __init__(self) -> None:
        self.queues: dict[str, OrderedDict[int, Entry]] = {}
        self.count = self.rows = self.size = 0

    def add(self, entry: Entry) -> None:
        self.queues.setdefault(entry.table, OrderedDict())[entry.number] = entry
        self._count(entry, 1)

    def remove(self, entry: Entry) -> None:
        """Remove the entry, if it is there."""
        queue = self.queues.get(entry.table)
        if queue is None or queue.pop(entry.number, None) is None:
            return
        if not queue:
            del self.queues[entry.table]
        self._count(entry, -1)

    def fronts(self) -> list[Entry]:
        """Return the first entry of each queue."""
        return [next(iter(queue.values())) for queue in self.queues.values()]

    def first(self, without: Collection[str] = ()) -> Entry | None:
        """Return the entry that arrived first, of tables that are not in `without`."""
        fronts = (entry for entry in self.fronts() if entry.table not in without)
        return min(fronts, key=lambda entry: entry.number, default=None)

    def _count(self, entry: Entry, by: int) -> None:
        self.count += by
        self.rows += by * entry.rows
        self.size += by * entry.size


class PayloadStore(ABC, Generic[Entry]):
    """Waiting payloads, oldest first. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: TableQueues[Entry] = TableQueues()

    @property
    def rows(self) -> int:
        """The number of rows that wait."""
        return self._waiting.rows

    @property
    def size(self) -> int:
        """The compressed bytes that wait."""
        return self._waiting.size

    def put(self, payload: Payload) -> bool:
        """Keep the payload. False if the disk does not take it."""
        with self._lock:
            self._make_room(len(payload.body))
            try:
                self._add(payload)
            except OSError:
                return False
        return True

    def oldest(self, without: frozenset[str] = frozenset()) -> Entry | None:
        """Return the entry that arrived first, of tables that are not in `without`."""
        with self._lock:
            self._drop_expired()
            return self._waiting.first(without)

    def done(self, entry: Entry) -> None:
        """Remove an entry that the server has stored."""
        with self._lock:
            self._forget(entry)

    def drop(self, entry: Entry) -> None:
        """Remove an entry that cannot be sent."""
        self.done(entry)

    @abstractmethod
    def read(self, entry: Entry) -> Payload:
        """Return the entry's payload. Raises OSError."""

    @abstractmethod
    def refuse(self, entry: Entry, status: int, reason: str) -> None:
        """Remove an entry that the server will never store, and report it."""

    def part(
        self,
        entry: Entry,
        good: Collection[Payload],
        bad: Payload | None,
        status: int,
        reason: str,
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
                    self._set_aside(entry, bad, status, reason)
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
    def _add(self, payload: Payload) -> Entry:
        """Return the new entry. Raises OSError."""

    @abstractmethod
    def _set_aside(self, entry: Entry, bad: Payload, status: int, reason: str) -> None:
        """Keep or report the refused part of an entry. Raises OSError."""

    def _forget(self, entry: Entry) -> None:
        self._waiting.remove(entry)
