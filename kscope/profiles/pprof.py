"""pprof's profile.proto -> samples.

The messages and their field numbers are those of
https://github.com/google/pprof/blob/main/proto/profile.proto. A profile may come from anywhere:
each table has a bound, each reference is checked, and the content is checked whole before the first
sample is yielded.
"""

import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from kscope.profiles.pprof_tables import PprofError, Raw, Tables, samples_of, table_steps
from kscope.profiles.sample import Amount, Sample
from kscope.profiles.wire import Content, WireError

T = TypeVar("T")
Steps = Generator[None, None, T]
Room = Callable[[int], None]

MAX_BYTES = 256 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_PIECE = 64 * 1024
_MEMBERS = 1000
# Frames that one step checks; a sample takes as long as so many.
_STEP, _SAMPLE = 20_000, 50
# Frames of all samples of a small profile.
_FEW = 100_000
# Labels by which profilers name the thread of a sample.
_PROCESS = ("comm", "process", "process_name", "process.executable.name")
_PID = ("pid", "process_id", "process.pid")
_TID = ("tid", "thread_id", "thread id", "thread.id")


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a checked profile.

    Those of a small one are `kept`. Each pass over many reads the content again.
    """

    content: Content
    tables: Tables
    count: int
    kept: tuple[Raw, ...] = ()

    def __len__(self) -> int:
        return self.count

    def raw(self) -> Iterator[Raw]:
        """Yield the stack, the values and the labels of each sample."""
        return iter(self.kept) if self.kept else samples_of(self.content, self.tables)

    def __iter__(self) -> Iterator[Sample]:
        types = self.tables.sample_types
        for stack, values, labels in self.raw():
            amounts = (
                Amount(kind, unit, value) for (kind, unit), value in zip(types, values, strict=True)
            )
            process, pid, tid = _thread_of(labels)
            yield Sample(stack, tuple(amounts), process, pid, tid, labels)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile. Each sample has one amount for each of the `sample_types`, which are (kind, unit).

    Times are in nanoseconds, 0 if they are not known. `period` is the amount of the `period_type`
    between two samples; without one the type is two empty texts.
    """

    sample_types: tuple[tuple[str, str], ...]
    samples: Samples
    time_nanos: int = 0
    duration_nanos: int = 0
    period_type: tuple[str, str] = ("", "")
    period: int = 0
    default_type: str = ""
    comments: tuple[str, ...] = ()


def read(content: Content, most: int = MAX_BYTES) -> Profile:
    """Return the profile of a file's content, gzip or not. Raises PprofError.

    `most` is the largest size of the uncompressed content, in bytes.
    """
    return finished(steps(content, most))


def finished(work: Steps[T]) -> T:
    """Run all steps; return the result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def steps(content: Content, most: int = MAX_BYTES, room: Room = lambda _: None) -> Steps[Profile]:
    """Do the same in steps of a few milliseconds.

    `room` is called with the bytes that the profile's tables use, and may raise.
    """
    if not content:
        raise PprofError("is empty")
    if content[:2] == _GZIP:
        content = yield from _unpacked(content, most, room)
    if len(content) > most:
        raise PprofError(f"is larger than {most} bytes")
    try:
        return (yield from _profile(content, room))
    except WireError as error:
        raise PprofError(f"is not a pprof profile: {error}") from None


def _unpacked(content: Content, most: int, room: Room) -> Steps[bytes]:
    found = bytearray()
    at = members = 0
    while at < len(content) and members < _MEMBERS:
        members += 1
        member = zlib.decompressobj(wbits=31)
        while not member.eof and at < len(content):
            piece = content[at : at + _PIECE]
            try:
                text = member.decompress(piece, _PIECE * 16)
                while member.unconsumed_tail and len(found) + len(text) <= most:
                    found += text
                    room(len(text))
                    yield
                    text = member.decompress(member.unconsumed_tail, _PIECE * 16)
            except zlib.error as error:
                raise PprofError(f"is not gzip: {error}") from None
            found += text
            room(len(text))
            if len(found) > most:
                raise PprofError(f"is larger than {most} bytes without its compression")
            at += len(piece) - len(member.unused_data)
            yield
        if not member.eof:
            raise PprofError("is cut off: the end of the gzip data is missing")
    return bytes(found)


def _profile(content: Content, room: Room) -> Steps[Profile]:
    tables = yield from table_steps(content, room)
    count = frames = done = 0
    kept: list[Raw] = []
    # All samples are checked before the caller uses the first.
    for sample in samples_of(content, tables):
        count += 1
        done += _SAMPLE + len(sample[0])
        if done > _STEP:
            done = 0
            yield
        frames += len(sample[0])
        if frames <= _FEW:
            kept.append(sample)
    return Profile(
        tables.sample_types,
        Samples(content, tables, count, tuple(kept) if frames <= _FEW else ()),
        time_nanos=tables.number(9),
        duration_nanos=max(0, tables.number(10)),
        period_type=tables.period_type,
        period=tables.number(12),
        default_type=tables.text_at(14),
        comments=tables.comments,
    )


def _thread_of(labels: dict[str, str | int]) -> tuple[str, int | None, int | None]:
    """Return the process, the pid and the thread's id as far as the labels name them."""
    if not labels:
        return "", None, None
    process = next((str(labels[name]) for name in _PROCESS if name in labels), "")
    return process, _id(labels, _PID), _id(labels, _TID)


def _id(labels: dict[str, str | int], names: tuple[str, ...]) -> int | None:
    for name in names:
        found = str(labels.get(name, ""))[:20]
        if found.isascii() and found.isdigit() and int(found) < 2**63:
            return int(found)
    return None
