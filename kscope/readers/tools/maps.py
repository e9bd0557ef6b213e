"""The maps and lines that bpftrace prints, whether as text or as JSON."""

from dataclasses import dataclass

from kscope.readers.tools.slots import Bucket

# Bytes of a line of JSON: it holds a whole map.
LONGEST_MAP = 32 * 1024 * 1024
# Bytes of a printed line.
LONGEST_TEXT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stats:
    """The value of a map of stats()."""

    count: int
    total: int


@dataclass(frozen=True, slots=True)
class Other:
    """A value that cannot be added up; `kind` is a word for it."""

    kind: str


Value = int | Stats | tuple[Bucket, ...] | Other


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a map and its value; the keys are joined by `separator`, None if it has none.

    `begins`: it is the first entry of a printing of the map.
    """

    number: int
    name: str
    keys: str | None
    value: Value
    separator: str
    begins: bool

    @property
    def kind(self) -> str:
        """Return a word for its value."""
        if isinstance(self.value, Other):
            return self.value.kind
        return (
            "numbers"
            if isinstance(self.value, int)
            else ("stats" if isinstance(self.value, Stats) else "histograms")
        )


@dataclass(frozen=True, slots=True)
class Printed:
    """A line that a script printed."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day that a script printed."""

    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Blank lines, as before the maps that bpftrace prints at its exit; a script may print some."""


Item = Entry | Printed | Moment | Exit
