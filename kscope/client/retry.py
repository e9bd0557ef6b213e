"""The pauses between attempts, and the tables that a server does not know yet."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kscope.client.answers import Answer

# Seconds for which a category may be unknown: its file may reach the agent before the server.
UNKNOWN_FOR = 600.0
_LONGEST_HOLD = 30.0


def backoff(attempt: int, longest: float) -> float:
    """Return the seconds to wait before attempt `attempt` (from 1): doubling, and random, so that
    a fleet that lost its server does not come back all together.
    """
    return random.uniform(0.5, 1.0) * min(longest, 2.0 ** min(attempt - 1, 16))  # noqa: S311


def pause_after(answer: Answer, attempt: int, longest: float) -> float:
    """Return the seconds to wait after an answer. A server's Retry-After is lengthened at random
    too, because a whole fleet may have received the same.
    """
    asked = min(answer.retry_after or 0.0, 10 * longest)
    return max(asked * random.uniform(1.0, 1.5), backoff(attempt, longest))  # noqa: S311


@dataclass(slots=True)
class _Hold:
    since: float
    until: float
    attempts: int = 0


class Holds:
    """Tables that the server does not know yet: their rows wait, and other tables are sent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tables: dict[str, _Hold] = {}

    def later(self, table: str) -> float:
        """Hold the table back; return the seconds since it was held back first."""
        now = self._clock()
        hold = self._tables.setdefault(table, _Hold(now, now))
        hold.attempts += 1
        hold.until = now + backoff(hold.attempts, _LONGEST_HOLD)
        return now - hold.since

    def known(self, table: str) -> None:
        self._tables.pop(table, None)

    def held(self) -> frozenset[str]:
        """Return the tables whose rows are not sent now."""
        now = self._clock()
        return frozenset(table for table, hold in self._tables.items() if hold.until > now)

    def next(self) -> float | None:
        """Return the seconds until the next table is tried again, or None."""
        untils = [hold.until for hold in self._tables.values()]
        return max(0.0, min(untils) - self._clock()) if untils else None
