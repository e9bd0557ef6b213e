"""Time, as copying divides it: slots in which rows are counted, and the levels that hold it.

A time whose rows still exist is copied as rows, and the target sums them. An older time is copied
as the sums of the finest level that still has it; the target sums coarser levels from those.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kscope.declare.model import Category
from kscope.store.schema.progress import SECOND, Progress
from kscope.store.sums.grouping import sources

HOUR = 3600 * SECOND
# The progress of a level that nothing was removed from.
NEVER = Progress().removed
# The first time of a range, and the first one after it.
Span = tuple[int, int]
# Multiples of a level's bucket round it.
_LONG_AGO = NEVER // 2
END = 2**62


def was_removed(time: int) -> bool:
    """Return whether something was removed until this time of a level's progress."""
    return time > _LONG_AGO


@dataclass(frozen=True, slots=True)
class Slots:
    """Stretches of time of one `width` in microseconds, each named by the multiple of it that is
    nearer to 1970: databases round a division to zero.
    """

    width: int

    @classmethod
    def of(cls, category: Category) -> "Slots":
        """Return slots that make up an hour, and each bucket of the category."""
        seconds = math.gcd(3600, *(rollup.bucket for rollup in category.rollup))
        return cls(seconds * SECOND)

    def slot(self, time: int) -> int:
        rest = time % self.width if time >= 0 else -(-time % self.width)
        return time - rest

    def span(self, slot: int) -> Span:
        start = slot if slot > 0 else slot - self.width + 1
        return start, slot + self.width if slot >= 0 else slot + 1

    def stretches(self, slots: Iterable[int]) -> Iterator[Span]:
        """Yield what the slots make up, in the order of time: at most an hour each."""
        start = stop = None
        for first, after in map(self.span, sorted(slots)):
            if start is not None and stop == first and after - start <= HOUR:
                stop = after
                continue
            if start is not None and stop is not None:
                yield start, stop
            start, stop = first, after
        if start is not None and stop is not None:
            yield start, stop


@dataclass(frozen=True, slots=True)
class Division:
    """The times in which each level of a category is copied; 0 is the rows, which have no stop.

    Levels that are not in `spans` are not copied: the target sums them. `summed` has the time from
    which it does so, and `removed` the end of what no longer exists.
    """

    spans: Mapping[int, Span]
    summed: Mapping[int, int]
    removed: Mapping[int, int]

    @property
    def start(self) -> int:
        """Return the first time of rows."""
        return self.spans[0][0]


def division(category: Category, progress: Mapping[int, Progress]) -> Division:
    """Divide the time of a category by what its source still has.

    A level that is kept for a shorter time than the one that it is summed from is left out: the
    target can sum it. Each span starts with whole buckets of the levels that are summed from it.
    """
    sources_of = sources(category)
    removed = {each: progress.get(each, Progress()).removed for each in (0, *sources_of)}
    removed = {each: time if was_removed(time) else NEVER for each, time in removed.items()}
    finest = {0: 0}
    # Level -> the one that has its time instead; itself, if there is no better one.
    for bucket, source in sources_of.items():
        better = finest[source]
        finest[bucket] = better if removed[bucket] > removed[better] else bucket
    from_ = {bucket: finest[source] for bucket, source in sources_of.items()}
    starts = {}
    for bucket, time in removed.items():
        above = [each for each, source in from_.items() if source == bucket]
        width = math.lcm(*above, bucket or 1) * SECOND
        starts[bucket] = time if time == NEVER else -(-time // width) * width
    spans = {0: (starts[0] if sources_of else NEVER, END)}
    for bucket, source in from_.items():
        if finest[bucket] == bucket and starts[bucket] < starts[source]:
            spans[bucket] = starts[bucket], starts[source]
    summed = {0: NEVER, **{bucket: starts[source] for bucket, source in from_.items()}}
    return Division(spans, summed, {**removed, 0: starts[0]})
