"""Names of perf's events, and what they say about time."""

import re
from collections.abc import Iterable

_MODIFIERS = re.compile(r"(?<=.):[ukhGHIpPSDWeRbX]+$")
_UNIT_MODIFIERS = re.compile(r"(?<=/)[ukhGHIpPSDWeRbX]+$")
_OF_UNIT = re.compile(r"\w+/([\w.-]+)[,/].*")
# The period of these is in nanoseconds.
_CLOCKS = re.compile(r"cpu-clock|task-clock|offcpu-time|sched:sched_stat_\w+")
_WAITED = re.compile(r"\b(?:delay|runtime)=([0-9]{1,18}) \[ns\]")
# A program causes them; time does not.
_HAPPENINGS = re.compile(
    r"[\w.-]+:[\w.@*-]+|mem:.*|(page|minor|major|alignment|emulation)-faults|faults|cs|migrations"
    r"|context-switches|cpu-migrations|cgroup-switches|dummy|bpf-output"
)


def base_name(event: str) -> str:
    """Return the name without modifiers: `cycles` for `cycles:P`, `cpu/x/` for `cpu/x/u`."""
    return _UNIT_MODIFIERS.sub("", _MODIFIERS.sub("", event))


def column_name(event: str) -> str:
    """Return the name that a column for the event's period has: `cache_misses`."""
    base = base_name(event)
    of_unit = _OF_UNIT.fullmatch(base)
    return re.sub(r"\W", "_", of_unit[1] if of_unit else base)


def same_events(names: Iterable[str], event: str) -> frozenset[str]:
    """Return the names of the same event with any modifiers."""
    return frozenset(each for each in names if base_name(each) == base_name(event))


def chosen_events(names: Iterable[str], wanted: str) -> frozenset[str]:
    """Return the names that a user's word means: that name, else those that have other modifiers,
    else those of several units, as cpu_core/cycles/ and cpu_atom/cycles/ are cycles.
    """
    known = [*names]
    if wanted in known:
        return frozenset((wanted,))
    if same := same_events(known, wanted):
        return same
    inside = ((each, _OF_UNIT.fullmatch(base_name(each))) for each in known)
    return frozenset(each for each, unit in inside if unit and unit[1] == wanted)


def nanoseconds(event: str, period: int | None, rest: str) -> int | None:
    """Return the time that a sample says that it stands for; None if it does not."""
    if not _CLOCKS.fullmatch(base_name(event)):
        return None
    if period:
        return period
    waited = _WAITED.search(rest[:4096])
    return int(waited[1]) if waited else None


def is_clock(event: str) -> bool:
    """Return whether the period of the event is a time."""
    return _CLOCKS.fullmatch(base_name(event)) is not None


def takes_time(event: str) -> bool:
    """Return whether samples of the event come at a rate, so that their number tells a time."""
    return _HAPPENINGS.fullmatch(base_name(event)) is None
