"""Rows of a recording are sent to a server."""

import json
import math
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby, islice
from typing import Any

from kscope.client.answers import Answer, Outcome
from kscope.client.encoding import timestamp
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.retry import pause_after
from kscope.declare.types.base import Role
from kscope.errors import KscopeError
from kscope.profiles.columns import unknown_values
from kscope.readers.reading.base import Line, Reading
from kscope.readers.recording import Recording

_ROWS_PER_REQUEST = 5000
_TRIES = 6
_LONGEST_PAUSE = 10.0
# Statuses that can change soon: a body that was too slow, a category that the server has not read
# yet, a server that is busy. Other answers before the first row mean a wrong address.
_BUSY = frozenset({408, 422, 429, 502, 503, 504})


@dataclass(slots=True)
class Importer:
    """`hostname`, unless None, and `fixed` replace the values of every row. `began` is the time of
    the recording's first row; `moment` is what a user said of it, and makes another recording.

    So far `rows` were sent; the server had stored `known` of them before, and `old` are older than
    it keeps them. `oldest` is the time of the oldest row. Times are in seconds since 1970.
    """

    endpoint: Endpoint
    recording: Recording
    hostname: str | None
    fixed: dict[str, Any]
    began: float
    moment: str = ""
    rows: int = 0
    known: int = 0
    old: int = 0
    oldest: float = math.inf
    reading: Reading = field(init=False)
    _own_name: str = field(default_factory=socket.gethostname)
    _unknown: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.reading = self.recording.reading()
        fills = self.recording.form.fills_unknown
        self._unknown = unknown_values(self.recording.category) if fills else {}

    def send(self) -> None:
        """Send all rows. KscopeError names the place, also if the recording has no rows."""
        lines = self._lines()
        while batch := list(islice(lines, _ROWS_PER_REQUEST)):
            for host, group in groupby(batch, key=self._host):
                self._post(host, list(group))
        if not self.rows:
            why = next((f": {said}" for said in self.reading.skipped.told()), "")
            name = self.recording.form.name
            raise KscopeError(f"{self.recording.file}: has no rows in the format {name}{why}")

    def _lines(self) -> Iterator[Line]:
        try:
            yield from self.recording.lines(self.reading)
        except KscopeError as error:
            raise KscopeError(f"{error}{self._so_far()}") from None

    def _host(self, line: Line) -> str:
        return self.hostname or str(line.row.get("hostname", self._own_name))

    def _post(self, host: str, lines: Sequence[Line]) -> None:
        stacks: dict[str, int] = {}
        rows = [self._row(line, stacks) for line in lines]
        table = self.recording.category.table
        body = {"hostname": host, "time": timestamp(self.began), "stacks": list(stacks)}
        # The same part of the same recording has the same key, so a table stores it once, whenever
        # and from wherever it is sent: times that only follow from that are no part of it.
        part = [self.recording.identity, table, self.moment, self.rows, host, list(stacks), rows]
        plain = json.dumps(part, sort_keys=True)
        key = blake2b(plain.encode(), digest_size=16).hexdigest()
        timed = any(line.at for line in lines)
        for line, row in zip(lines, rows, strict=True):
            self._set_time(line, row, timed=timed)
        answer = self._delivered(Payload.of(table, body | {table: rows}, key))
        if not answer.stored:
            place = f"{self.recording.file}:{lines[0].number}-{lines[-1].number}"
            raise KscopeError(f"{place}: {answer.text}{self._so_far()}")
        self.rows += len(lines)
        self.known += len(lines) if answer.duplicate else 0
        self.old += sum(answer.old.values())

    def _row(self, line: Line, stacks: dict[str, int]) -> dict[str, Any]:
        row = self._unknown | line.row | self.fixed
        row.pop("hostname", None)
        for column in self.recording.category.with_role(Role.STACK):
            if isinstance(row.get(column.name), str):
                row[column.name] = stacks.setdefault(row[column.name], len(stacks))
        return row

    def _set_time(self, line: Line, row: dict[str, Any], *, timed: bool) -> None:
        """Set the time of a row; of a first row too if others are `timed`, as columns need that."""
        if line.at:
            row["time"] = timestamp(self.began + line.at)
        elif timed:
            row.setdefault("time", timestamp(self.began))
        self.oldest = min(self.oldest, _seconds(row.get("time"), self.began))

    def _delivered(self, payload: Payload) -> Answer:
        """Try again if the server is busy, but not if it never answered."""
        for attempt in range(1, _TRIES):
            answer = self.endpoint.post(payload)
            final = answer.stored or answer.outcome is Outcome.REFUSED
            if final or not (answer.status in _BUSY or self.rows):
                return answer
            time.sleep(pause_after(answer, attempt, _LONGEST_PAUSE))
        return self.endpoint.post(payload)

    def _so_far(self) -> str:
        return f" ({self.rows} rows before it are stored)" if self.rows else ""


def _seconds(time: Any, began: float) -> float:
    """Return the row's own time if it can be read; the server checks the others."""
    try:
        moment = datetime.fromisoformat(time)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return began
