"""Sessions of an engine without transactions: rows are appended, and what must hold is in steps."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kscope.store.backends.base import Session

# The time in which the engine takes and stores the rows of a commit; beyond it they are refused.
WRITE_SECONDS = 15
# From then on no statement of a commit runs any more: it is refused after the first 15, ends within
# the next, and what is left is for clocks of servers that differ.
SETTLED_SECONDS = 45


class Duties(ABC):
    """The part of a backend that several servers share the background work by."""

    @property
    @abstractmethod
    def duty_ends(self) -> int:
        """The end of this server's turn (us, the engine's clock); 0 if it has none."""

    @abstractmethod
    async def rows_may_come(self) -> bool:
        """Return whether rows may be stored while no commit of this server runs.

        By another server, or by a statement that this one has lost.
        """


class AppendingSession(Session):
    """A session without a transaction."""

    @abstractmethod
    async def append(
        self, table: sa.Table, columns: Mapping[str, Collection[Any]], token: str = ""
    ) -> None:
        """Store rows: of one day whole, or none; with a token only once."""

    @abstractmethod
    async def insert_from(
        self, table: sa.Table, columns: Sequence[str], statement: sa.Select[Any]
    ) -> None:
        """Store the rows of a statement."""

    @abstractmethod
    async def now(self) -> int:
        """Return the time of the engine's clock, in us since 1970, UTC."""

    @abstractmethod
    async def as_appended(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        """Return the rows of a statement that sees each row, also those with one key."""
