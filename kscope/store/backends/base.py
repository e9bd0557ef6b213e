"""What an engine gives: one writing connection, and readers that cannot write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import sqlalchemy as sa

    from kscope.store.backends.statements import BulkInsert, KeyedSelect


# Seconds that a statement of the store's own may take: sums of a long time of a fleet are slow.
BACKGROUND_SECONDS = 3600.0


@dataclass(frozen=True)
class Relation:
    """A table or view that the database holds: column -> type as the engine names it."""

    is_view: bool
    columns: dict[str, str] = field(default_factory=dict)
    nullable: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)


def relations(
    columns: Iterable[Sequence[Any]], indexes: Iterable[Sequence[Any]]
) -> dict[str, Relation]:
    """Put together what catalog queries give.

    Of columns (relation, is it a view, column, type, may it be NULL), of indexes (table, index).
    """
    found: dict[str, Relation] = {}
    for name, is_view, column, kind, nullable in columns:
        relation = found.setdefault(name, Relation(bool(is_view)))
        relation.columns[column] = str(kind).upper()
        if nullable:
            relation.nullable.add(column)
    for name, index in indexes:
        # Asked for one after the other: a table may have come in between.
        if name in found:
            found[name].indexes.add(index)
    return found


class Session(Protocol):
    """One write transaction, or the statements of a migration."""

    dialect: sa.engine.Dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]: ...

    async def look_up(self, select: KeyedSelect, keys: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Return the rows of the keys; as many as one statement takes, at least one."""
        ...

    async def execute(self, statement: sa.Executable) -> int:
        """Give the number of rows it touched."""
        ...

    async def run(self, text: str) -> None:
        """Run a statement without parameters, such as DDL."""
        ...

    async def insert(self, insert: BulkInsert, columns: Sequence[Sequence[Any]]) -> None: ...

    async def relations(self) -> dict[str, Relation]: ...


class Backend(Protocol):
    """Errors of the driver come out as StoreError and its kinds."""

    dialect: sa.engine.Dialect

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """Raise StoreError unless the database answers, within seconds."""
        ...

    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """Name -> what it is, and how much; for /metrics."""
        ...

    async def checkpoint(self) -> None:
        """Bring a log that has grown back to its size, where the engine does not by itself."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Commit at the end, or roll back everything. One at a time: the others wait."""
        ...

    def migration(self) -> AbstractAsyncContextManager[Session]:
        """As transaction(), and no other server migrates meanwhile.

        MySQL commits each statement of a migration: whatever is done must be safe to do again.
        """
        ...

    def shrink(self) -> AsyncIterator[None]:
        """Give space that is free inside back to the disk, in small steps."""
        ...

    def snapshot(self, seconds: float) -> AbstractAsyncContextManager[Session]:
        """Lend a session that cannot write, and makes no database where there is none.

        It is for the store's own work, and shares the connection of fetch_in_background.
        """
        ...

    async def fetch(self, statement: sa.Select[Any], until: float) -> Sequence[Sequence[Any]]:
        """Return all rows; cancel the statement at `until`, a time of the event loop's clock."""
        ...

    async def fetch_in_background(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """As fetch, without haste, on a connection that no question waits for."""
        ...

    def stream(
        self, statement: sa.Select[Any], until: float
    ) -> AsyncGenerator[Sequence[Any], None]: ...
