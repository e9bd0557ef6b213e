"""A range of time as steps of one length, aligned so that the same question later has the same."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import sqlalchemy as sa

from kscope.generate.expressions import whole_divide
from kscope.query.parse.timerange import SECOND, TimeRange
from kscope.store.sums.planner import Segment

_DAY = 86400
_LENGTHS = tuple(
    seconds * SECOND
    for seconds in (
        *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
        *(3600, 7200, 10800, 21600, 43200, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY),
        *(91 * _DAY, 364 * _DAY),
    )
)


@dataclass(frozen=True, slots=True)
class Steps:
    """In microseconds; step i begins at `origin + i * length`."""

    origin: int
    length: int
    count: int

    @property
    def times(self) -> list[int]:
        return [self.origin + i * self.length for i in range(self.count)]

    def seconds(self, span: TimeRange) -> list[float]:
        """Return the seconds of each step that lie in the range: the first and the last may be
        cut short by it.
        """
        return [
            max(0, min(time + self.length, span.end) - max(time, span.start)) / SECOND
            for time in self.times
        ]

    def of(self, segment: Segment) -> sa.ColumnElement[int]:
        """Number a row's step."""
        return whole_divide(segment.table.c.time - sa.literal(self.origin), self.length)


def step_length(span: TimeRange, points: int) -> int:
    """The length that cuts the range into at most `points`."""
    return usual_length(-(-(span.end - span.start) // points))


def usual_length(least: int) -> int:
    """Return the shortest usual step that is not shorter (us)."""
    at = bisect_left(_LENGTHS, least)
    return _LENGTHS[at] if at < len(_LENGTHS) else -(-least // _LENGTHS[-1]) * _LENGTHS[-1]


def step_below(length: int) -> int:
    """Return the longest usual step that is not longer (us); `length` itself if it is shorter."""
    at = bisect_right(_LENGTHS, length)
    return _LENGTHS[at - 1] if at else length


def steps(span: TimeRange, length: int) -> Steps:
    """Begin at a multiple of the length: one more than the range holds where it begins inside."""
    origin = span.start // length * length
    count = max(0, -(-(span.end - origin) // length))
    return Steps(origin, length, count)
