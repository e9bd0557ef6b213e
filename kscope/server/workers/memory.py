"""Memory that the processes of a server share: their parts of what is bounded for all together.

A file without a name that each process maps. Each has its own word in a row, which it alone writes
while it lives; the parent clears the words of a worker that has ended.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b

from kscope.config import MOST_WORKERS
from kscope.server.http.connections import LISTENERS
from kscope.server.http.crowd import AWAY, Crowd
from kscope.server.http.memory_budget import Words
from kscope.store.write.cardinality import MAX_HOSTS

_WORD = 8
_ROWS = 1 + len(LISTENERS)
_ROW_BYTES = -(-_ROWS * MOST_WORKERS * _WORD // mmap.PAGESIZE) * mmap.PAGESIZE
# Twice as many places as hosts and more, so that a free one is near.
_PLACES = 1 << 18
_TRIES = 64
_TABLE_BYTES = mmap.PAGESIZE + _PLACES * 2 * _WORD
TABLES = 2
_SIZE = _ROW_BYTES + TABLES * _TABLE_BYTES


class SharedMemory:
    """The memory behind a file, which `made` makes and workers inherit."""

    def __init__(self, file: int, workers: int) -> None:
        self.file = file
        self._workers = workers
        self._map = mmap.mmap(file, _SIZE)
        self._words = memoryview(self._map).cast("Q")

    def used(self) -> Words:
        """Return the bytes of bodies that each worker holds."""
        return self._row(0)

    def connections(self, listener: int) -> Words:
        """Return the open connections of each worker."""
        return self._row(1 + listener)

    def crowds(self, place: int) -> tuple[Crowd, ...]:
        return tuple(Crowd(self.connections(n), place) for n in range(len(LISTENERS)))

    def clear(self, place: int) -> None:
        """Forget a worker that is not running."""
        self.used()[place] = 0
        for listener in range(len(LISTENERS)):
            self.connections(listener)[place] = AWAY

    def table(self, number: int, key: bytes) -> "Table":
        """Return one of the tables; its hashes depend on `key`, which senders do not know."""
        return Table(self.file, self._map, _ROW_BYTES + number * _TABLE_BYTES, key)

    def _row(self, number: int) -> Words:
        start = number * MOST_WORKERS
        return self._words[start : start + self._workers]


@contextmanager
def made(workers: int) -> Iterator[SharedMemory]:
    file = os.memfd_create("kscope")
    try:
        os.ftruncate(file, _SIZE)
        memory = SharedMemory(file, workers)
        for place in range(workers):
            memory.clear(place)
        yield memory
    finally:
        os.close(file)


# Words of a table's first page.
_PERIOD, _HOSTS, _OTHERS = range(3)
# The key of all hosts that have no place.
OTHERS = 0


class Table:
    """Counts of hosts in a period, in open addressing: a word for the key, one for its count.

    Writers hold a lock of the file, which the kernel takes from a process that ends.
    """

    def __init__(self, file: int, mapped: mmap.mmap, start: int, key: bytes) -> None:
        self._file = file
        self._mapped = mapped
        self._start = start
        self._key = key
        self._words = memoryview(mapped)[start : start + _TABLE_BYTES].cast("Q")

    def begin(self, period: int) -> None:
        """Forget the counts of earlier periods."""
        if self._words[_PERIOD] < period:
            with self._locked():
                if self._words[_PERIOD] < period:
                    # The pages are given back, and read as zeros.
                    self._mapped.madvise(mmap.MADV_REMOVE, self._start, _TABLE_BYTES)
                    self._words[_PERIOD] = period

    def __len__(self) -> int:
        return self._words[_HOSTS]

    def key_of(self, host: str) -> int:
        """Return the key of a host; OTHERS if there is no room for one more."""
        digest = blake2b(host.encode(), digest_size=_WORD, key=self._key).digest()
        key = int.from_bytes(digest) or 1
        place = self._place(key)
        if place is None or (not self._words[place] and len(self) >= MAX_HOSTS):
            return OTHERS
        return key

    def count(self, key: int) -> int:
        place = self._place(key)
        return 0 if place is None else self._words[place + 1]

    def add(self, counts: Mapping[int, int]) -> None:
        with self._locked():
            for key, count in counts.items():
                self._add(key, count)

    def _add(self, key: int, count: int) -> None:
        place = self._place(key)
        if place is None:  # others have taken the places since
            place = _OTHERS
        elif key != OTHERS and not self._words[place]:
            self._words[place] = key
            self._words[_HOSTS] += 1
        self._words[place + 1] += count

    def _place(self, key: int) -> int | None:
        """Return the word of the key, or the free one for it."""
        if key == OTHERS:
            return _OTHERS
        first = mmap.PAGESIZE // _WORD
        for attempt in range(_TRIES):
            place = first + (key + attempt) % _PLACES * 2
            if self._words[place] in (key, 0):
                return place
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._start)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._start)
