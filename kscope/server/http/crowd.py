"""Processes that accept from one socket: the next connection is for one that has the fewest."""

from dataclasses import dataclass, field

from kscope.server.http.memory_budget import Words

# The number of a process that accepts nothing now.
AWAY = 2**63


@dataclass(frozen=True)
class Crowd:
    """The open connections of one listener, by process; `place` is that of this process.

    Without it an idle process takes a connection of a long-lived sender as often as a busy one, and
    four senders are served by one of two processes in every eighth case.
    """

    counts: Words = field(default_factory=lambda: [0])
    place: int = 0

    def note(self, count: int) -> None:
        self.counts[self.place] = count

    def is_fuller(self) -> bool:
        """Return whether another process has fewer connections."""
        return self.counts[self.place] > min(self.counts)
