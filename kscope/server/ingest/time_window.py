"""The times of rows that are taken in, and rows that their category's retention soon removes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from kscope.config import AcceptSettings
from kscope.declare.model import Category
from kscope.declare.units import duration
from kscope.query.parse.timerange import SECOND, iso
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.array_kinds import Path
from kscope.server.ingest.coding import CHUNK, chunks
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.row_faults import MAX_FAULTS, Faults
from kscope.store.backends.coded import distinct
from kscope.store.write.batch import Old

_UNITS = {86400: "days", 3600: "hours", 60: "minutes"}
# Before all times that a text can say, and after them, in microseconds.
_NEVER = 1 << 62


@dataclass
class OutsideWindow(HttpProblem):
    """Rows whose time is not taken in; `ahead` if some are ahead of the server's clock."""

    reason: ClassVar[str] = "time"
    ahead: bool = False


@dataclass(frozen=True)
class TimeWindow:
    """The times that are taken in at `now` (us): all, unless `accept` has bounds."""

    now: int
    accept: AcceptSettings = field(default_factory=lambda: AcceptSettings(None, None))

    def check_body(self, moment: int) -> None:
        """Raise OutsideWindow for the time of a body whose rows do not all have one."""
        if fault := self._fault(moment):
            raise self._problem([(["time"], moment, fault)])

    def check(self, times: Sequence[int], place: Callable[[int], Path]) -> Steps[int]:
        """Return the least of the rows' times, in microseconds.

        Raise OutsideWindow if some are not taken in; `place` returns where in the body a row's is.
        """
        if not len(times):
            return self.now
        oldest, newest = yield from _extremes(times)
        if self._fault(oldest) or self._fault(newest):
            yield Lane.DOUBT
            first, last = self._bounds
            wrong = ((row, time) for row, time in enumerate(times) if not first <= time <= last)
            listed = islice(wrong, MAX_FAULTS + 1)
            raise self._problem([(place(row), time, self._fault(time)) for row, time in listed])
        return oldest

    def old(self, category: Category, times: Sequence[int], oldest: int) -> Steps[Old | None]:
        """Return how many rows are older than the category keeps them; None if none are."""
        kept = category.retention
        if kept is None or oldest >= (before := self.now - kept * SECOND):
            return None
        rows = 0
        for part in chunks(times):
            rows += sum(map(before.__gt__, part))
            if len(part) == CHUNK:
                yield Lane.GOOD
        return Old(rows, kept)

    @property
    def _bounds(self) -> tuple[int, int]:
        oldest, newest = self.accept.oldest, self.accept.newest
        first = -_NEVER if oldest is None else self.now - round(oldest * SECOND)
        return first, _NEVER if newest is None else self.now + round(newest * SECOND)

    def _fault(self, time: int) -> str:
        """Return the reason for which a time is not taken in, or an empty text."""
        first, last = self._bounds
        if time > last:
            length, bound = _length(time - self.now), self.accept.newest or 0.0
            return (
                f"is {length} ahead of the server's clock, more than the {_bound(bound)} of"
                " `accept.newest` in the server's kernelscope.yaml: is the sender's clock right?"
            )
        if time < first:
            length, bound = _length(self.now - time), self.accept.oldest or 0.0
            return (
                f"is {length} old, more than the {_bound(bound)} of `accept.oldest` in the"
                " server's kernelscope.yaml"
            )
        return ""

    def _problem(self, wrong: Sequence[tuple[Path, int, str]]) -> OutsideWindow:
        faults = Faults()
        for path, time, fault in wrong:
            faults.add(path, f"{iso(time)} {fault}")
        found = faults.problem()
        ahead = any(time > self._bounds[1] for _, time, _ in wrong)
        return OutsideWindow(found.status, found.detail, found.faults, ahead=ahead)


def sentence(table: str, old: Old) -> str:
    """Return what a sender of old rows has to know."""
    rows = "1 row is" if old.rows == 1 else f"{old.rows} rows are"
    kept = _length(old.kept * SECOND)
    return f"{table} keeps rows for {kept}: {rows} older, and the next removal by age takes them"


def _extremes(times: Sequence[int]) -> Steps[tuple[int, int]]:
    """Return the least and the greatest."""
    least: list[int] = []
    most: list[int] = []
    for part in chunks(distinct(times)):
        least.append(min(part))
        most.append(max(part))
        if len(part) == CHUNK:
            yield Lane.GOOD
    return min(least), max(most)


def _bound(seconds: float) -> str:
    return duration(int(seconds)) if seconds.is_integer() else f"{seconds:g}s"


def _length(microseconds: int) -> str:
    """Return a length of time in the largest unit that it has two of."""
    seconds = microseconds // SECOND
    for size, name in _UNITS.items():
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"
