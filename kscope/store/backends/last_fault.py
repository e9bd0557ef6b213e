"""The last fault of the database: whether it can be written, as far as is known."""

import time
from dataclasses import dataclass

from kscope.store.backends.errors import StoreDamaged, StoreError, StoreFault

# Seconds after which a fault might be over: without rows no write shows it.
_SECONDS = 60


@dataclass
class LastFault:
    fault: StoreFault | None = None
    _until: float = 0.0

    def note(self, error: StoreError) -> None:
        if isinstance(error, StoreFault):
            self.fault, self._until = error, time.monotonic() + _SECONDS

    def wrote(self) -> None:
        """Forget the fault after a commit, except damage, which other pages can still have."""
        if not isinstance(self.fault, StoreDamaged):
            self.fault = None

    def check_damage(self) -> None:
        """Raise the fault if it is damage: rows that are written next to it might be lost."""
        if isinstance(self.fault, StoreDamaged):
            self.check()

    def check(self) -> None:
        """Raise the fault, if it is recent."""
        if self.fault and time.monotonic() < self._until:
            raise self.fault
