"""ClickHouse: statements by HTTP. There are no transactions, see write/steps.py."""

import asyncio
import math
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from clickhouse_connect.driver.client import Client

from kscope.config import ClickHouse
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.layout import Use, layout_of
from kscope.generate.clickhouse.statements import CHANGING, lease_creation
from kscope.generate.clickhouse.tables import LEASE, VERSION
from kscope.store.backends.appending import SETTLED_SECONDS, WRITE_SECONDS, AppendingSession, Duties
from kscope.store.backends.base import (
    BACKGROUND_SECONDS,
    Backend,
    ReadSession,
    Relation,
    Session,
    Space,
)
from kscope.store.backends.clickhouse_client import (
    ANSWER_SECONDS,
    Clients,
    Rows,
    insert,
    kill,
    new_query_id,
    query,
)
from kscope.store.backends.clickhouse_columns import kinds_of, stored_columns
from kscope.store.backends.clickhouse_errors import FAULTS, server, translated
from kscope.store.backends.clickhouse_lease import Lease, Leases
from kscope.store.backends.clickhouse_sql import bytes_of, dialect, settings_of, statement_of
from kscope.store.backends.daemon_threads import settled
from kscope.store.backends.errors import StoreBusy
from kscope.store.backends.statements import Repeating
from kscope.store.backends.turns import Turns

READERS = 8
_PING_SECONDS = 3
# Seconds after its deadline in which the server cancels a statement by itself.
_GRACE = 2
_CANCELLED_SECONDS = 3
_KEYS_PER_STATEMENT = 2000
# Of one INSERT. The store's own limits are lower: one is a block, stored whole or not at all.
_BLOCK_ROWS = 1_000_000
# A statement of a migration, or of housekeeping.
_CHANGE = {
    "max_execution_time": int(BACKGROUND_SECONDS),
    "max_partitions_per_insert_block": 0,
    "mutations_sync": 2,
    "alter_sync": 2,
    "lightweight_deletes_sync": 2,
    # A server of the cluster that is away runs a statement once it returns.
    "distributed_ddl_output_mode": "none_only_active",
}
_WRITE = {
    "max_execution_time": WRITE_SECONDS,
    "timeout_overflow_mode": "throw",
    "max_insert_block_size": _BLOCK_ROWS,
    "min_insert_block_size_rows": _BLOCK_ROWS,
    "min_insert_block_size_bytes": 1 << 30,
    "max_partitions_per_insert_block": 0,
    "async_insert": 0,
    "wait_for_async_insert": 1,
}
MIGRATION_SECONDS = 60
# Tables that take no rows, and the INSERTs that run in this database.
_CHANGING_TABLES = (
    "SELECT name FROM system.tables WHERE database = currentDatabase()"  # noqa: S608 - a constant
    f" AND create_table_query LIKE '%CONSTRAINT {CHANGING} %'"
)
_INSERTS = (
    "SELECT count() FROM system.processes"
    " WHERE query_kind = 'Insert' AND current_database = currentDatabase()"
)


class ClickHouseBackend(Backend, Duties):
    faults = FAULTS
    transactional = False
    # While the engine stores the rows of one, the next is prepared.
    commits_at_once = 2

    def __init__(self, settings: ClickHouse, replicas: Sequence[ClickHouse] = ()) -> None:
        """`replicas` are the other servers of a shard."""
        super().__init__(dialect(), READERS, _GRACE)
        self.settings = settings
        self._replicas = [Clients(each, 1) for each in replicas]
        self.has_replicas = bool(replicas)
        self._turns = Turns()
        # Questions, housekeeping, writers, a ping, and cancelling.
        self.clients = Clients(settings, READERS + 8)
        # A lease must be renewed while all other connections are busy.
        self._of_leases = Clients(settings, 4, ANSWER_SECONDS)
        session = ClickHouseSession(self._of_leases, self.dialect, soon=True)
        self.leases = Leases(session, self._lost_one_since)
        # That of the background work, while this server does it.
        self.lease: Lease | None = None

    def _session(self, *, soon: bool = False) -> "ClickHouseSession":
        return ClickHouseSession(self.clients, self.dialect, soon=soon)

    def _lost_one_since(self, moment: float) -> bool:
        return any(each.lost_one_since(moment) for each in (self.clients, *self._replicas))

    def _lost_one_lately(self) -> bool:
        """Return whether a statement that this server has lost may still store rows."""
        return self.clients.lost_one_since(time.monotonic() - SETTLED_SECONDS)

    async def open(self) -> None:
        with self.translating():
            await self._session().rows("SELECT 1")

    async def close(self) -> None:
        await self._close_readers()
        await self.clients.settle()
        if self.clients.idle and not self._lost_one_lately():
            with suppress(*FAULTS):
                await self.leases.be_gone()
        for clients in (self.clients, self._of_leases, *self._replicas):
            await clients.close()

    async def _ping(self) -> None:
        with self.translating():
            async with asyncio.timeout(_PING_SECONDS):
                await asyncio.wrap_future(self.clients.start(query, "SELECT 1", None, {}))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["ClickHouseSession"]:
        with self.translating():
            async with self._turns.alone():
                await self.leases.be_present()
                yield self._session()

    @asynccontextmanager
    async def commit(self) -> AsyncIterator["ClickHouseSession"]:
        """Senders wait: neither a change that has the turn nor a statement may take longer."""
        with self.translating():
            async with self._turns.together(ANSWER_SECONDS):
                await self.leases.be_present()
                yield self._session(soon=True)

    @asynccontextmanager
    async def migration(self) -> AsyncIterator["ClickHouseSession"]:
        with self.translating():
            session = ClickHouseSession(self.clients, self.dialect, self._replicas)
            await session.run(lease_creation(ClickHouseDDL(self.settings.cluster)))
            async with self.leases.held("migration", MIGRATION_SECONDS) as lease:
                if lease is None:
                    raise StoreBusy("another server migrates this database", retry_after=10)
                yield session

    @asynccontextmanager
    async def duty(self) -> AsyncIterator[bool]:
        with self.translating():
            async with self.leases.held("housekeeping", 0) as lease:
                self.lease = lease
                try:
                    yield lease is not None
                finally:
                    self.lease = None

    @property
    def duty_ends(self) -> int:
        return self.lease.until if self.lease else 0

    async def rows_may_come(self) -> bool:
        return self._lost_one_lately() or await self.leases.others_present(SETTLED_SECONDS)

    async def space(self, session: Session) -> Space:
        ((used,),) = await session.rows(
            "SELECT sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = currentDatabase()"
        )
        try:
            ((free,),) = await session.rows("SELECT min(free_space) FROM system.disks")
        except self.faults:
            # An old server has no such table, and a user may have no right to it.
            return Space(int(used))
        return Space(int(used), int(free))

    def translated(self, error: Exception) -> BaseException:
        return translated(self.settings, error)

    async def _connect_reader(self, until: float) -> "ClickHouseReader":
        return ClickHouseReader(self.clients, self.dialect, until)

    @property
    def where(self) -> str:
        return server(self.settings)


class ClickHouseSession(AppendingSession):
    columns = (
        "SELECT c.table, t.engine = 'View', c.name, startsWith(c.type, 'Nullable(')"
        " FROM system.columns AS c JOIN system.tables AS t"
        " ON t.database = c.database AND t.name = c.table WHERE c.database = currentDatabase()"
    )
    indexes = (
        "SELECT table, name FROM system.data_skipping_indices WHERE database = currentDatabase()"
    )

    def __init__(
        self,
        clients: Clients,
        chosen: sa.engine.Dialect,
        replicas: Sequence[Clients] = (),
        *,
        soon: bool = False,
    ) -> None:
        """With `soon` each statement raises TimeoutError if a server that hangs has no answer."""
        super().__init__(clients, chosen)
        self.clients = clients
        self._replicas = replicas
        self._call = clients.call_soon if soon else clients.call

    @property
    def ddl(self) -> ClickHouseDDL:
        return ClickHouseDDL(self.clients.settings.cluster)

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        text, parameters = statement_of(statement, self.dialect)
        return await self.rows(text, parameters, bytes_of(statement), settings_of(statement))

    async def execute(self, statement: sa.Executable) -> int:
        return await self.count(*statement_of(statement, self.dialect))

    async def rows(
        self,
        text: str,
        parameters: Any = None,
        as_bytes: Collection[str] = (),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> Sequence[Sequence[Any]]:
        found: Rows = await _named(self._call, query, text, parameters, settings, as_bytes)
        return found

    async def as_appended(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        call = self.clients.call_soon
        found: Rows = await _named(call, query, text, parameters, {"final": 0})
        return found

    async def relations(self) -> dict[str, Relation]:
        found = await super().relations()
        for (table,) in await self.rows(_CHANGING_TABLES):
            if table in found:
                found[table].takes_rows = False
        return found

    async def inserts_ended(self) -> None:
        for _ in range(SETTLED_SECONDS * 10):
            ((running,),) = await self.rows(_INSERTS)
            if not running:
                return
            await asyncio.sleep(0.1)

    async def now(self) -> int:
        text = "SELECT toUnixTimestamp64Micro(now64(6))"
        ((found,),) = await self.clients.call_soon(query, text, None, _CHANGE)
        return int(found)

    async def count(self, text: str, parameters: Any = None) -> int:
        """Run a statement; the server does not say how many rows it changes."""
        await _named(self._call, _change, text, parameters)
        return 0

    async def run_on_each(self, text: str) -> None:
        for clients in (*self._replicas, self.clients):
            await _named(clients.call, _change, text, None)

    async def look_up(
        self, key: sa.Column[Any], columns: Sequence[sa.Column[Any]], keys: Sequence[Any]
    ) -> list[Sequence[Any]]:
        preparer = self.dialect.identifier_preparer
        names = ", ".join(preparer.format_column(column) for column in columns)
        kind = kinds_of(key.table)[key.name]
        text = (
            f"SELECT {names} FROM {preparer.format_table(key.table)}"  # noqa: S608 - declared names
            f" WHERE {preparer.format_column(key)} IN {{keys:Array({kind})}}"
        )
        found: list[Sequence[Any]] = []
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            part = list(keys[start : start + _KEYS_PER_STATEMENT])
            found.extend(await self.rows(text, {"keys": part}))
        return found

    async def insert(
        self,
        table: sa.Table,
        columns: Mapping[str, Collection[Any]],
        update: Mapping[str, str] | None = None,  # noqa: ARG002 - as the table is made
    ) -> None:
        """Append rows: the engine merges those with one key, as the table's layout says."""
        if layout_of(table).use is Use.NOTES:
            count = len(next(iter(columns.values())))
            columns = {**columns, VERSION: [await self._version(table)] * count}
        await self.append(table, columns)

    async def append(
        self, table: sa.Table, columns: Mapping[str, Collection[Any]], token: str = ""
    ) -> None:
        """Store rows whole, or none of those of one partition; with a token only once."""
        settings = {**_WRITE, **({"insert_deduplication_token": token} if token else {})}
        await self.clients.call_soon(_insert, table, columns, settings)

    async def insert_from(
        self, table: sa.Table, columns: Sequence[str], statement: sa.Select[Any]
    ) -> None:
        text, parameters = statement_of(statement, self.dialect)
        preparer = self.dialect.identifier_preparer
        names = ", ".join(preparer.quote(name) for name in columns)
        insertion = f"INSERT INTO {preparer.format_table(table)} ({names}) {text}"
        await self.count(insertion, parameters)

    async def note_lease(self, row: Mapping[str, Any], token: str) -> None:
        """Store a row of a lease, unless another one with its token is there."""
        await self.clients.call_soon(_insert_lease, row, token)

    async def _version(self, table: sa.Table) -> int:
        """Return a number above all that the table has: clocks may go back."""
        newest = f"greatest(max({VERSION}) + 1, toUnixTimestamp64Micro(now64(6)))"
        name = self.dialect.identifier_preparer.format_table(table)
        ((found,),) = await self.rows(f"SELECT ifNull({newest}, 1) FROM {name}")  # noqa: S608
        return int(found)

    async def _insert(self, statement: Repeating, columns: Sequence[Sequence[Any]]) -> None:
        raise NotImplementedError


class ClickHouseReader(ClickHouseSession, ReadSession):
    """Statements that only read, until a deadline; each has an id, by which it is cancelled."""

    def __init__(
        self,
        clients: Clients,
        chosen: sa.engine.Dialect,
        until: float,
        further: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """`further` are settings of the engine."""
        super().__init__(clients, chosen)
        self._until = until
        self._further = further
        self._query_id = ""
        self._running: Future[Any] | None = None
        self._kill: Future[None] | None = None

    async def rows(
        self,
        text: str,
        parameters: Any = None,
        as_bytes: Collection[str] = (),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> Sequence[Sequence[Any]]:
        self._query_id = new_query_id()
        chosen = {**self._settings(), **settings}
        self._running = self.clients.start(query, text, parameters, chosen, as_bytes)
        # Until then the server has cancelled it, or another connection has, if one of them answers.
        async with asyncio.timeout_at(self._until + _GRACE + _CANCELLED_SECONDS):
            return await asyncio.wrap_future(self._running)

    def _settings(self) -> dict[str, Any]:
        left = self._until - asyncio.get_running_loop().time()
        return {
            "max_execution_time": max(1, math.ceil(left)),
            **self._further,
            "readonly": 2,
            "query_id": self._query_id,
        }

    async def portions(
        self, statement: sa.Select[Any]
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        # Pages of rows are bounded by their limit: the driver's stream would hold a thread while
        # a client takes its time.
        yield await self.fetch(statement)

    def interrupt(self) -> None:
        if self._running is None or self._running.done():
            return
        if self._kill is None or self._kill.done():
            self._kill = self.clients.start(kill, self._query_id)

    async def settle(self) -> None:
        if self._running is not None:
            await settled([self._running], ANSWER_SECONDS)

    async def give_back(self) -> None:
        return


async def _named(
    call: Callable[..., Awaitable[Any]],
    work: Callable[..., Any],
    text: str,
    parameters: Any,
    settings: Mapping[str, Any] = MappingProxyType({}),
    *rest: Any,
) -> Any:
    """Run a statement under an id, by which the server cancels it if its task ends before."""
    query_id = new_query_id()
    chosen = {**_CHANGE, **settings, "query_id": query_id}
    return await call(work, text, parameters, chosen, *rest, query_id=query_id)


def _change(client: Client, text: str, parameters: Any, settings: Mapping[str, Any]) -> None:
    client.command(text, parameters=parameters or None, settings=dict(settings))


def _insert(
    client: Client,
    table: sa.Table,
    columns: Mapping[str, Collection[Any]],
    settings: Mapping[str, Any],
) -> None:
    insert(client, str(table.name), stored_columns(table, columns), kinds_of(table), settings)


def _insert_lease(client: Client, row: Mapping[str, Any], token: str) -> None:
    columns = {name: [value] for name, value in row.items()}
    settings = {**_WRITE, "insert_deduplication_token": token}
    insert(client, LEASE, columns, _LEASE_KINDS, settings)


_LEASE_KINDS = {
    "work": "String",
    "slot": "Int64",
    "turn": "Int32",
    "holder": "String",
    "released": "UInt8",
}
