"""What the server has not been told of yet: counts that were owed, and intervals under way.

It survives the process: a file beside the spool holds it, written whenever an interval begins.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kscope.declare.types.base import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from kscope.agent.engines.base import Row
    from kscope.declare.model import Category

log = logging.getLogger(__name__)
FILE = "state.json"


@dataclass(frozen=True, slots=True)
class Began:
    """An interval under way: since when, in seconds since the epoch, and how long it was to be."""

    at: float
    length: float


class Ledger:
    """Used from any thread. `category` takes the agents' rows: its sums are what is owed."""

    def __init__(self, folder: Path, category: Category | None) -> None:
        self._file = folder / FILE
        self._sums = frozenset(
            column.name
            for column in (category.columns if category else ())
            if column.type.role is Role.VALUE and column.type.aggregate == "sum"
        )
        self._lock = threading.Lock()
        self._owed: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._began: dict[str, Began] = {}

    def owe(self, probe: str, counts: Mapping[str, Any]) -> None:
        """To be told in the probe's next row; of a row, what adds up."""
        with self._lock:
            self._add(self._owed[probe], counts)

    def settle(self, row: Row) -> Row:
        """The row, with what is owed for its probe. Whoever cannot deliver it owes it all again."""
        with self._lock:
            owed = self._owed.pop(row["probe"], {})
            total = {name: row[name] for name in self._sums if name in row}
            self._add(total, owed)
        return row | total

    def orphans(self, running: Collection[str]) -> list[str]:
        """Probes that are owed something and will have no next row of their own."""
        with self._lock:
            return sorted(set(self._owed) - set(running))

    def began(self, probe: str, interval: Began | None) -> None:
        """An interval has begun, or None: the kernel holds nothing of the probe's any more."""
        with self._lock:
            if interval is None:
                self._began.pop(probe, None)
            else:
                self._began[probe] = interval
            self._write()

    def take_over(self, folder: Path) -> dict[str, Began]:
        """What an agent that is gone owed; gives the intervals that it began and never ended."""
        file = folder / FILE
        try:
            left: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            began = {
                str(probe): Began(float(each["at"]), float(each["length"]))
                for probe, each in left["began"].items()
            }
            owed = {str(probe): dict(counts) for probe, counts in left["owed"].items()}
            file.unlink()
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return {}
        for probe, counts in owed.items():
            self.owe(probe, counts)
        return began

    def save(self) -> None:
        with self._lock:
            self._write()

    def _add(self, total: dict[str, int], counts: Mapping[str, Any]) -> None:
        for name in self._sums & set(counts):
            if isinstance(counts[name], int) and counts[name]:
                total[name] = total.get(name, 0) + counts[name]

    def _write(self) -> None:
        """A disk that takes nothing leaves the file as it was, which tells nearly as much."""
        owed = {probe: counts for probe, counts in self._owed.items() if counts}
        began = {probe: {"at": b.at, "length": b.length} for probe, b in self._began.items()}
        try:
            if owed or began:
                building = self._file.with_suffix(".tmp")
                building.touch(mode=0o600)
                building.write_text(json.dumps({"began": began, "owed": owed}), encoding="utf-8")
                building.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s: %s", self._file, error.strerror)
