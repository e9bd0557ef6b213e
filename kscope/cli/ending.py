"""The end of a command that reads a pipe: its own end, or a signal."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# How long to read on after a signal, in seconds: without a line, and at most. Ctrl-C also reaches
# the program that writes the pipe, which may have more to say.
_WAITS = {signal.SIGINT: (5.0, 20.0), signal.SIGTERM: (2.0, 10.0), signal.SIGHUP: (2.0, 10.0)}


@dataclass(slots=True)
class Ending:
    """Whether a signal asked for the end, `since` when, and by which. The second signal raises
    KeyboardInterrupt.
    """

    asked: signal.Signals | None = None
    since: float = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note the signals, except those that the starter of this process ignores."""
        before = {number: signal.getsignal(number) for number in _WAITS}
        noted = [number for number in _WAITS if before[number] is not signal.SIG_IGN]
        for number in noted:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number in noted:
                signal.signal(number, before[number])

    def is_over(self, last: float) -> bool:
        """Return whether to stop reading. `last` is when a byte arrived, by the monotonic clock."""
        if self.asked is None:
            return False
        quiet, most = _WAITS[self.asked]
        now = time.monotonic()
        return now - max(last, self.since) > quiet or now - self.since > most

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked, self.since = signal.Signals(number), time.monotonic()
