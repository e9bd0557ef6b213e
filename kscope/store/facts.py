"""The small things that every question needs before it reads rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kscope.store.schema.progress import Progress


@dataclass(frozen=True, slots=True)
class Facts:
    """How far the levels of each category are, and the ids of hosts that replayed a recording."""

    progress: Mapping[str, Mapping[int, Progress]]
    replayed_hosts: tuple[int, ...]


@dataclass(slots=True)
class LastFacts:
    """Those that the last question found; None before the first.

    `intervals` is how far apart the rows of a table's hosts came when it was last read, in
    microseconds.
    """

    facts: Facts | None = None
    intervals: dict[str, int] = field(default_factory=dict)
