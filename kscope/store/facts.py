"""The small things that every question needs before it reads rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from kscope.store.schema.progress import Progress


@dataclass(frozen=True, slots=True)
class Facts:
    """How far the levels of each category are, and the ids of hosts that replayed a recording."""

    progress: Mapping[str, Mapping[int, Progress]]
    replayed_hosts: tuple[int, ...]


@dataclass(slots=True)
class LastFacts:
    """Those that the last question found; None before the first."""

    facts: Facts | None = None
