"""What an engine gives: one writing connection, and readers that cannot write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    import sqlalchemy as sa

    from kscope.store.statements import BulkInsert


@dataclass(frozen=True)
class Relation:
    """A table or view that the database holds: column -> type as the engine names it."""

    is_view: bool
    columns: dict[str, str]


def relations(rows: Iterable[Sequence[Any]]) -> dict[str, Relation]:
    """Put together (relation, is it a view, column, type), as a catalog query gives them."""
    found: dict[str, Relation] = {}
    for name, is_view, column, kind in rows:
        relation = found.setdefault(name, Relation(bool(is_view), {}))
        relation.columns[column] = str(kind).upper()
    return found


class Session(Protocol):
    """One write transaction, or the statements of a migration."""

    dialect: sa.engine.Dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]: ...

    async def execute(self, statement: sa.Executable) -> int:
        """Give the number of rows it touched."""
        ...

    async def run(self, text: str) -> None:
        """Run a statement without parameters, such as DDL."""
        ...

    async def insert(self, insert: BulkInsert, columns: Sequence[Sequence[Any]]) -> None: ...

    async def relations(self) -> dict[str, Relation]: ...


class Engine(Protocol):
    """Errors of the driver come out as StoreError and its kinds."""

    dialect: sa.engine.Dialect

    async def open(self) -> None: ...

    async def close(self) -> None: ...

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

    async def fetch(
        self, statement: sa.Select[Any], deadline: float
    ) -> Sequence[Sequence[Any]]: ...

    def stream(
        self, statement: sa.Select[Any], deadline: float
    ) -> AsyncIterator[Sequence[Any]]: ...
