"""The common part of all backends, and the methods that each of them must add."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS
from kscope.store.backends.errors import QueryTimeout
from kscope.store.backends.pings import Pings
from kscope.store.backends.reader_pool import Lent, ReaderPool
from kscope.store.backends.statements import Repeating, compiled, insertion, selection

Result = TypeVar("Result")

# The deadline of a statement of housekeeping: the sums of a large fleet take long.
BACKGROUND_SECONDS = 3600.0
_KEYS_PER_STATEMENT = 500


@dataclass
class Relation:
    """A table or view of the database, with the names of its columns and indexes.

    `takes_rows` is false if a change was interrupted that keeps rows off.
    """

    is_view: bool
    columns: set[str] = field(default_factory=set)
    nullable: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    takes_rows: bool = True


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes that a database has, and those that are free on its disk; None if not known."""

    used: int | None = None
    free: int | None = None

    def plus(self, other: "Space") -> "Space":
        """Return the space of two databases."""
        return Space(_sum(self.used, other.used), _sum(self.free, other.free))


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


class Session(ABC):
    """One connection: a write transaction, the statements of a migration, or a reader."""

    # Catalog queries: relation, is it a view, column, may it be NULL; table and index.
    columns: ClassVar[str]
    indexes: ClassVar[str]

    def __init__(self, raw: Any, dialect: sa.engine.Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    @property
    def ddl(self) -> sa.engine.Dialect:
        """Return the dialect of statements that make and change tables."""
        return DIALECTS[self.dialect.name].sqlalchemy()

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        return await self.rows(*compiled(statement, self.dialect))

    async def look_up(
        self, key: sa.Column[Any], columns: Sequence[sa.Column[Any]], keys: Sequence[Any]
    ) -> list[Sequence[Any]]:
        """Return the columns of the rows that have one of the keys."""
        select = selection(key, columns, self.dialect)
        found: list[Sequence[Any]] = []
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            part = keys[start : start + _KEYS_PER_STATEMENT]
            found.extend(await self.rows(select.text(len(part)), part))
        return found

    async def insert(
        self,
        table: sa.Table,
        columns: Mapping[str, Sequence[Any]],
        update: Mapping[str, str] | None = None,
    ) -> None:
        """Insert one row or more. `update`: see statements.insertion."""
        statement = insertion(table, columns.keys(), self.dialect, update)
        await self._insert(statement, [*columns.values()])

    async def execute(self, statement: sa.Executable) -> int:
        """Return the number of rows that the statement changed."""
        return await self.count(*compiled(statement, self.dialect))

    async def run(self, text: str) -> None:
        """Run a statement without parameters, such as DDL."""
        await self.count(text)

    async def run_on_each(self, text: str) -> None:
        """Run it on each server of a shard: what it changes is not replicated."""
        await self.run(text)

    async def inserts_ended(self) -> None:
        """Wait for rows that other connections are inserting, on an engine without locks."""
        return

    async def relations(self) -> dict[str, Relation]:
        """Return the tables and views by their names."""
        found: dict[str, Relation] = {}
        for name, is_view, column, is_nullable in await self.rows(self.columns):
            relation = found.setdefault(name, Relation(bool(is_view)))
            relation.columns.add(column)
            if is_nullable:
                relation.nullable.add(column)
        for table, index in await self.rows(self.indexes):
            if table in found:
                found[table].indexes.add(index)
        return found

    @abstractmethod
    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        """Return all rows of a statement."""

    @abstractmethod
    async def count(self, text: str, parameters: Any = None) -> int:
        """Run a statement; return the number of rows that it changed."""

    @abstractmethod
    async def _insert(self, statement: Repeating, columns: Sequence[Sequence[Any]]) -> None: ...


class ReadSession(Session, Lent):
    """A session that cannot write."""

    @abstractmethod
    def portions(self, statement: sa.Select[Any]) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Yield the rows, some at a time."""


class Backend(ABC):
    """One database. Errors of the driver, `faults`, are raised as StoreError and its kinds."""

    faults: ClassVar[tuple[type[Exception], ...]]
    # Whether `transaction` is one: without it a batch is stored in steps, see write/steps.py.
    transactional: ClassVar[bool] = True
    # Whether other servers have the same tables.
    has_replicas: bool = False
    # The most commits of batches that run side by side.
    commits_at_once: ClassVar[int] = 1

    def __init__(self, dialect: sa.engine.Dialect, readers: int, grace: float = 0.0) -> None:
        self.dialect = dialect
        self._writing = asyncio.Lock()
        self._questions = ReaderPool(readers, self._connect_reader, grace)
        # Housekeeping: no question waits for it.
        self._background = ReaderPool(1, self._connect_reader, grace)
        # For those who watch the server, also while all others are busy.
        self._looks = ReaderPool(1, self._connect_reader, grace)
        self._pings = Pings(self._ping)

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    async def ping(self) -> None:
        """Raise StoreError unless the database answers, within seconds."""
        await self._pings.ask()

    def missing(self, since: float) -> list[str]:  # noqa: ARG002
        """Return the parts of the database that were away since then (monotonic clock)."""
        return []

    def gauges(self) -> Mapping[str, int]:
        """Return name -> value, for /metrics, which knows the names."""
        return {"kscope_readers_busy": self._questions.busy}

    async def checkpoint(self) -> None:
        """Shorten a log that has grown, if the database does not do so by itself."""
        return

    async def shrink(self) -> AsyncIterator[None]:
        """Return free space to the disk in small steps, if the database does not reuse it all."""
        return
        yield

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Commit at the end, or roll back everything. One at a time: the others wait."""

    def commit(self) -> AbstractAsyncContextManager[Session]:
        """Lend a session for a commit of batches; on some engines several run side by side.

        None runs during a transaction().
        """
        return self.transaction()

    async def committed(self, work: Callable[[Session], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of `work` with a session for a commit of batches, once it is committed.

        It awaits nothing but the session and in_thread().
        """
        async with self.commit() as session:
            return await work(session)

    @abstractmethod
    def migration(self) -> AbstractAsyncContextManager[Session]:
        """Like transaction(), while no other server migrates.

        MySQL commits each statement of a migration, so each must be safe to repeat.
        """

    @asynccontextmanager
    async def duty(self) -> AsyncIterator[bool]:
        """Yield whether this server does the background work now, while the block lasts.

        Where transactions keep several servers apart, each does it.
        """
        yield True

    @asynccontextmanager
    async def snapshot(self, seconds: float) -> AsyncIterator[Session]:
        """Lend a session that cannot write, and does not create a missing database.

        It is for housekeeping and commands, and shares the connection of fetch_in_background.
        """
        with self.translating():
            async with self._background.lend(_now() + seconds) as session:
                yield session

    @asynccontextmanager
    async def look(self, seconds: float) -> AsyncIterator[Session]:
        """Lend a session for short statements of those who watch the server: it cannot write, and
        neither questions nor housekeeping share its connection.
        """
        with self.translating():
            async with self._looks.lend(_now() + seconds) as session:
                yield session

    async def space(self, session: Session) -> Space:  # noqa: ARG002
        """Return the space that the database uses; the session is one of look()."""
        return Space()

    async def fetch(self, statement: sa.Select[Any], until: float) -> Sequence[Sequence[Any]]:
        """Return all rows; cancel the statement at `until`, a time of the event loop's clock."""
        with self.translating():
            async with self._questions.lend(until) as session:
                return await session.fetch(statement)

    async def fetch_in_background(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Like fetch, with a long deadline, on a connection that no question waits for."""
        async with self.snapshot(BACKGROUND_SECONDS) as session:
            return await session.fetch(statement)

    async def stream(
        self, statement: sa.Select[Any], until: float
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Yield the rows, some at a time; cancel the statement at `until`, as `fetch` does."""
        with self.translating():
            async with (
                self._questions.lend(until) as session,
                aclosing(session.portions(statement)) as portions,
            ):
                async for rows in portions:
                    yield rows
                    if _now() > until:
                        raise QueryTimeout("the statement was cancelled at its deadline")

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise the driver's errors as StoreError."""
        try:
            yield
        except self.faults as error:
            raise self.translated(error) from error

    @abstractmethod
    def translated(self, error: Exception) -> BaseException:
        """Return the error to raise for one of the driver's."""

    @abstractmethod
    async def _connect_reader(self, until: float) -> ReadSession: ...

    @abstractmethod
    async def _ping(self) -> None: ...

    async def _close_readers(self) -> None:
        await self._pings.close()
        await self._questions.close()
        await self._background.close()
        await self._looks.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
