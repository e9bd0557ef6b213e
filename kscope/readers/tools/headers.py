"""A table's header line: which columns of a category its words fill."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.profiles.sample import Quantity, unit_of
from kscope.readers.tools.words import BY_HEADER, BY_SECTION, Word

# Columns of a table, each with its bytes of a line: more are no table.
MOST_COLUMNS = 100
# A blank before a unit is part of the word.
_CELL = re.compile(r"[^,]+")
_LONGEST = 10_000
# Words of a header that stands behind the beginning of a row.
_LEAST_AFTER = 3
_TOKEN = re.compile(r"\S+(?: \(\w+\))?")
_UPPER = re.compile(r"[A-Z][A-Z0-9_/:%>.+-]*(?:_[a-z]+|[mun]?s)?(?: ?\([A-Za-z]+\))?|-", re.ASCII)
_PARTS = re.compile(
    r"(?P<stem>.+?)(?:_?(?P<blank> ?)\((?P<unit>\w+)\)|_(?P<suffix>[A-Za-z]+)"
    r"|(?<=[A-Z])(?P<joined>[mun]?s))?",
    re.ASCII,
)
_TIME = re.compile(r"TIME(?:-\w+)?")
_BARE_UNITS = frozenset({"MS", "US", "NS"})


@dataclass(frozen=True, slots=True)
class Head:
    """A word of a header: `LAT(ms)` is `LAT` in `ms`. It starts at a place of the line."""

    text: str
    stem: str
    unit: str
    place: int

    @property
    def clock(self) -> bool:
        """Return whether its cells say when."""
        return _TIME.fullmatch(self.stem) is not None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table. Without a `column` and a `word` its cells are left out."""

    head: Head
    column: Column | None = None
    word: Word | None = None

    @property
    def spaced(self) -> bool:
        """Return whether its cells may hold blanks."""
        if self.word:
            return self.word.spaced
        return bool(
            self.column
            and self.column.type.role in (Role.DIMENSION, Role.IDENTITY)
            and self.column.type.json["type"] == "string"
        )


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a table, in their order; those that are left out have no column."""

    fields: tuple[Field, ...]
    comma: bool = False
    texts: tuple[str, ...] = field(init=False)
    # The one that says when: seconds are finer than a time of day.
    clock: Head | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(each.head.text for each in self.fields))
        clocks = [each.head for each in self.fields if each.head.clock and not each.column]
        clocks.sort(key=lambda each: not each.unit)
        object.__setattr__(self, "clock", clocks[0] if clocks else None)

    @property
    def left_out(self) -> list[str]:
        return [
            each.head.text
            for each in self.fields
            if not (each.column or each.word or each.head.clock)
        ]

    @property
    def fills(self) -> set[str]:
        """Return the names of the columns that rows can have."""
        single = {each.column.name for each in self.fields if each.column}
        return single.union(*(each.word.columns for each in self.fields if each.word))


def heads(line: str) -> list[Head]:
    """Return the words of a line that may be a header, with their units."""
    if len(line) > _LONGEST:
        return []
    separate = _CELL if is_comma(line) else _TOKEN
    found = islice(separate.finditer(line), MOST_COLUMNS + 1)
    return [_head(each[0].strip(), each.start()) for each in found if each[0].strip()]


def is_comma(line: str) -> bool:
    """Return whether commas divide a line's cells."""
    return "," in line and len(line.split(",")) > len(line.split())


def _head(text: str, place: int) -> Head:
    parts = _PARTS.fullmatch(text)
    assert parts
    stem, unit = parts["stem"], parts["unit"] or ""
    suffix = parts["suffix"] or parts["joined"] or ""
    if suffix and unit_of(suffix).quantity is not Quantity.OTHER and suffix.lower() != "count":
        unit = suffix
    elif suffix:
        stem = f"{stem}_{suffix}"
    if parts["blank"] and stem == "TIME":
        stem = "TIME "
    if stem in _BARE_UNITS:
        unit = stem
    return Head(text, stem, unit.lower(), place)


def like_header(line: str) -> bool:
    """Return whether a line is a header of a tool by its words alone."""
    found = heads(spilled(line)[1])
    known = [each for each in found if each.clock or _word(each)]
    return 2 <= len(found) <= MOST_COLUMNS and len(known) >= 2 and _upper(found)


def spilled(line: str) -> tuple[str, str]:
    """Divide a line into the beginning of a row, which is mostly empty, and the rest.

    In a pipe, some tools of bcc write the first words of their first row before the header.
    """
    found = heads(line)
    first = next(
        (at for at, each in enumerate(found) if _upper(found[at:]) and (each.clock or _word(each))),
        0,
    )
    if not 0 < first <= len(found) - _LEAST_AFTER:
        return "", line
    place = found[first].place
    return line[:place], line[place:]


def _upper(found: Iterable[Head]) -> bool:
    return all(_UPPER.fullmatch(each.text) for each in found)


def _word(head: Head) -> Word | None:
    return BY_HEADER.get(head.stem) or BY_HEADER.get(head.stem.upper())


def header_of(line: str, category: Category, *, first: bool) -> Header | None:
    """Return the header if the line is one: a tool's own, or one with the category's columns.

    The first header of a table may have others between them.
    """
    found = heads(line)
    if not found or len(found) > MOST_COLUMNS:
        return None
    fields = tuple(_field(each, category) for each in found)
    known = sum(1 for each in fields if each.column or each.head.clock)
    named = known > len(fields) / 2 if first and len(fields) > 1 else known == len(fields)
    if not (named or (len(found) > 1 and _upper(found))):
        return None
    return Header(fields, is_comma(line))


def has_own_header(lines: Iterable[str], category: Category) -> bool:
    """Return whether a line names two of the category's columns, and few others."""
    headers = (header_of(line, category, first=True) for line in lines)
    return any(sum(1 for one in each.fields if one.column) > 1 for each in headers if each)


def _field(head: Head, category: Category) -> Field:
    if head.clock and (head.unit or head.text.isupper()):
        return Field(head)
    column = _named(head.text, category) or _named(head.stem, category)
    word = _word(head)
    if word and word.read and (column is None or column.name in word.columns):
        return Field(head, None, word) if _fits(word, category) else Field(head)
    if column is None and word:
        column = _fits(word, category)
    return Field(head, column, word if column and word and not word.read else None)


def _named(text: str, category: Category) -> Column | None:
    """Return the column of a name, in any case."""
    wanted = text.strip().casefold()
    columns = (*category.columns, *category.with_role(Role.TIME))
    names = ((each, each.name, each.prettyname) for each in columns)
    return next((one for one, *called in names if wanted in map(str.casefold, called)), None)


def _fits(word: Word, category: Category) -> Column | None:
    found = (category.column(name) for name in word.columns)
    return next((each for each in found if each), None)


def section_of(name: str, category: Category) -> Word | None:
    """Return the word for a part of a recording, such as `disk`, if the category has its column."""
    word = BY_SECTION.get(name)
    return word if word and _fits(word, category) else None
