"""Losses that no delivered row has reported yet, and the intervals that have started.

A file next to the spool keeps both, so that they survive the process. It is written when an
interval starts.
"""

import json
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kscope.agent.rows.interval import Row
from kscope.declare.model import Category
from kscope.declare.types.base import Role

log = logging.getLogger(__name__)
FILE = "state.json"


@dataclass(frozen=True, slots=True)
class OpenInterval:
    """An unfinished interval: its start in seconds since the epoch, its planned length."""

    at: float
    length: float


class Unreported:
    """Thread-safe. The counts are the columns of `category` (the agents' own rows) that add up."""

    def __init__(self, folder: Path, category: Category | None) -> None:
        self._file = folder / FILE
        self._sums = frozenset(
            column.name
            for column in (category.columns if category else ())
            if column.type.role is Role.VALUE and column.type.aggregate == "sum"
        )
        self._lock = threading.Lock()
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._started: dict[str, OpenInterval] = {}

    def add(self, probe: str, counts: Mapping[str, Any]) -> None:
        """Add counts to the probe's next row. `counts` may be a row that was not delivered."""
        added = {
            name: counts[name]
            for name in self._sums & counts.keys()
            if isinstance(counts[name], int) and counts[name]
        }
        with self._lock:
            self._counts[probe].update(added)

    def take_into(self, row: Row) -> Row:
        """Return the row with the counts of its probe, which are no longer unreported.

        If the row cannot be delivered, `add` it again.
        """
        with self._lock:
            counts = self._counts.pop(row["probe"], Counter[str]())
        return row | {name: row.get(name, 0) + count for name, count in counts.items()}

    def without_row(self, running: Collection[str]) -> list[str]:
        """Return the probes that have counts but, as they do not run, no next row."""
        with self._lock:
            return sorted(set(self._counts) - set(running))

    def started(self, probe: str, interval: OpenInterval | None) -> None:
        """Record that an interval started; None if the probe left the kernel."""
        with self._lock:
            if interval is None:
                self._started.pop(probe, None)
            else:
                self._started[probe] = interval
            self._write()

    def take_over(self, folder: Path) -> dict[str, OpenInterval]:
        """Add the counts of an agent that no longer runs; return its unfinished intervals."""
        file = folder / FILE
        try:
            left: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            started = {
                str(probe): OpenInterval(float(each["at"]), float(each["length"]))
                for probe, each in left["began"].items()
            }
            unreported = {str(probe): dict(counts) for probe, counts in left["owed"].items()}
            file.unlink()
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return {}
        for probe, counts in unreported.items():
            self.add(probe, counts)
        return started

    def save(self) -> None:
        with self._lock:
            self._write()

    def _write(self) -> None:
        """If the disk is full, the file stays as it was, which is nearly as accurate."""
        state = {
            "began": {probe: asdict(each) for probe, each in self._started.items()},
            "owed": {probe: counts for probe, counts in self._counts.items() if counts},
        }
        try:
            if any(state.values()):
                building = self._file.with_suffix(".tmp")
                building.touch(mode=0o600)
                building.write_text(json.dumps(state), encoding="utf-8")
                building.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s: %s", self._file, error.strerror)
