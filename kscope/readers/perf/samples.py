"""Samples of `perf script`: a head and its frames, up to a blank line or the next head."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from kscope.readers.perf.frames import FrameNames, frame_of
from kscope.readers.perf.heads import NO_HEAD, SampleHead, frame_in, sample_head, short_head
from kscope.readers.perf.other_lines import NO_SAMPLE, STRAY_FRAME, is_extra, is_record, reason_of
from kscope.readers.reading.base import Skipped

# perf records up to 1024 frames unless the kernel's limit is raised; inlined ones come on top.
_MOST_LINES = 16_384


class Shape(StrEnum):
    """How a recording's samples start: with a time or an event, with less, or with no head."""

    FULL = "full"
    SHORT = "short"
    NONE = "none"


@dataclass(slots=True)
class PerfSample:
    """A sample that starts on line `number`; its frames are the innermost first."""

    number: int
    head: SampleHead
    frames: list[str] = field(default_factory=list)


class SampleReader:
    """Reads samples of one shape. Lines that are none are noted in `skipped`, with the reason.

    Only samples whose head is `wanted` are returned.
    """

    def __init__(
        self, shape: Shape, skipped: Skipped, wanted: Callable[[SampleHead], bool]
    ) -> None:
        self._shape = shape
        self._skipped = skipped
        self._wanted = wanted
        self._names = FrameNames()
        self._sample: PerfSample | None = None
        # Inside of a sample, which may be one that is not wanted.
        self._inside = False
        # A line that is a head if a frame follows.
        self._waiting: tuple[int, str] | None = None

    def samples(self, lines: Iterable[tuple[int, str]]) -> Iterator[PerfSample]:
        """Yield each sample once all its lines are read."""
        known = self._names.known
        for number, line in lines:
            # Most lines are frames, and most of those are known.
            if line[:1] == "\t" and self._inside:
                if (sample := self._sample) is not None:
                    names = known.get(line)
                    if names and number - sample.number < _MOST_LINES:
                        sample.frames += names
                    else:
                        self._add_frame(number, line, sample)
            elif finished := self._next(number, line):
                yield finished
        if self._waiting:
            self._skip(*self._waiting)
        if finished := self._end():
            yield finished

    def _add_frame(self, number: int, line: str, sample: PerfSample) -> None:
        if number - sample.number >= _MOST_LINES:
            self._skipped.add(number, f"a sample of more than {_MOST_LINES} lines")
        elif names := self._names.of(line):
            sample.frames += names
        elif not is_extra(line):
            self._skip(number, line)

    def _next(self, number: int, line: str) -> PerfSample | None:
        if not line or line.isspace():
            return self._end()
        if line[0] == "#":
            return None
        if self._shape is Shape.NONE:
            return self._headless(number, line)
        return self._full(number, line) if self._shape is Shape.FULL else self._short(number, line)

    def _full(self, number: int, line: str) -> PerfSample | None:
        head = sample_head(line)
        if head and self._is_head(head, line):
            finished = self._end()
            self._begin(number, head)
            return finished
        self._other(number, line)
        return None

    def _is_head(self, head: SampleHead, line: str) -> bool:
        """Return False for a message or a frame that looks like a head: those have no time."""
        if is_record(line):
            return False
        if head.time is not None:
            return True
        return reason_of(line) == NO_SAMPLE and not (self._inside and _is_frame(line))

    def _short(self, number: int, line: str) -> PerfSample | None:
        """A line is a head if a frame ends it or follows it."""
        waiting, self._waiting = self._waiting, None
        if waiting:
            head = short_head(waiting[1]) if line[0] == "\t" and frame_of(line) else None
            if head:
                self._begin(waiting[0], head)
                self._other(number, line)
                return None
            self._skip(*waiting)
        head = short_head(line) if reason_of(line) == NO_SAMPLE else None
        if (
            self._inside
            and _is_frame(line)
            and (head is None or _flat_shape(line) is not Shape.SHORT)
        ):
            self._other(number, line)
            return None
        finished = self._end() if head else None
        if head and head.rest:
            self._begin(number, head)
        elif head:
            self._waiting = number, line
        else:
            self._other(number, line)
        return finished

    def _headless(self, number: int, line: str) -> PerfSample | None:
        """With call chains, blank lines separate samples; without, each line is one."""
        frame = frame_of(line) if reason_of(line) == NO_SAMPLE else None
        if frame is None:
            self._other(number, line)
            return None
        finished = self._end() if line[0] != "\t" else None
        if not self._inside:
            self._begin(number, NO_HEAD)
        self._other(number, line)
        return finished

    def _begin(self, number: int, head: SampleHead) -> None:
        self._inside = True
        if self._wanted(head):
            self._sample = PerfSample(number, head)
            self._names.process = head.comm

    def _end(self) -> PerfSample | None:
        finished, self._sample = self._sample, None
        self._inside = False
        if finished and not finished.frames and finished.head.rest:
            finished.frames.extend(self._names.of(frame_in(finished.head.rest)))
        return finished

    def _other(self, number: int, line: str) -> None:
        """Read a line of a sample that is not its head, or skip it."""
        reason = reason_of(line)
        if reason != NO_SAMPLE:
            self._skipped.add(number, reason)
        elif not self._inside:
            self._skipped.add(number, STRAY_FRAME if frame_of(line) else NO_SAMPLE)
        elif _is_frame(line):
            if self._sample:
                self._add_frame(number, line, self._sample)
        elif not is_extra(line):
            self._skip(number, line)

    def _skip(self, number: int, line: str) -> None:
        self._skipped.add(number, reason_of(line))


def _is_frame(line: str) -> bool:
    """Return whether a line inside of a sample is a frame: one without a tab has a name, too."""
    frame = frame_of(line)
    return frame is not None and (line[0] == "\t" or frame.name is not None or bool(frame.place))


def shape_of(lines: Iterable[tuple[int, str]]) -> tuple[Shape | None, tuple[int, str] | None]:
    """Return the shape of the samples, None if there are none, and the first line that is none."""
    found: Shape | None = None
    other: tuple[int, str] | None = None
    before = ""
    for number, line in lines:
        text = line.strip()
        if line[:1] == "\t" and frame_of(line):
            if not before:
                found = found or Shape.NONE
            elif before[0] != "\t" and short_head(before):
                found = Shape.SHORT
        elif text and line[0] != "#" and reason_of(line) == NO_SAMPLE:
            if sample_head(line):
                return Shape.FULL, other
            found, other = _flat_shape(line) or found, other or (number, line)
        before = line if text and not is_record(line) else ""
    return found, other


def _flat_shape(line: str) -> Shape | None:
    """Return the shape of a sample without a call chain, on one line."""
    head = short_head(line)
    if head is None or not head.rest:
        return None
    return Shape.NONE if head == SampleHead(rest=head.rest) else Shape.SHORT
