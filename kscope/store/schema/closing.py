"""The time before which a level is being closed: rows from before it are late.

Each level has a note, and a mark, which no level of its category had before it: a late row has the
marks of the levels that its sums were added to apart from the others. A level that is made later
has another mark, so that it takes those rows too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

_NEVER = -(2**62)
# Bits of the column that holds marks.
_MARKS = 63


@dataclass(frozen=True, slots=True)
class Closing:
    """A level is being closed up to `stop`; that was noted `at` (us, the engine's clock).

    `mark` is its bit. A level that `is_gone` is no more; its mark is not given again.
    """

    mark: int
    stop: int = _NEVER
    at: int = 0
    is_gone: bool = False

    @property
    def text(self) -> str:
        return json.dumps([self.mark, self.stop, self.at, self.is_gone])

    def gone(self) -> "Closing":
        return replace(self, is_gone=True)


def closing_prefix(table: str) -> str:
    """Return the beginning of the names of a category's notes."""
    return f"closing {table} "


def closing_note(table: str, bucket: int) -> str:
    return f"{closing_prefix(table)}{bucket}"


def closing_of(notes: Mapping[str, str], table: str) -> dict[int, Closing]:
    """Return the levels of a category among some notes, by bucket in seconds."""
    return {bucket: each for bucket, each in _all(notes, table).items() if not each.is_gone}


def new_level(notes: Mapping[str, str], table: str) -> Closing:
    """Return the state of a level that is made now."""
    last = max((each.mark.bit_length() for each in _all(notes, table).values()), default=0)
    return Closing(1 << last % _MARKS)


def marks_of(levels: Mapping[int, Closing], time: int) -> int:
    """Return the marks of the levels that a row of this time is late for; 0 for none."""
    return sum(each.mark for each in levels.values() if time < each.stop)


def _all(notes: Mapping[str, str], table: str) -> dict[int, Closing]:
    prefix = closing_prefix(table)
    return {
        int(name.removeprefix(prefix)): Closing(*json.loads(text))
        for name, text in notes.items()
        if name.startswith(prefix)
    }
