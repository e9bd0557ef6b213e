"""`from` and `to`: ISO 8601, `now-1h`, or microseconds since the epoch."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kscope.declare.units import SECONDS
from kscope.query.parse.errors import complain

SECOND = 1_000_000
DEFAULT_FROM = "now-1h"
DEFAULT_TO = "now"
MOMENT_HELP = (
    "ISO 8601 such as 2026-11-23T02:00:00Z (UTC where no offset is given), "
    "now or now-1h30m (units s m h d w), or microseconds since the epoch"
)
_RELATIVE = re.compile(r"now(?:([+-])((?:\d{1,9}[smhdw])+))?", re.ASCII)
_PART = re.compile(r"(\d+)([smhdw])", re.ASCII)
# Shorter numbers are dates in ISO's basic form, such as 20261123.
_MICROSECONDS = re.compile(r"-?\d{12,19}", re.ASCII)
# Until the year 2286 milliseconds have as many; microseconds had them until April 1970.
_MILLISECONDS = 13
# A + that was not escaped in an address arrives as a space.
_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 10**18


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Microseconds since the epoch, from `start` up to but without `end`."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SECOND


# 1970 to the year 33658: what the questions of 2016, which have no range, mean.
ALWAYS = TimeRange(-_LAST, _LAST)


def now() -> int:
    return time.time_ns() // 1000


def parse_range(start: str, end: str, moment: int) -> TimeRange:
    """Both ends seen from the same `moment`, in microseconds."""
    asked = TimeRange(parse_moment("from", start, moment), parse_moment("to", end, moment))
    if asked.start >= asked.end:
        raise complain("from", f"must be before 'to': {start[:80]!r} is not before {end[:80]!r}")
    return asked


def parse_moment(parameter: str, text: str, moment: int) -> int:
    if len(text) == _MILLISECONDS and _MICROSECONDS.fullmatch(text):
        said = f"{text} is in milliseconds, it seems: write {text}000, microseconds"
        raise complain(parameter, f"{said}, or ISO 8601")
    try:
        found = _microseconds(text, moment)
    except (ValueError, OverflowError):
        found = None
    if found is None or abs(found) > _LAST:
        raise complain(parameter, f"{text[:80]!r} is not a time. Allowed: {MOMENT_HELP}")
    return found


def _microseconds(text: str, moment: int) -> int:
    if relative := _RELATIVE.fullmatch(text):
        sign, parts = relative.groups("")
        seconds = sum(int(number) * SECONDS[unit] for number, unit in _PART.findall(parts))
        return moment + (-seconds if sign == "-" else seconds) * SECOND
    if _MICROSECONDS.fullmatch(text):
        return int(text)
    parsed = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
    aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def iso(microseconds: int) -> str:
    """Write a moment as `2026-11-23T02:46:15.288693Z`; one outside the calendar as its number."""
    try:
        moment = _EPOCH.replace(tzinfo=None) + timedelta(microseconds=microseconds)
    except OverflowError:
        return str(microseconds)
    return f"{moment.isoformat(timespec='microseconds')}Z"
