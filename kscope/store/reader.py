"""The read-only side of a store."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.generate.tables import Schema
from kscope.generate.tables import schema as schema_of
from kscope.store.backends.base import Backend
from kscope.store.backends.deadline import Deadline
from kscope.store.backends.errors import StoreError
from kscope.store.backends.last_fault import LastFault
from kscope.store.facts import Facts, LastFacts
from kscope.store.matches import Matches
from kscope.store.schema.interning import Known
from kscope.store.schema.progress import Progress, progress_of, progress_of_all
from kscope.store.sums.planner import Plan, plan
from kscope.store.symbols.nameless import Frames, Names, size_of

DEADLINE = 10.0
# The stacks of a fleet of thousands of programs; frames that repeat are counted each time.
_STACK_BYTES = 64 << 20
# Strings, and the texts of stacks in lists of rows.
_TEXT_BYTES = 16 << 20
# Of a text in memory, beside its characters.
_TEXT_ITSELF = 100


@dataclass(eq=False)
class Reader:
    """Statements are SQLAlchemy Core over the tables of `schema`.

    Values are as the database returns them: times as microseconds, booleans as 0 and 1, histograms
    as `slot:count` text, decimals as int or float. A statement that takes longer than the deadline
    is cancelled in the database and raises QueryTimeout; a statement whose task is cancelled is
    cancelled there too. If no connection is free until the deadline, it raises NoReader.
    """

    _backend: Backend
    _current: Callable[[], Schema]
    _last_fault: LastFault
    # The deadline of each statement of a reader that is not bound to a question's.
    seconds: float = DEADLINE
    _bound: Deadline | None = None
    _progress: Mapping[str, Mapping[int, Progress]] | None = None
    # The ids of all hosts that ever replayed a recording; None if that is to be asked.
    replayed_hosts: tuple[int, ...] | None = None
    # Stacks that were read, if each frame has its name. An id is the hash of its text, so these
    # frames never change.
    stacks: Known[int, Frames] = field(default_factory=lambda: Known(_STACK_BYTES, size_of))
    # Texts by their ids, if these are the hashes of the texts.
    texts: Known[int, str] = field(default_factory=lambda: Known(_TEXT_BYTES, _size_of_text))
    last_facts: LastFacts = field(default_factory=LastFacts)
    # The others, and what readers know of the symbol table.
    names: Names = field(default_factory=Names)
    # The stacks that the patterns of category files match.
    matches: Matches = field(default_factory=Matches)

    def within(self, deadline: Deadline) -> "Reader":
        """Return this reader with one deadline for everything that is read through it."""
        return replace(self, _bound=deadline)

    def only(self, catalog: Catalog) -> "Reader":
        """Return this reader of some of the categories."""
        schema = schema_of(catalog)
        return replace(self, _current=lambda: schema)

    async def knowing(self) -> "Reader":
        """Return this reader with the progress of all tables, for a question that reads many."""
        return replace(self, _progress=await progress_of_all(self.fetch, self.schema))

    def supposing(self, facts: Facts) -> "Reader":
        """Return this reader for a question that takes these facts for true."""
        return replace(self, _progress=facts.progress, replayed_hosts=facts.replayed_hosts)

    @property
    def deadline(self) -> Deadline:
        """Return the question's; without a question, a new one."""
        return self._bound or Deadline(self.seconds)

    def missing(self) -> list[str]:
        """Return the shards whose rows may be missing in the answer, such as `shard 2`."""
        return self._backend.missing(self.deadline.began)

    @property
    def dialect(self) -> str:
        return self._backend.dialect.name

    @property
    def catalog(self) -> Catalog:
        return self.schema.catalog

    @property
    def schema(self) -> Schema:
        return self._current()

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        with self.deadline.running() as until:
            try:
                return await self._backend.fetch(statement, until)
            except StoreError as error:
                self._last_fault.note(error)
                raise

    async def stream(
        self, statement: sa.Select[Any]
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Yield the rows, some at a time. Close it: the time until then counts to the deadline."""
        # The work on some rows before the next ones counts as well.
        with self.deadline.running() as until:
            async with aclosing(self._backend.stream(statement, until)) as portions:
                async for rows in portions:
                    yield rows

    async def plan(
        self, table: str, start: int, stop: int, columns: Collection[str], step: int | None = None
    ) -> Plan:
        """See planner.plan."""
        progress = await self.progress(table)
        return plan(self.schema.categories[table], progress, (start, stop), columns, step)

    async def progress(self, table: str) -> Mapping[int, Progress]:
        """Return how far each level of a table is summed, by bucket in seconds."""
        if self._progress is not None:
            return self._progress.get(table, {})
        return await progress_of(self.fetch, self.schema, table)


def _size_of_text(text: str) -> int:
    return len(text) + _TEXT_ITSELF
