"""A header and its rows: what bcc's and libbpf-tools' snoops, tops and counts print."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.profiles.columns import unknown_values
from kscope.profiles.sample import unit_of
from kscope.readers.reading.base import Line, ReadError, Reading
from kscope.readers.tools.cells import CellError, values_of
from kscope.readers.tools.clock import Clock
from kscope.readers.tools.headers import Field, Header, header_of, spilled

_NUMBER = r"-?\d++(?:\.\d++)?|-|\?"
_TIME = r"\d\d:\d\d:\d\d(?:\.\d++)?|\d++(?:\.\d++)?"
_WORD = r"\S++"
# A cell with blanks; the last one takes the rest. Patterns go back by few words only.
_SPACED, _LAST = r"\S++(?:\s++\S++){0,15}?", r".*+"
_MOST_SPACED = 3
_LONGEST_NUMBER = 20
_MOST_EARLY, _LONGEST_EARLY = 20, 10_000


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line is cut into cells: by commas, or by the first of the patterns that fits."""

    header: Header
    patterns: tuple[re.Pattern[str], ...]

    @property
    def strict(self) -> bool:
        """Return whether other lines do not fit: some of its cells are numbers."""
        return any(_cell(each) == _NUMBER for each in self.header.fields)

    def cells(self, line: str) -> list[str] | None:
        """Return the line's cells, or None if it is no row."""
        if self.header.comma:
            return self._divided(line)
        found = next(filter(None, (each.fullmatch(line) for each in self.patterns)), None)
        return [*found.groups()] if found else None

    def _divided(self, line: str) -> list[str] | None:
        try:
            found = next(csv.reader([line]), [])
        except csv.Error:
            return None
        return found if len(found) == len(self.header.fields) else None


def layout_of(header: Header) -> Layout:
    """Return the layout of the rows below a header."""
    if header.comma:
        return Layout(header, ())
    patterns = (_pattern(header, by_width=True), _pattern(header, by_width=False))
    return Layout(header, tuple(dict.fromkeys(patterns)))


def _pattern(header: Header, *, by_width: bool) -> re.Pattern[str]:
    """Return the pattern of a row. A name with blanks is as wide as its column, if `by_width`."""
    fields = header.fields
    spaced = [place for place, each in enumerate(fields) if each.spaced][:_MOST_SPACED]
    cells = []
    for place, each in enumerate(fields[:-1]):
        width = fields[place + 1].head.place - each.head.place
        if place not in spaced:
            cells.append(_cell(each))
        elif by_width and width > 2:
            cells.append(rf"\S.{{{width - 2}}}")
        else:
            cells.append(_SPACED)
    final = fields[-1]
    cells.append(_LAST if final.spaced or not final.column else _cell(final))
    return re.compile(r"\s*+" + r"\s++".join(f"({cell})" for cell in cells) + r"\s*+")


def _cell(field: Field) -> str:
    if field.head.clock:
        return _TIME
    if field.column and field.column.type.storage in (Storage.INTEGER, Storage.REAL):
        return _NUMBER
    return _WORD


@dataclass(slots=True)
class Table:
    """Reads the lines of a table, which may have several headers, one for each interval."""

    reading: Reading
    clock: Clock = field(default_factory=Clock)
    layout: Layout | None = None
    _known: dict[str, Column] = field(default_factory=dict)
    # Lines before the header: in a pipe, some tools of bcc write their first row before it.
    _early: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_MOST_EARLY))
    _begun: str = ""

    def read(self, number: int, line: str) -> Iterator[Line]:
        """Yield the row of a line, if it is one; count it if it is neither that nor a header."""
        text = line.strip()
        if not text or self.clock.read(text):
            return
        if self.layout is None:
            yield from self._before(number, line)
        elif not self._is_header(line):
            line, self._begun = self._begun + line, ""
            yield from self._line(number, line)

    def _before(self, number: int, line: str) -> Iterator[Line]:
        """Look for the header; then yield the rows that came before it."""
        begun, rest = spilled(line)
        if not self._is_header(rest):
            self._early.append((number, line[:_LONGEST_EARLY]))
            return
        self._begun = begun
        assert self.layout
        if self.layout.strict:
            for early, text in self._early:
                if self.layout.cells(text):
                    yield from self._line(early, text)
        self._early.clear()

    def _line(self, number: int, line: str) -> Iterator[Line]:
        cells = self.layout.cells(line) if self.layout else None
        if cells is None:
            self._other(number, line.strip())
            return
        try:
            row = self._row(cells)
        except CellError as error:
            self.reading.skipped.add(number, str(error))
            return
        if row:
            yield Line(number, row, self.clock.at)

    def _other(self, number: int, text: str) -> None:
        # Before the header and behind the rows tools say what they do.
        if not text.startswith(("Tracing ", "Detaching", "WARNING: ")):
            self.reading.skipped.add(number, "does not fit the header")

    def _is_header(self, line: str) -> bool:
        if self.layout and " ".join(line.split()) == " ".join(self.layout.header.texts):
            return True
        if self.layout and self.layout.cells(line) is not None and not line[:1].isupper():
            return False
        header = header_of(line, self.reading.category, first=self.layout is None)
        if header is None or not header.fills or not self._has_amounts(header):
            return False
        self.layout = layout_of(header)
        self._known = {each.name: each for each in self.reading.category.columns}
        self._say(header)
        return True

    def _has_amounts(self, header: Header) -> bool:
        """Return whether rows have numbers to add up, if that is all that the category is for."""
        category = self.reading.category
        if all(each.optional for each in category.with_role(Role.HISTOGRAM)):
            return True
        values = (*category.with_role(Role.VALUE), *category.with_role(Role.HISTOGRAM))
        return any(each.name in header.fills for each in values)

    def _say(self, header: Header) -> None:
        category = self.reading.category
        if header.left_out:
            self.reading.notice(
                f"{category.table} has no column for {', '.join(header.left_out)}: left out"
            )
        missing = missing_of(category, header.fills)
        if missing:
            self.reading.notice(f"the recording does not have {', '.join(missing)}")

    def _row(self, cells: list[str]) -> dict[str, Any]:
        assert self.layout
        row: dict[str, Any] = {}
        for each, cell in zip(self.layout.header.fields, cells, strict=True):
            if each.head is self.layout.header.clock:
                self._set_clock(each.head.unit or "s", cell.strip())
            row |= values_of(each, cell, self._known, self.reading.options.unit or "")
        return row

    def _set_clock(self, unit: str, cell: str) -> None:
        if self.clock.read(cell) or len(cell) > _LONGEST_NUMBER:
            return
        if cell.replace(".", "", 1).isdecimal():
            factor = unit_of(unit).factor / 10**6
            self.clock.set(float(Fraction(cell) * factor))


def missing_of(category: Category, filled: set[str]) -> list[str]:
    """Return the names of the values that rows must have and that nothing fills."""
    unknown = unknown_values(category, also=filled)
    columns = (category.column(name) for name in unknown)
    roles = (Role.VALUE, Role.HISTOGRAM)
    return [each.name for each in columns if each and each.type.role in roles]


def require_header(table: Table, number: int) -> None:
    """Raise ReadError if no line was a header."""
    if table.layout is None:
        raise ReadError(
            number,
            f"no line names columns of {table.reading.category.table}, as PID COMM do: the first "
            "line of a table must be its header",
        )
