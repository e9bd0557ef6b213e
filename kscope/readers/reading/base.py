"""Every reader receives a reading of a recording, and yields its rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, Protocol

from kscope.declare.model import Category
from kscope.errors import KscopeError
from kscope.profiles.columns import SampleColumns, SampleError, Wanted, sample_columns
from kscope.profiles.sample import Amount, Sample

_MOST_REASONS = 50
# No tool writes longer lines of text, and the server takes no longer stacks.
LONGEST_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A row, and the line of the file that it starts on. `at` is in seconds after the first row."""

    number: int
    row: dict[str, Any]
    at: float = 0.0


class ReadError(KscopeError):
    """The file does not have the format that was named; `number` is the line."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, slots=True)
class Options:
    """A user's words about a recording; an empty text, a None or a scale of 1 says nothing.

    `value` and `root` name columns (see profiles.columns.Wanted), `event` the one to read of
    several, `unit` and `scale` those of the numbers, `frequency` the samples a second. `keys` are
    the columns for the keys of a map, divided by commas; `printed` says whether a map that is
    printed several times holds `totals` or `increases`.
    """

    value: str = ""
    root: str | None = None
    event: str = ""
    frequency: float | None = None
    unit: str | None = None
    scale: Fraction = Fraction(1)
    keys: str = ""
    printed: str = ""

    def given(self) -> list[str]:
        """Return the names of those that say something."""
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]


@dataclass(slots=True)
class Skipped:
    """Lines that were left out: how many for each reason, and the first one of each."""

    reasons: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, number: int, reason: str) -> None:
        if reason not in self.reasons and len(self.reasons) >= _MOST_REASONS:
            reason = "other reasons"
        count, first = self.reasons.get(reason, (0, number))
        self.reasons[reason] = count + 1, first

    @property
    def count(self) -> int:
        return sum(count for count, _ in self.reasons.values())

    def __str__(self) -> str:
        """Return the number of lines, to follow a number of rows; nothing if there are none."""
        return f", {self.count} lines skipped" if self.count else ""

    def told(self) -> Iterator[str]:
        """Yield a sentence for each reason, the most frequent first."""
        for reason, (count, first) in sorted(self.reasons.items(), key=lambda one: -one[1][0]):
            lines = "1 line" if count == 1 else f"{count} lines"
            yield f"{lines} skipped: {reason} (the first is line {first})"


class Content(Protocol):
    """The text or the bytes of a recording, decompressed."""

    def lines(self, skipped: Skipped, longest: int = LONGEST_LINE) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line, without its end; skip one that has more than
        `longest` bytes.
        """

    def whole(self, limit: int) -> bytes:
        """Return all bytes. Raises KscopeError if there are more than `limit`."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The result of a first pass over a recording.

    It has the recording's length in seconds, the event to read, and the seconds between two
    samples, if they are known. `facts` are words that a format's own pass notes for the next one;
    they are not there if a recording is read once, as it is from a pipe. `notices` are the first
    pass's sentences.
    """

    length: float = 0.0
    event: str = ""
    interval: float | None = None
    facts: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
    """One pass over a recording for a category. Readers note here what a user must know.

    `live`: it is a pipe, in which other lines follow after one that is damaged.
    """

    category: Category
    content: Content
    options: Options = Options()
    survey: Survey = Survey()
    skipped: Skipped = field(default_factory=Skipped)
    notices: list[str] = field(default_factory=list)
    live: bool = False
    _columns: SampleColumns | None = None

    def lines(self, longest: int = LONGEST_LINE) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line that has at most `longest` bytes."""
        return self.content.lines(self.skipped, longest)

    def leave_out(self, error: ReadError) -> None:
        """Count a line without a row in a pipe, where others follow. Raise the error for a file."""
        if not self.live:
            raise error
        self.skipped.add(error.number, str(error))

    def notice(self, text: str) -> None:
        """Note a sentence for the user, once."""
        if text not in self.notices and len(self.notices) < _MOST_REASONS:
            self.notices.append(text)

    def told(self) -> Iterator[str]:
        """Yield the sentences for the user, once all rows are read."""
        yield from self.notices
        if self._columns and self._columns.untimed:
            yield (
                f"the time of {self._columns.untimed} samples is not known and stored as 0: name "
                "their rate with --frequency HZ"
            )
        yield from self.skipped.told()

    @property
    def columns(self) -> SampleColumns:
        """Return the columns that samples fill. Raises KscopeError if the category has none."""
        if self._columns is None:
            chosen, interval = self.options, self.survey.interval
            frequency = chosen.frequency or (1 / interval if interval else None)
            wanted = Wanted(chosen.value, chosen.root, frequency)
            self._columns = sample_columns(self.category, wanted)
        return self._columns

    def sampled_at(self, rate: float) -> None:
        """Take the samples a second that the recording names, unless they are known or 0."""
        if rate > 0 and self.columns.frequency is None:
            self.columns.frequency = rate

    def number(self, value: int | Fraction, unit: str = "") -> Amount:
        """Return a number of the recording as an amount: the user's unit wins, then `unit`, then
        that of the column.
        """
        scaled = value * self.options.scale
        return Amount("", self.options.unit or unit or self.columns.unit(), scaled)

    def line(self, number: int, sample: Sample, at: float = 0.0) -> Line:
        """Return a sample as a row. Raises ReadError."""
        try:
            return Line(number, self.columns.row(sample), at)
        except SampleError as error:
            raise ReadError(number, str(error)) from None


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a recording."""

    raw: bytes
    text: str
    whole: bool

    def lines(self, longest: int = 64 * 1024) -> list[str]:
        """Return its lines that are not blank and have at most `longest` characters; one that is
        cut off is left out.
        """
        found = self.text.splitlines()
        return [
            line
            for line in (found if self.whole else found[:-1])
            if len(line) <= longest and line.strip()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of recordings.

    `matches` decides by the beginning; formats are asked by `rank`, the strict ones first.
    `options` are the names of the Options that it heeds. With a `survey` the recording is read
    twice. `live`: rows can be read from a pipe while another program writes them. With
    `fills_unknown`, required columns that a row does not have are 0 or empty.
    """

    name: str
    help: str
    example: str
    matches: Callable[[Head], bool]
    read: Callable[[Reading], Iterator[Line]]
    rank: int = 50
    options: frozenset[str] = frozenset()
    survey: Callable[[Reading], Survey] | None = None
    live: bool = False
    fills_unknown: bool = True
