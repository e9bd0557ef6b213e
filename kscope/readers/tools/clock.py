"""Times of day in a tool's output become seconds after the first one."""

import re
from dataclasses import dataclass

_DAY = 86_400.0
# The clock that a tool prints goes back by less than this if it was set.
_NIGHT = _DAY / 2
_TIME = re.compile(r"\[?(\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)\]?", re.ASCII)


def is_time(text: str) -> bool:
    """Return whether a text is only a time of day, as `13:02:46` or `[13:02:46]`."""
    return _TIME.fullmatch(text.strip()) is not None


@dataclass(slots=True)
class Clock:
    """The time of the line that was read last.

    `at` is in seconds after the first time of the recording. A time of day before the last one is
    the next day's.
    """

    at: float = 0.0
    _first: float | None = None
    _last: float = 0.0
    _days: int = 0

    def read(self, text: str) -> bool:
        """Take `13:02:46` or `[13:02:46]`; return whether the text is one."""
        found = _TIME.fullmatch(text.strip())
        if found is None:
            return False
        hours, minutes, seconds = found.groups()
        moment = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if moment < self._last - _NIGHT:
            self._days += 1
        self._last = moment
        self.set(self._days * _DAY + moment)
        return True

    def set(self, seconds: float) -> None:
        """Take seconds after any moment."""
        if self._first is None:
            self._first = seconds
        self.at = max(0.0, seconds - self._first)
