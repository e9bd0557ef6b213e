"""Entries of a map become rows of a category."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage
from kscope.errors import KscopeError
from kscope.profiles.sample import Amount, Quantity, Sample, unit_of
from kscope.readers.reading.base import Line, ReadError, Reading
from kscope.readers.tools.histograms import event_count, histogram_columns, histogram_row
from kscope.readers.tools.map_keys import Filled, KeyColumns, KeysError, key_columns, parts_of
from kscope.readers.tools.maps import Entry, Other, Stats, Value
from kscope.readers.tools.slots import SlotError
from kscope.readers.tools.tables import missing_of
from kscope.readers.tools.units import say_unit

AVERAGE = "an average cannot be added up: print stats() or sum() in place of avg()"
_SAMPLE = ("process", "pid", "tid")


@dataclass(slots=True)
class MapRows:
    """Turns entries into rows. Raises UsageError for --keys that name no column.

    The part of a unit that a row has no place for is added to the next one, so sums are right.
    """

    reading: Reading
    keys: KeyColumns = field(init=False)
    _counts: dict[str, int] = field(default_factory=dict)
    _left: dict[str, Fraction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = key_columns(self.reading.category, self.reading.options.keys)

    def line(self, entry: Entry, value: Value, at: float) -> Line | None:
        """Return the row of an entry with a value, None if it adds nothing. Raises ReadError."""
        if isinstance(value, Other):
            raise ReadError(entry.number, refusal(entry.name, value))
        if not _adds(value):
            return None
        if _negative(value):
            self.reading.skipped.add(entry.number, "is a number below 0, which adds up to nothing")
            return None
        try:
            filled = self._filled(entry)
            self._say(entry, filled)
            if filled.has_stack:
                return self._stack(entry, value, filled, at)
            return Line(entry.number, filled.values | self._values(value), at)
        except (KeysError, SlotError) as error:
            raise ReadError(entry.number, f"{entry.name}: {error}") from None

    def _filled(self, entry: Entry) -> Filled:
        parts = parts_of(entry.keys, entry.separator)
        count = self._counts.setdefault(entry.name, len(parts))
        if count != len(parts) and not self.keys.given:
            raise KeysError(
                f"has entries of {count} and of {len(parts)} keys: a text with a comma is "
                "divided like two; name the column of each key with --keys"
            )
        return self.keys.filled(parts, entry.separator)

    def _say(self, entry: Entry, filled: Filled) -> None:
        if filled.names and not self.keys.given:
            names = ", ".join(filled.names)
            self.reading.notice(
                f"the keys of {entry.name} are taken as {names}; name others with --keys"
            )

    def _stack(self, entry: Entry, value: Value, filled: Filled, at: float) -> Line:
        reading, known = self.reading, filled.values
        labels = {name: each for name, each in known.items() if name not in _SAMPLE}
        say_unit(reading)
        root = reading.columns.root
        process = known.get(root.name if root else "process", known.get("process", ""))
        sample = Sample(
            tuple(reversed(filled.frames)),
            self._amounts(value),
            process,
            known.get("pid"),
            known.get("tid"),
            labels | ({"process": known["process"]} if "process" in known else {}),
        )
        line = reading.line(entry.number, sample, at)
        if isinstance(value, tuple):
            line.row.update(histogram_row(reading, [*value], ""))
        return line

    def _amounts(self, value: Value) -> tuple[Amount, ...]:
        if isinstance(value, int):
            return (self.reading.number(value),)
        if isinstance(value, Stats):
            return (self.reading.number(value.total), Amount("count", "count", value.count))
        return (self.reading.number(0),)

    def _values(self, value: Value) -> dict[str, Any]:
        """Return the columns that a value without a stack fills."""
        reading, category = self.reading, self.reading.category
        if isinstance(value, tuple):
            row = histogram_row(reading, [*value], "")
        elif isinstance(value, Stats):
            total = value_column(reading, counted=False)
            count = event_count(category)
            row = {total.name: self._converted(total, value.total)}
            row |= {count.name: value.count} if count and count != total else {}
        else:
            assert isinstance(value, int)
            column = value_column(reading, counted=True)
            if not (reading.options.value or reading.options.unit):
                reading.notice(
                    f"the numbers are taken as {column.name}; choose another with --value"
                )
            row = {column.name: self._converted(column, value)}
        missing = missing_of(category, {*row})
        if missing:
            reading.notice(f"the recording does not have {', '.join(missing)}")
        return row

    def _converted(self, column: Column, number: int) -> int | float:
        unit, scale = self.reading.options.unit, self.reading.options.scale
        factor = unit_of(unit).factor / unit_of(column.unit).factor if unit and column.unit else 1
        exact = Fraction(number) * scale * factor
        if column.type.storage is Storage.REAL:
            return float(exact)
        exact += self._left.get(column.name, Fraction())
        whole = exact.numerator // exact.denominator
        self._left[column.name] = exact - whole
        return whole


def refusal(name: str, value: Other) -> str:
    """Return why a value is not read."""
    if value.kind == "averages":
        return f"{name}: {AVERAGE}"
    return f"{name} holds {value.kind}, which cannot be added up"


def misfit(entry: Entry, rows: MapRows) -> str:
    """Return why a map does not fit the category of the rows."""
    table = rows.reading.category.table
    if isinstance(entry.value, Other):
        return f"{entry.name} holds {entry.value.kind}"
    try:
        filled = rows.keys.filled(parts_of(entry.keys, entry.separator), entry.separator)
    except KeysError as error:
        return f"{entry.name} {error}"
    if filled.has_stack is not (rows.keys.stack is not None):
        has, needs = ("a", "none") if filled.has_stack else ("no", "one")
        return f"{entry.name} has {has} stack, {table} {needs}"
    return f"{entry.name} holds {entry.kind}, {table} has no column for them"


def fitness(entry: Entry, rows: MapRows) -> int:
    """Return how well a map fits the category of the rows; 0 if it does not."""
    category = rows.reading.category
    if isinstance(entry.value, Other):
        return 0
    parts = parts_of(entry.keys, entry.separator)
    try:
        filled = rows.keys.filled(parts, entry.separator)
    except KeysError:
        return 0
    if filled.has_stack is not (rows.keys.stack is not None):
        return 0
    lengths = histogram_columns(category)
    if isinstance(entry.value, tuple):
        return (4 if any(not each.optional for each in lengths) else 2) if lengths else 0
    if not category.with_role(Role.VALUE):
        return 0
    return 3 if parts else 1


def value_column(reading: Reading, *, counted: bool) -> Column:
    """Return the column for numbers without a stack. Raises KscopeError."""
    category, options = reading.category, reading.options
    columns, count = category.with_role(Role.VALUE), event_count(category)
    if options.value:
        found = [each for each in columns if each.name == options.value]
    elif options.unit:
        wanted = unit_of(options.unit).quantity
        found = [each for each in columns if unit_of(each.unit).quantity is wanted]
        found = found or ([count] if wanted is Quantity.COUNT and count else [])
    elif counted and count:
        found = [count]
    else:
        found = [each for each in columns if not each.type.counts_events] or [*columns]
    if not found:
        names = ", ".join(each.name for each in columns) or "none"
        raise KscopeError(
            f"{category.table} has no value {options.value or options.unit}; it has {names}"
        )
    return found[0]


def _adds(value: Value) -> bool:
    if isinstance(value, tuple):
        return any(each.count for each in value)
    return bool(value.count if isinstance(value, Stats) else value)


def _negative(value: Value) -> bool:
    if isinstance(value, tuple):
        return any(each.count < 0 for each in value)
    return (value.total if isinstance(value, Stats) else value) < 0  # type: ignore[operator]
