"""One log line for many events of one kind."""

import asyncio
import logging
from contextvars import Context, copy_context
from dataclasses import dataclass, field


@dataclass
class ThrottledLog:
    """Log the first event immediately, later ones as one line per `seconds`, with their number."""

    log: logging.Logger
    seconds: float = 10
    _waiting: str = field(default="", init=False)
    # The fields of the event that waits.
    _context: Context = field(default_factory=Context, init=False)
    _count: int = field(default=0, init=False)
    _quiet: asyncio.TimerHandle | None = field(default=None, init=False)

    def warning(self, text: str) -> None:
        """Log `text` now, or at the end of this period. Needs a running event loop."""
        if self._quiet is None:
            self.log.warning("%s", text)
            self._wait()
            return
        self._waiting, self._context = text, copy_context()
        self._count += 1

    def _wait(self) -> None:
        # Not as a part of the request that this event is of.
        loop = asyncio.get_running_loop()
        self._quiet = loop.call_later(self.seconds, self._next, context=Context())

    def _next(self) -> None:
        count, self._count, self._quiet = self._count, 0, None
        if count:
            text = "%s; %d times in %g s"
            self._context.run(self.log.warning, text, self._waiting, count, self.seconds)
            self._context = Context()
            self._wait()
