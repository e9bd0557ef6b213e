"""Can the database be written? As far as the last writes and reads tell."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kscope.store.backends.errors import StoreDamaged, StoreError, StoreFault

# A fault that no write has met for so long may be over: without rows nothing would tell.
_SECONDS = 60


@dataclass
class Health:
    fault: StoreFault | None = None
    _until: float = 0.0

    def note(self, error: StoreError) -> None:
        if isinstance(error, StoreFault):
            self.fault, self._until = error, time.monotonic() + _SECONDS

    def wrote(self) -> None:
        """Rows were committed. A page that is damaged is still damaged then."""
        if not isinstance(self.fault, StoreDamaged):
            self.fault = None

    def check_damage(self) -> None:
        """Raise the fault if it is damage: rows that are written beside it may be lost with it."""
        if isinstance(self.fault, StoreDamaged):
            self.check()

    def check(self) -> None:
        """Raise the fault."""
        if self.fault and time.monotonic() < self._until:
            raise self.fault
