"""Rows of a pipe are checked and handed to a Logger; a user reads what happens to them."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kscope.cli.ending import Ending
from kscope.client.answers import one_line
from kscope.client.encoding import timestamp
from kscope.client.logger import Logger
from kscope.client.values import time_of
from kscope.declare.model import Category
from kscope.declare.rowcheck import RowCheck
from kscope.errors import KscopeError
from kscope.profiles.columns import unknown_values
from kscope.readers.live import LiveRows
from kscope.readers.reading.base import Line, Skipped

_BATCH = 500
_SAID_EVERY = 60.0
_PAUSE = 0.02
# Of one row.
_SAID_FAULTS = 3
# Seconds without a line after which a user reads that no format is known yet.
_SILENT = 2.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Left:
    """Lines that give no row: the first one is said at once, then at most one sentence a minute."""

    say: Say
    what: str
    skipped: Skipped = field(default_factory=Skipped)
    _row: str = ""
    _said: int = 0
    _last: float = 0.0

    def add(self, number: int, reason: str, row: dict[str, Any]) -> None:
        if not self.skipped.count:
            self._row = f" (the row is {one_line(json.dumps(row, default=str))})"
        self.skipped.add(number, reason)

    def tell(self) -> None:
        """Say the first one, or how many there are, unless that was said lately."""
        count = self.skipped.count
        if count == self._said or (self._said and time.monotonic() - self._last < _SAID_EVERY):
            return
        if self._said:
            self.say(f"{count} {self.what} so far")
        else:
            reason, (_, number) = next(iter(self.skipped.reasons.items()))
            self.say(
                f"line {number} {self.what.partition(' ')[2]}: {one_line(reason, 500)}{self._row}"
            )
        self._said, self._last = count, time.monotonic()


@dataclass(slots=True)
class LiveSending:
    """Passes the rows of a pipe on to `logger`. `hostname`, unless empty, and `fixed` replace the
    values of every row.
    """

    category: Category
    logger: Logger
    hostname: str
    fixed: dict[str, Any]
    ending: Ending
    say: Say
    skipped: Left = field(init=False)
    refused: Left = field(init=False)
    _check: RowCheck = field(init=False)
    _unknown: dict[str, Any] = field(default_factory=dict)
    _rows: list[tuple[int, str | None, dict[str, Any]]] = field(default_factory=list)
    _notices: int = 0
    _passed_on: int = 0
    _silence_said: bool = False
    _late_said: bool = False
    _full_said: bool = False
    _moment: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self.skipped = Left(self.say, "lines skipped")
        self.refused = Left(self.say, "rows refused")
        self._check = RowCheck(self.category)

    def run(self, live: LiveRows) -> None:
        """Read to the end. Raises KscopeError if the pipe has no known format."""
        live.pipe.idle = lambda: self._idle(live)
        try:
            for line in live.rows():
                self._take(live, line)
        finally:
            self._idle(live)

    def tell_rest(self, live: LiveRows) -> None:
        """Say, at the end, how many lines were left out for which reason."""
        if live.pipe.taken and not (self._passed_on or self.refused.skipped.count):
            self.say(f"no row of {self.category.table} was in {live.pipe.taken} lines")
        told = [*live.reading.told()][self._notices :]
        # A single one was said when it came.
        alone = self.skipped.skipped.count == 1
        for sentence in told[:-1] if alone else told:
            self.say(sentence)

    def _take(self, live: LiveRows, line: Line) -> None:
        if not self._unknown and live.form and live.form.fills_unknown:
            self._unknown = unknown_values(self.category)
        row = self._unknown | line.row | self.fixed
        host = row.pop("hostname", None)
        try:
            moment = row.get("time")
            row["time"] = self._arrival(live, line) if moment is None else time_of(moment)
        except ValueError as error:
            self.refused.add(line.number, f"time: {error}", row)
            return
        self._rows.append((line.number, host, row))
        if len(self._rows) >= _BATCH:
            self._pass_on()

    def _arrival(self, live: LiveRows, line: Line) -> str:
        moment = live.pipe.arrived(line.number)
        if moment != self._moment[0]:
            self._moment = moment, timestamp(moment)
        return self._moment[1]

    def _idle(self, live: LiveRows) -> None:
        """Pass rows on before a wait for more, and say what is new."""
        self._pass_on()
        for notice in live.reading.notices[self._notices :]:
            self.say(notice)
        self._notices = len(live.reading.notices)
        self.skipped.tell()
        self.refused.tell()
        if live.pipe.late and not self._late_said:
            self._late_said = True
            self.say(
                "the writer keeps its lines back until it has many, so rows come late:"
                " `stdbuf -oL COMMAND | kscope log` has a line at once, PYTHONUNBUFFERED=1 a"
                " Python program's"
            )
        silent = time.monotonic() - live.pipe.last > _SILENT
        if live.unread and silent and not self._silence_said:
            self._silence_said = True
            self.say(
                f"no format is known yet after {one_line(live.unread[-1][1], 60)!r}; --format names"
                " one"
            )

    def _pass_on(self) -> None:
        rows, self._rows = self._rows, []
        self._passed_on += len(rows)
        for number, host, row in rows:
            faults = [*islice(self._check.faults(row), _SAID_FAULTS)]
            if faults:
                self.refused.add(number, "; ".join(faults), row)
            else:
                self._log(host, row)

    def _log(self, host: str | None, row: dict[str, Any]) -> None:
        while True:
            if self.logger.is_full:
                self._wait_for_room()
            try:
                self.logger(self.category.table, **row, hostname=self.hostname or host)
            except KscopeError:
                if self.ending.asked:
                    raise
            else:
                return

    def _wait_for_room(self) -> None:
        """Let the writer of the pipe wait, in place of losing rows."""
        while self.logger.is_full and not self.ending.asked:
            if not self._full_said:
                self._full_said = True
                kept = self.logger.counts
                self.say(
                    f"{kept.kept + kept.waiting} rows wait for the server, and no more fit: the"
                    " pipe is read further when the server takes some"
                )
            time.sleep(_PAUSE)
