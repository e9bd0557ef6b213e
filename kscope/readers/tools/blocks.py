"""Stacks as bcc and libbpf-tools print them without -f: a frame a line, then a number.

schedule
main
-                mysqld (1234)
    17930
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kscope.profiles.frames import marked as in_file
from kscope.profiles.sample import Sample
from kscope.readers.reading.base import Line, ReadError, Reading
from kscope.readers.tools.clock import Clock
from kscope.readers.tools.frames import (
    is_outermost,
    kernel,
    marked,
    named,
    plain,
    without_tracer,
)

NUMBER = re.compile(r"\s+(\d{1,20})\s*", re.ASCII)
_BETWEEN = re.compile(r"--|-")
_SLEEPER = re.compile(r"--\s+--")
# `-                mysqld (1234)`, `mysqld [1234]`, `target:   mysqld 1234`, `waker: mysqld`
_THREAD = re.compile(r"-\s+(?P<comm>.{1,64}) \((?P<number>-?\d{1,10})\)", re.ASCII)
_PROCESS = re.compile(r"(?P<comm>.{1,64}) \[(?P<number>\d{1,10})\]", re.ASCII)
_SIDE = re.compile(r"(?P<side>target|waker):\s+(?P<comm>.{0,64})")
_SIDES = {"target", "waker"}
_SIDE_NUMBER = re.compile(r"(?P<comm>.*) \d{1,10}", re.ASCII)
_FRAME = re.compile(r"(?:#\d+\s+)?(?:0x)?(?P<address>[0-9a-f]{6,16})\s+(?P<name>\S.*)", re.ASCII)
# libbpf-tools print the file of a frame with -v: `read+0x14 (/usr/lib/libc.so.6+0xf2a14)`.
_IN_FILE = re.compile(
    r"(?P<name>.*\S) \((?P<file>[/\[][^()]{0,4096}?)(?:\+0x[0-9a-f]+)?\)", re.ASCII
)
# profile says how often it samples.
_RATE = re.compile(r"Sampling at (\d{1,6}) Hertz\b.*", re.ASCII)
_MOST_LINES = 10_000
_LONGEST = 4096


@dataclass(slots=True)
class Block:
    """The lines before a number."""

    above: list[str] = field(default_factory=list)
    below: list[str] | None = None
    process: str = ""
    pid: int | None = None
    tid: int | None = None
    sides: dict[str, str] = field(default_factory=dict)
    # The waker's frames of offwaketime, the outermost first.
    waker: list[str] | None = None

    def __len__(self) -> int:
        return len(self.above) + len(self.below or ()) + len(self.waker or ())

    @property
    def ended(self) -> bool:
        """Return whether only the number is missing, by the names that wakeuptime prints."""
        return self.sides.keys() == _SIDES

    def add(self, text: str) -> None:
        """Take a line."""
        if _SLEEPER.fullmatch(text):
            self.waker, self.above, self.below = self._both(), [], None
        elif _BETWEEN.fullmatch(text):
            self.below = []
        elif thread := _THREAD.fullmatch(text):
            self.process, self.tid = plain(thread["comm"]), int(thread["number"])
        elif side := _SIDE.fullmatch(text):
            self.sides[side["side"]] = plain(side["comm"])
        elif process := _PROCESS.fullmatch(text):
            self.process, self.pid = plain(process["comm"]), int(process["number"])
        else:
            (self.above if self.below is None else self.below).append(_frame(text))

    def side(self, name: str) -> str:
        """Return the name of the target or the waker; offwaketime prints a thread's number, too."""
        comm = self.sides.get(name, "")
        found = _SIDE_NUMBER.fullmatch(comm) if self.waker is not None else None
        return found["comm"] if found else comm

    def _both(self) -> list[str]:
        """Return the waker's frames: those of its program stand above those of the kernel."""
        if self.below is not None:
            return [*self.above, *map(kernel, self.below)]
        return [*reversed(marked([*reversed(self.above)]))]

    def stack(self) -> tuple[str, ...]:
        """Return the frames, the outermost first; behind `--` the waker's, upside down."""
        if self.below is None:
            frames = marked(without_tracer(self._inwards()))
        else:
            frames = [*map(kernel, without_tracer(self.above)), *self.below]
        sleeper = [*reversed(frames)]
        return (*sleeper, *(("--", *reversed(self.waker)) if self.waker else ()))

    def _inwards(self) -> Sequence[str]:
        """Return the frames with the innermost first: some wakeuptime turns them round."""
        turned = self.sides and len(self.above) > 1 and is_outermost(self.above[0])
        return [*reversed(self.above)] if turned else self.above


def _frame(text: str) -> str:
    found = _FRAME.fullmatch(text)
    if found is None:
        return named(text)
    inside = len(found["address"]) == 16 and found["address"].startswith("ffff")
    file = _IN_FILE.fullmatch(found["name"])
    name = named(file["name"] if file else found["name"])
    if inside:
        return kernel(name)
    return in_file(name, file["file"]) if file else name


@dataclass(slots=True)
class Blocks:
    """Reads lines of stacks, and times between them."""

    reading: Reading
    clock: Clock = field(default_factory=Clock)
    seen: bool = False
    _block: Block = field(default_factory=Block)
    _next: Block = field(default_factory=Block)

    def read(self, number: int, line: str) -> Iterator[Line]:
        """Yield the row of a stack when its number comes. Raises ReadError."""
        text = line.strip()[:_LONGEST]
        found = NUMBER.fullmatch(line)
        if found:
            block, self._block, self._next = self._block, self._next, Block()
            self.seen = True
            yield self._row(number, block, int(found[1]))
        elif not text:
            self._drop(number)
        elif line[:1].isspace():
            if len(self._block) >= _MOST_LINES:
                raise ReadError(number, f"is in a stack of more than {_MOST_LINES} frames")
            # In a pipe, wakeuptime writes the first line of a stack before the last one's number.
            late = self._block.ended and _SIDE.fullmatch(text)
            (self._next if late else self._block).add(text)
        elif not self.clock.read(text):
            self._drop(number)
            self._other(number, text)

    def _drop(self, number: int) -> None:
        if len(self._block):
            self.reading.skipped.add(number, "ends a stack that has no number")
            self._block = Block()

    def _other(self, number: int, text: str) -> None:
        if rate := _RATE.fullmatch(text):
            self.reading.sampled_at(int(rate[1]))
        elif self.seen and not text.startswith(("Detaching", "WARNING: ", "Tracing ")):
            self.reading.skipped.add(number, "is neither a frame nor a number")

    def _row(self, number: int, block: Block, value: int) -> Line:
        amounts = (self.reading.number(value),)
        pid, tid = block.pid, block.tid
        if tid is not None and self.reading.columns.value.sampled_by:
            # profile prints a process's number there, offcputime a thread's.
            pid, tid = tid, None
        process, labels = block.process, {}
        if block.sides:
            waker, process = block.side("waker"), block.side("target")
            labels = {"waker" if block.waker is not None else "process": waker, "target": process}
        self._say(tid)
        return self.reading.line(
            number, Sample(block.stack(), amounts, process, pid, tid, labels), self.clock.at
        )

    def _say(self, tid: int | None) -> None:
        category = self.reading.category
        if tid is not None and category.column("tid") is None:
            self.reading.notice(
                f"the tool's numbers are those of threads; {category.table} has none"
            )
