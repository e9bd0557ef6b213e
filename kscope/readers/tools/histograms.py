"""Histograms as bcc and libbpf-tools print them.

usecs               : count     distribution
   16 -> 31         : 88       |********************                    |
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.errors import KscopeError
from kscope.profiles.sample import Quantity, unit_of
from kscope.readers.reading.base import Line, ReadError, Reading
from kscope.readers.tools.cells import checked, value_of
from kscope.readers.tools.clock import Clock
from kscope.readers.tools.headers import section_of
from kscope.readers.tools.slots import Bucket, SlotError, shifted, slots_of
from kscope.readers.tools.tables import missing_of

HEADER = re.compile(r"\s*(?P<unit>\S(?:.{0,200}\S)?)\s*: count +distribution\s*", re.ASCII)
_BUCKET = re.compile(
    r"\s*(?P<least>\d{1,20})(?:\s*->\s*(?P<most>\d{1,20}))?\s*: (?P<count>\d{1,20})\s*\|[^|]*\|\s*",
    re.ASCII,
)
_SECTION = re.compile(r"(?P<name>[A-Za-z_][\w ]{0,40}?) = (?P<value>.*)")
# biolatency -e, cpudist -e
_AVERAGE = re.compile(
    r"avg = \d+ (?P<unit>\w+), total: (?P<total>\d{1,20}) \w+, count: \d+", re.ASCII
)
# Older bcc prints `disk = 'vda'`, `disk = b'vda'` and `pid = 12 b'cron'`.
_QUOTED = re.compile(r"(?<!\S)b?(['\"])(.*)\1$")
_MOST_BUCKETS = 2000
_LONGEST_SECTION = 1000


def histogram_columns(category: Category) -> tuple[Column, ...]:
    """Return the columns for histograms."""
    return category.with_role(Role.HISTOGRAM)


def event_count(category: Category) -> Column | None:
    """Return the column that counts events, the first of several."""
    counts = (each for each in category.columns if each.type.counts_events)
    return category.count or next(counts, None)


def chosen_histogram(category: Category) -> Column:
    """Return the column for histograms. Raises KscopeError if there is none."""
    found = histogram_columns(category)
    if not found:
        raise KscopeError(f"{category.table} has no histogram column to import histograms into")
    return found[0]


def histogram_row(reading: Reading, buckets: list[Bucket], unit: str) -> dict[str, Any]:
    """Return the columns of a row that a histogram fills. Raises SlotError."""
    column, count = chosen_histogram(reading.category), event_count(reading.category)
    slots = slots_of(buckets)
    negative = sum(each.count for each in buckets if each.negative)
    if negative:
        reading.notice(f"{negative} values below 0 are left out of a histogram")
    if any(each.cut and each.count for each in buckets):
        reading.notice(
            "bpftrace up to 0.17 counts all values from 2147483648 on as one bucket: they are "
            "stored as values up to 4294967295; count in larger units"
        )
    given = reading.options.unit or unit
    moved, changed = shifted(slots, given, column)
    if changed:
        reading.notice(
            f"the histogram is in {given}, {column.name} in {column.unit}: each bucket is stored "
            "in the nearest powers of two, which are off by 2.4 % for each thousand"
        )
    return {column.name: moved} | ({count.name: sum(moved)} if count else {})


@dataclass(slots=True)
class Histograms:
    """Reads lines of histograms, and the sections and times before them."""

    reading: Reading
    clock: Clock = field(default_factory=Clock)
    seen: bool = False
    _unit: str | None = None
    _section: dict[str, Any] = field(default_factory=dict)
    _buckets: list[Bucket] = field(default_factory=list)
    _first: int = 0

    def read(self, number: int, line: str) -> Iterator[Line]:
        """Yield the row of a histogram when a line ends it. Raises ReadError."""
        bucket = _BUCKET.fullmatch(line)
        if bucket and self._unit is not None:
            self._add(number, bucket)
            return
        yield from self.end()
        header = HEADER.fullmatch(line)
        if header:
            self._begin(number, header["unit"])
            return
        self._unit = None
        text = line.strip()
        if text and not self.clock.read(text):
            yield from self._other(number, text)

    def end(self) -> Iterator[Line]:
        """Yield the row of the histogram that was read last, if there is one."""
        buckets, self._buckets = self._buckets, []
        if any(each.count for each in buckets):
            try:
                row = histogram_row(self.reading, buckets, self._unit or "")
            except SlotError as error:
                raise ReadError(self._first, str(error)) from None
            yield Line(self._first, self._section | row, self.clock.at)

    def _begin(self, number: int, unit: str) -> None:
        chosen_histogram(self.reading.category)
        if not self.seen:
            filled = {each.name for each in histogram_columns(self.reading.category)[:1]}
            count = event_count(self.reading.category)
            filled |= {count.name} if count else set()
            missing = missing_of(self.reading.category, filled)
            if missing:
                self.reading.notice(f"the recording does not have {', '.join(missing)}")
        self.seen, self._unit, self._first = True, unit, number

    def _add(self, number: int, found: re.Match[str]) -> None:
        if len(self._buckets) >= _MOST_BUCKETS:
            raise ReadError(number, f"is in a histogram of more than {_MOST_BUCKETS} buckets")
        least = int(found["least"])
        most = int(found["most"]) if found["most"] else least
        self._buckets.append(Bucket(least, most, int(found["count"])))

    def _other(self, number: int, text: str) -> Iterator[Line]:
        average = _AVERAGE.fullmatch(text)
        section = _SECTION.fullmatch(text) if len(text) <= _LONGEST_SECTION else None
        if average:
            yield from self._total(number, average)
        elif section:
            self._section = self._values(section["name"].strip(), section["value"].strip())
        elif self.seen and not text.startswith(("Detaching", "WARNING: ")):
            self.reading.skipped.add(number, "is neither a histogram nor its header")

    def _values(self, name: str, value: str) -> dict[str, Any]:
        category = self.reading.category
        columns = {each.name: each for each in category.columns}
        word, value = section_of(name, category), _QUOTED.sub(r"\2", value)
        try:
            if word and word.read:
                found = dict(word.read(value))
            else:
                column = columns.get(word.columns[0] if word else name.lower())
                found = {column.name: value_of(column, value)} if column else {}
            known = {each: checked(columns[each], found[each]) for each in found if each in columns}
        except ValueError:
            known = {}
        if not known:
            self.reading.notice(f"{category.table} has no column for '{name}': left out")
        return known

    def _total(self, number: int, found: re.Match[str]) -> Iterator[Line]:
        """Yield the time of a histogram's values as a row without events."""
        category = self.reading.category
        times = [
            each
            for each in category.with_role(Role.VALUE)
            if unit_of(each.unit).quantity is Quantity.TIME
        ]
        if not times or not histogram_columns(category):
            return
        time = value_of(times[0], found["total"], found["unit"])
        count = event_count(category)
        row = {times[0].name: time} | ({count.name: 0} if count else {})
        yield Line(number, row, self.clock.at)
