"""One log line for many events of one kind."""

import asyncio
import logging
from dataclasses import dataclass, field


@dataclass
class ThrottledLog:
    """Log the first event immediately, later ones as one line per `seconds`, with their number."""

    log: logging.Logger
    seconds: float = 10
    _waiting: str = field(default="", init=False)
    _count: int = field(default=0, init=False)
    _quiet: asyncio.TimerHandle | None = field(default=None, init=False)

    def warning(self, text: str) -> None:
        """Log `text` now, or at the end of this period. Needs a running event loop."""
        if self._quiet is None:
            self.log.warning("%s", text)
            self._quiet = asyncio.get_running_loop().call_later(self.seconds, self._next)
            return
        self._waiting = text
        self._count += 1

    def _next(self) -> None:
        count, self._count, self._quiet = self._count, 0, None
        if count:
            self.log.warning("%s; %d times in %g s", self._waiting, count, self.seconds)
            self._quiet = asyncio.get_running_loop().call_later(self.seconds, self._next)
