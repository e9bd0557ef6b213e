"""The time that is left for one question, however many statements it needs."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kscope.store.backends.errors import QueryTimeout


@dataclass
class Deadline:
    """The time that is left for one request, in seconds.

    Work that runs in parallel counts once. Time spent sending the answer to the client does not
    count.
    """

    left: float
    began: float = field(default_factory=time.monotonic)
    _running: int = 0
    _since: float = 0.0

    @contextmanager
    def running(self) -> Iterator[float]:
        """Count the time until the end of the block.

        Yield the point in time at which the deadline ends, on the monotonic clock, which is also
        the event loop's. Raise QueryTimeout if it has ended.
        """
        if not self._running:
            self._since = time.monotonic()
        self._running += 1
        try:
            yield time.monotonic() + self.check()
        finally:
            self._running -= 1
            if not self._running:
                self.left -= time.monotonic() - self._since

    def check(self) -> float:
        """Return the seconds that are left; raise QueryTimeout if there are none.

        Long loops call it from time to time, in whichever thread they run.
        """
        spent = time.monotonic() - self._since if self._running else 0.0
        if self.left - spent <= 0:
            raise QueryTimeout("the question was cancelled at its deadline")
        return self.left - spent

    def end(self) -> None:
        """Stop threads that still work for the request, at their next check."""
        self.left = -math.inf
