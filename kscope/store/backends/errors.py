"""What the rest of the program may ask of a store, whichever engine is behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    import sqlalchemy as sa

    from kscope.declare.model import Catalog, Category
    from kscope.generate.tables import Schema
    from kscope.store.schema.interning import Known
    from kscope.store.sums.planner import Plan

    # A stack's, root first.
    Frames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one category as columns, in the order of its `all_columns`, all of one length.

    Values are ready to be stored: times in microseconds, defaults filled in, booleans as 0 and 1,
    histograms as `slot:count` text, and a stack as its id, a key of the batch's `stacks`. Strings
    are still text: the writer alone knows their numbers.
    """

    category: Category
    columns: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request brought; stored whole or not at all. An empty key is no key."""

    key: bytes
    tables: Sequence[TableRows]
    stacks: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.tables))


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows of each table a batch held; `duplicate` when it was there already."""

    rows: Mapping[str, int]
    duplicate: bool = False


class StoreError(KscopeError):
    """The database cannot do it now; the text says what a person can do about it.

    The text is for the log and the terminal. `public` is for answers, which people without a token
    may see: it names no path, no host and no user.
    """

    retry_after = 10
    # The store has written it to the log already, once.
    logged = False

    def __init__(self, message: str, *, public: str = "") -> None:
        super().__init__(message)
        self.public = public or message


class StoreFault(StoreError):  # noqa: N818
    """The database cannot be written, and stays so until a person acts: /readyz says it too."""


class StoreDamaged(StoreFault):
    """A part of the database is damaged; other parts may well be written."""


class StoreMoved(StoreFault):
    """The database file is not where it was opened."""

    logged = True


class StoreBusy(StoreError):  # noqa: N818 - named for what it tells
    """Try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int = 1, *, public: str = "") -> None:
        super().__init__(message, public=public)
        self.retry_after = retry_after


class WriteConflict(StoreBusy):
    """Another server's transaction was in the way, and this one is undone: do it again."""


class StoreAway(StoreError):  # noqa: N818
    """The database does not answer; it may still be starting."""


class BatchRefused(StoreError):  # noqa: N818
    """The engine will never take this batch; sending it again is of no use."""


class StaleDeclaration(StoreBusy):
    """The batch was checked against a declaration that has changed since."""


class QueryTimeout(StoreError):  # noqa: N818
    """A statement was ended at its deadline."""


class NoReader(StoreBusy):
    """Every read-only connection was busy until the deadline."""

    def __init__(self) -> None:
        super().__init__("other questions take up every reader: ask again later", retry_after=5)


class ResultCut(StoreError):  # noqa: N818
    """The engine left out a part of a value that was too long."""


class NumberOverflow(StoreError):  # noqa: N818
    """A sum passed 64 bits, on an engine whose sums have no more."""


class Reader(Protocol):
    """The read-only side. Statements are SQLAlchemy Core over the tables of `schema`.

    Values come as the engine gives them: times as microseconds, booleans as 0 and 1, histograms as
    `slot:count` text, decimals as int or float. A statement that takes longer than the deadline is
    ended on the engine and raises QueryTimeout; one that is cancelled is ended as well. Where no
    connection comes free in that time it is NoReader. A sum that the engine cannot hold raises
    NumberOverflow.
    """

    dialect: str
    deadline: float
    """In seconds, of what is asked outside of a request."""
    stacks: Known[int, Frames]
    """Stacks that were read. An id is the hash of its text, so what it stands for never changes."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def schema(self) -> Schema: ...

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]: ...

    def stream(self, statement: sa.Select[Any]) -> AsyncGenerator[Sequence[Any], None]:
        """Close it: the time until then is the question's."""
        ...

    async def plan(
        self, table: str, start: int, stop: int, columns: Collection[str], step: int | None = None
    ) -> Plan:
        """See planner.plan."""
        ...


class Writer(Protocol):
    """Answers after the batch is committed; raises StoreBusy, StoreError."""

    async def write(self, batch: Batch) -> Stored: ...
