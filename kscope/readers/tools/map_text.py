"""bpftrace's text: `@name[key, key]: value`, where a key may be a stack on several lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kscope.readers.reading.base import Skipped
from kscope.readers.tools.maps import (
    LONGEST_TEXT,
    Entry,
    Exit,
    Item,
    Moment,
    Other,
    Printed,
    Stats,
    Value,
)
from kscope.readers.tools.slots import Bucket

BANNER = re.compile(r"Attach(?:ing|ed) \d+ probes?(?:\.\.\.)?")
_CLOCK = re.compile(r"(\d\d:\d\d:\d\d(?:\.\d+)?)(?:\s+|$)")
_SIMPLE = re.compile(r"(?P<name>@\w*)(?:\[(?P<keys>.*)\])?:(?: (?P<value>.*))?")
_OPENED = re.compile(r"(?P<name>@\w*)\[(?P<keys>.*)")
_CLOSED = re.compile(r"(?P<keys>.*)\]:(?: (?P<value>.*))?")
_STATS = re.compile(r"count (\d{1,20}), average -?\d{1,20}, total (-?\d{1,20})", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
_BUCKET = re.compile(
    r"(?:\[(?P<one>-?\d{1,20}[KMGTPE]?)\]|[\[(](?P<least>-?\d{1,20}[KMGTPE]?|\.\.\.), "
    r"(?P<most>-?\d{1,20}[KMGTPE]?|\.\.\.)\))\s+(?P<count>\d{1,20}) \|[@ ]*\|\s*",
    re.ASCII,
)
_SCALES = "KMGTPE"
# The last bucket of bpftrace up to 0.17, which holds all larger values, as its JSON names it.
_LARGEST, _CUT = (2**31, 2**32 - 1), (-(2**31), 0)
_MOST_BUCKETS = 2000
# Blank lines before the maps that are printed at the exit.
_EXIT = 2


@dataclass(slots=True)
class _Open:
    """A map's entry whose end has not come."""

    number: int
    name: str
    lines: list[str] = field(default_factory=list)
    size: int = 0
    keys: str | None = None
    buckets: list[Bucket] = field(default_factory=list)


@dataclass(slots=True)
class TextLines:
    """Reads lines; a key and a histogram may have several."""

    skipped: Skipped
    # In the key of an entry, and in its histogram.
    _key: _Open | None = None
    _histogram: _Open | None = None
    _name: str = ""
    _value: int | None = None
    _blanks: int = 0
    _exit: int = _EXIT

    def read(self, number: int, line: str) -> Iterator[Item]:
        """Yield what a line holds."""
        if self._histogram:
            if bucket := _BUCKET.fullmatch(line):
                self._add_bucket(number, bucket)
                return
            yield from self._end_histogram()
            # Up to two blank lines end a histogram.
            self._blanks, self._exit = 0, _EXIT + 1
        if self._key and not line.startswith("@"):
            yield from self._in_key(self._key, number, line)
            return
        if line.strip():
            self._blanks, self._exit = 0, _EXIT
        else:
            self._blanks += 1
            if self._blanks == self._exit:
                yield Exit()
        if self._key:
            self._drop(number, "begins before the key before it ends")
        yield from self._line(number, line)

    def end(self) -> Iterator[Item]:
        """Yield the histogram that was read last, if there is one."""
        yield from self._end_histogram()

    def _line(self, number: int, line: str) -> Iterator[Item]:
        if clock := _CLOCK.match(line):
            self._name = ""
            yield Moment(clock[1])
            rest = line[clock.end() :]
            if not rest.startswith("@"):
                if rest.strip():
                    yield Printed(number, line)
                return
            line = rest
        simple = _SIMPLE.fullmatch(line)
        opened = None if simple else _OPENED.fullmatch(line)
        if simple:
            entry = _Open(number, simple["name"], keys=simple["keys"])
            yield from self._valued(entry, simple["value"] or "")
        elif opened:
            self._key = _Open(number, opened["name"], [opened["keys"]])
        elif line.strip() and not BANNER.fullmatch(line.strip()):
            self._name = ""
            yield Printed(number, line)

    def _in_key(self, entry: _Open, number: int, line: str) -> Iterator[Item]:
        closed = _CLOSED.fullmatch(line)
        entry.lines.append(closed["keys"] if closed else line)
        entry.size += len(line) + 1
        if closed:
            self._key, entry.keys = None, "\n".join(entry.lines)
            yield from self._valued(entry, closed["value"] or "")
        elif entry.size > LONGEST_TEXT:
            self._drop(number, f"is in a key of more than {LONGEST_TEXT >> 20} MiB")

    def _drop(self, number: int, reason: str) -> None:
        self._key = None
        self.skipped.add(number, reason)

    def _valued(self, entry: _Open, text: str) -> Iterator[Item]:
        text = text.strip()
        if not text:
            self._histogram = entry
            return
        yield self._entry(entry, _value(text))

    def _entry(self, entry: _Open, value: Value) -> Entry:
        # A map is printed by rising values: it begins again where they fall.
        falls = isinstance(value, int) and self._value is not None and value < self._value
        begins = entry.name != self._name or entry.keys is None or falls
        self._name, self._value = entry.name, value if isinstance(value, int) else None
        return Entry(entry.number, entry.name, entry.keys, value, ", ", begins)

    def _add_bucket(self, number: int, found: re.Match[str]) -> None:
        assert self._histogram
        if len(self._histogram.buckets) >= _MOST_BUCKETS:
            self.skipped.add(number, f"is in a histogram of more than {_MOST_BUCKETS} buckets")
            return
        self._histogram.buckets.append(_bucket(found))

    def _end_histogram(self) -> Iterator[Entry]:
        entry, self._histogram = self._histogram, None
        if entry:
            value: Value = tuple(entry.buckets) if entry.buckets else Other("texts")
            yield self._entry(entry, value)


def _value(text: str) -> Value:
    if _INTEGER.fullmatch(text):
        return int(text)
    if stats := _STATS.fullmatch(text):
        return Stats(int(stats[1]), int(stats[2]))
    return Other("lists" if text.startswith("(") else "texts")


def _bucket(found: re.Match[str]) -> Bucket:
    count = int(found["count"])
    if found["one"]:
        only = _bound(found["one"])
        return Bucket(only, only, count)
    least, most = _bound(found["least"]), _bound(found["most"])
    last = None if most is None else most - 1
    return Bucket(*(_CUT if (least, last) == _LARGEST else (least, last)), count)


def _bound(text: str) -> int | None:
    if text == "...":
        return None
    power = _SCALES.find(text[-1]) + 1
    return int(text[:-1] if power else text) << 10 * power
