"""The limits of new texts, counted by all workers together."""

import time
from dataclasses import dataclass

from kscope.config import Settings
from kscope.server.workers.memory import SharedMemory, Table
from kscope.store.write.cardinality import Grant, NewTextLimits, NewTexts

_HOUR = 3600


class SharedNewTexts(NewTexts):
    """New texts of the present hour, counted in a table that processes share."""

    def __init__(self, limit: int, table: Table) -> None:
        super().__init__(limit)
        self._table = table

    def start(self) -> Grant:
        self._table.begin(int(time.time() // _HOUR))
        return _SharedGrant(self, table=self._table)

    def __len__(self) -> int:
        return len(self._table)


@dataclass(kw_only=True)
class _SharedGrant(Grant):
    """While transactions of two workers store texts of one host, neither counts the other's."""

    table: Table

    def _key(self, host: str) -> int:
        return self.table.key_of(host)

    def _counted(self, key: int) -> int:
        return self.table.count(key) + self._taken[key]

    def commit(self) -> None:
        self.table.add(self._taken)
        self._taken.clear()


def shared_limits(settings: Settings, memory: SharedMemory, key: bytes) -> NewTextLimits:
    limits = (settings.new_stacks_per_hour, settings.new_strings_per_hour)
    stacks, strings = (
        SharedNewTexts(limit, memory.table(number, key)) for number, limit in enumerate(limits)
    )
    return NewTextLimits(stacks, strings)
