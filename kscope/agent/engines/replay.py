"""Play a recording repeatedly with the present time: for demos, and hosts without BPF."""

import time
from collections.abc import Iterator

from kscope.agent.engines.base import Engine
from kscope.agent.rows.interval import Drained, Row
from kscope.agent.rows.recording import Recording
from kscope.client.encoding import timestamp

# The host name of replayed rows starts with this; the page marks these hosts.
HOSTNAME_PREFIX = "recording:"


class ReplayEngine(Engine):
    """The first drain includes the `history` seconds before the start. Each row has a time."""

    def __init__(self, recording: Recording, history: float = 0.0) -> None:
        self._recording = recording
        self._history = history

    def start(self) -> None:
        self._played = time.time() - self._history

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> Drained:
        now = time.time()
        rows = list(self._between(self._played, now))
        self._played = max(now, self._played)
        return Drained(rows)

    def close(self) -> None:
        pass

    def _between(self, after: float, until: float) -> Iterator[Row]:
        """Yield the rows of the intervals that end in this time; the recording repeats."""
        length = self._recording.length
        repeat = int(after // length)
        while repeat * length < until:
            for at, rows in self._recording.intervals:
                ended = repeat * length + at
                if after < ended <= until:
                    stamp = {"time": timestamp(ended)}
                    yield from (row | stamp for row in rows)
            repeat += 1
