"""The read-only side of a store."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.store.backends.deadline import allowance
from kscope.store.backends.errors import StoreError
from kscope.store.schema.interning import Known
from kscope.store.sums.planner import Plan, Progress, plan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Sequence

    from kscope.declare.model import Catalog
    from kscope.generate.tables import Schema
    from kscope.store.backends.base import Engine
    from kscope.store.backends.errors import Frames
    from kscope.store.backends.health import Health

DEADLINE = 10.0
# Twice the stacks of a fleet of thousands of programs; frames that repeat are counted each time.
_STACK_BYTES = 96 << 20
_BYTES_PER_FRAME = 8


class SqlReader:
    """See base.Reader. `deadline` is in seconds."""

    def __init__(
        self,
        engine: Engine,
        current: Callable[[], tuple[Catalog, Schema]],
        health: Health,
        deadline: float = DEADLINE,
    ) -> None:
        self.dialect = engine.dialect.name
        self.deadline = deadline
        self._engine = engine
        self._health = health
        self._current = current
        self.stacks: Known[int, Frames] = Known(_STACK_BYTES, _size)

    @property
    def catalog(self) -> Catalog:
        return self._current()[0]

    @property
    def schema(self) -> Schema:
        return self._current()[1]

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        with allowance(self.deadline).used() as left:
            try:
                return await self._engine.fetch(statement, left)
            except StoreError as error:
                self._health.note(error)
                raise

    async def stream(self, statement: sa.Select[Any]) -> AsyncGenerator[Sequence[Any], None]:
        # What is done with a row before the next one is charged as well.
        with allowance(self.deadline).used() as left:
            async with aclosing(self._engine.stream(statement, left)) as rows:
                async for row in rows:
                    yield row

    async def plan(
        self, table: str, start: int, stop: int, columns: Collection[str], step: int | None = None
    ) -> Plan:
        schema = self.schema
        progress = await self.fetch(progress_select(schema, table))
        return plan(
            schema.categories[table],
            {bucket: Progress(closed, removed) for bucket, closed, removed in progress},
            (start, stop),
            columns,
            step,
        )


def _size(frames: Frames) -> int:
    return sum(map(len, frames)) + _BYTES_PER_FRAME * len(frames)


def progress_select(schema: Schema, table: str) -> sa.Select[Any]:
    progress = schema.dictionaries.progress
    return sa.select(progress.c.bucket, progress.c.closed, progress.c.removed).where(
        progress.c.category == table
    )
