"""The processes and threads of a trace, by numbers that each belong to one of them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Above every pid of Linux.
_FREE = 1 << 23
# Slices that overlap and are not within each other need several tracks of a thread; with more than
# so many, they share the last.
_MOST_LANES = 64


@dataclass(frozen=True, slots=True)
class Track:
    """A thread of a host's process; `tid` 0 is not known, nor is `pid` 0."""

    host: str
    process: str
    pid: int
    tid: int

    @property
    def owner(self) -> "Track":
        """The process: one that executes another program keeps its pid."""
        return Track(self.host, "" if self.pid else self.process, self.pid, 0)


@dataclass(slots=True)
class Tracks:
    """Places events, which come in the order of their starts.

    Pids and tids are those of the rows, but two hosts may have the same, and some rows have none:
    the later ones get others.
    """

    _pids: dict[Track, int] = field(default_factory=dict)
    _tids: dict[tuple[Track, int, int], int] = field(default_factory=dict)
    _names: dict[Track, str] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _lanes: defaultdict[tuple[Track, int], list[list[int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def place(self, track: Track, start: int, length: int | None) -> tuple[int, int]:
        """Return the pid and the tid of an event."""
        owner = track.owner
        if owner not in self._pids:
            self._pids[owner] = self._number(track.pid)
        self._names[owner] = track.process
        pid = self._pids[owner]
        lane = 0 if length is None else self._lane((owner, track.tid), start, start + length)
        key = owner, track.tid, lane
        if key not in self._tids:
            main = lane == 0 and track.tid in (0, track.pid)
            self._tids[key] = pid if main else self._number(0 if lane else track.tid)
        return pid, self._tids[key]

    def named(self) -> Iterator[dict[str, Any]]:
        """Yield the fields of the events that name processes, hosts and threads."""
        for owner, pid in self._pids.items():
            here = {"pid": pid, "tid": pid}
            yield here | {"name": "process_name", "args": {"name": self._names[owner] or "?"}}
            yield here | {"name": "process_labels", "args": {"labels": owner.host}}
        for (owner, tid, lane), number in self._tids.items():
            thread = self._names[owner] + (f" {tid}" if tid else "")
            name = f"{thread} ({lane + 1})" if lane else thread
            here = {"pid": self._pids[owner], "tid": number}
            yield here | {"name": "thread_name", "args": {"name": name or "?"}}

    def _number(self, wanted: int) -> int:
        """Return this number, or another one if it is taken or no number of Linux."""
        free = 0 < wanted < _FREE and wanted not in self._taken
        number = wanted if free else _FREE + len(self._taken)
        self._taken.add(number)
        return number

    def _lane(self, thread: tuple[Track, int], start: int, end: int) -> int:
        """Return the first lane whose open slices end before this one begins, or after it ends."""
        lanes = self._lanes[thread]
        for lane, ends in enumerate(lanes):
            while ends and ends[-1] <= start:
                ends.pop()
            if not ends or end <= ends[-1]:
                ends.append(end)
                return lane
        if len(lanes) < _MOST_LANES:
            lanes.append([end])
        return len(lanes) - 1
