"""MySQL and MariaDB: a pool that writes, and one whose sessions are read-only."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import asyncmy
import sqlalchemy as sa
from asyncmy.constants import FIELD_TYPE
from asyncmy.converters import conversions
from asyncmy.cursors import SSCursor
from databases import Database
from databases.core import Connection
from sqlalchemy.dialects.mysql import pymysql

from kscope.config import MySQL
from kscope.store.backends.base import Backend, ReadSession, Session, Space
from kscope.store.backends.errors import StoreBusy
from kscope.store.backends.mysql_errors import server, translated
from kscope.store.backends.statements import Repeating, compiled

READERS = 8
_CONNECT_SECONDS = 5
# A server that hangs keeps its connections open and says nothing. No statement of ours takes as
# long, except a migration's, which has a separate connection.
_ANSWER_SECONDS = 30
_PING_SECONDS = 3
# Seconds after the deadline in which the server cancels the statement by itself.
_GRACE = 2
_ROWS_PER_FETCH = 2000
_ROWS_PER_INSERT = 5000
# Below the smallest max_allowed_packet that is usual, 16 MiB.
_BYTES_PER_INSERT = 4 * 1024 * 1024

# Strict, whatever the server's own default: a value that does not fit is an error, never cut.
# Each comment is for the server that knows what is in it.
_SESSION = (
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO',"
    " time_zone='+00:00', group_concat_max_len=16777216"
)
_WRITER = (
    f"{_SESSION}, innodb_lock_wait_timeout=5 /*M! , tx_isolation='READ-COMMITTED' */"
    " /*!80000 , transaction_isolation='READ-COMMITTED' */"
)
_READER = f"{_SESSION} /*M! , tx_read_only=1 */ /*!80000 , transaction_read_only=1 */"
_DEADLINE = (
    "SET SESSION /*M! max_statement_time={seconds} */ /*!80000 max_execution_time={milliseconds} */"
)


def _number(text: str) -> int | float:
    """MySQL sums whole numbers to decimals."""
    return float(text) if "." in text else int(text)


_DECODERS = conversions | {FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number}

log = logging.getLogger(__name__)


class MySQLBackend(Backend):
    faults = (asyncmy.errors.MySQLError, OSError)

    def __init__(self, settings: MySQL) -> None:
        super().__init__(pymysql.dialect(paramstyle="pyformat"), READERS, _GRACE)
        self._settings = settings
        self._writer = self._database(_WRITER, 2, stmt_cache_size=32, read_timeout=_ANSWER_SECONDS)
        self._readers = self._database(_READER, READERS + 2, conv=_DECODERS)
        self._kills: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        with self.translating():
            async with asyncio.timeout(2 * _CONNECT_SECONDS):
                await self._writer.connect()
                await self._readers.connect()

    async def close(self) -> None:
        await self._close_readers()
        if self._kills:
            await asyncio.wait(self._kills, timeout=_CONNECT_SECONDS)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS), self._writing:
                await self._writer.disconnect()
                await self._readers.disconnect()
        except TimeoutError:
            log.warning("%s does not answer: its connections are left", server(self._settings))

    async def _ping(self) -> None:
        with self.translating():
            async with asyncio.timeout(_PING_SECONDS), _borrowed(self._writer) as raw:
                await MySQLSession(raw, self.dialect).run("SELECT 1")

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[MySQLSession]":
        async with self._writing, self._transaction(self._writer) as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, database: Database) -> "AsyncIterator[MySQLSession]":
        with self.translating():
            async with _borrowed(database) as raw:
                await raw.begin()
                try:
                    yield MySQLSession(raw, self.dialect)
                    await raw.commit()
                except BaseException:
                    await _roll_back(raw)
                    raise

    @asynccontextmanager
    async def migration(self) -> "AsyncIterator[MySQLSession]":
        # An index or a column of a large table takes long; ingest continues on its connection.
        database = self._database(_WRITER, 1)
        with self.translating():
            async with asyncio.timeout(2 * _CONNECT_SECONDS):
                await database.connect()
        try:
            async with self._transaction(database) as session:
                ((is_ours,),) = await session.rows(
                    "SELECT GET_LOCK(CONCAT('kscope ', DATABASE()), 60)"
                )
                if is_ours != 1:
                    raise StoreBusy("another server migrates this database", retry_after=10)
                try:
                    yield session
                finally:
                    await session.run("SELECT RELEASE_LOCK(CONCAT('kscope ', DATABASE()))")
        finally:
            await database.disconnect()

    async def space(self, session: Session) -> Space:
        ((used,),) = await session.rows(
            "SELECT SUM(data_length + index_length) FROM information_schema.tables"
            " WHERE table_schema = DATABASE()"
        )
        return Space(used=int(used or 0))

    def _database(self, init_command: str, size: int, **options: Any) -> Database:
        chosen = self._settings
        is_socket = chosen.host.startswith("/")
        user = f"{quote(chosen.user, safe='')}:{quote(chosen.password, safe='')}"
        host = "localhost" if is_socket else chosen.host
        host = f"[{host}]" if ":" in host else host
        url = f"mysql+asyncmy://{user}@{host}:{chosen.port}/{quote(chosen.database, safe='')}"
        if is_socket:
            options["unix_socket"] = chosen.host
        return Database(
            url,
            min_size=1,
            max_size=size,
            pool_recycle=3600,
            connect_timeout=_CONNECT_SECONDS,
            charset="utf8mb4",
            init_command=init_command,
            **options,
        )

    async def _connect_reader(self, until: float) -> "MySQLReader":
        async with asyncio.timeout_at(until + _GRACE):
            connection = await _connection(self._readers).__aenter__()
            reader = MySQLReader(connection, self.dialect, self._kill)
            left = max(until - asyncio.get_running_loop().time(), 0.01)
            try:
                await reader.run(
                    _DEADLINE.format(seconds=f"{left:.3f}", milliseconds=int(left * 1000))
                )
            except BaseException:
                await reader.give_back()
                raise
            return reader

    def _kill(self, thread: int) -> None:
        """Cancel a statement on the server, over another connection."""

        async def kill() -> None:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS), _borrowed(self._writer) as raw:
                    await MySQLSession(raw, self.dialect).run(f"KILL {thread:d}")
            except (asyncmy.errors.MySQLError, OSError) as error:
                log.debug("query %d could not be cancelled: %s", thread, error)

        task = asyncio.create_task(kill())
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    def translated(self, error: Exception) -> BaseException:
        task = asyncio.current_task()
        if task and task.cancelling():
            # The driver closes the connection of a cancelled task, and then fails to close the
            # cursor: that error must not hide the cancellation.
            return asyncio.CancelledError()
        return translated(self._settings, error)


def _connection(database: Database) -> Connection:
    # Database.connection() returns the same connection to a task each time: a task that runs
    # another statement while it streams rows needs two.
    return Connection(database, database._backend)  # noqa: SLF001


@asynccontextmanager
async def _borrowed(database: Database) -> AsyncIterator[Any]:
    async with _connection(database) as connection:
        yield connection.raw_connection


class MySQLSession(Session):
    columns = (
        "SELECT c.table_name, t.table_type = 'VIEW', c.column_name, c.is_nullable = 'YES'"
        " FROM information_schema.columns AS c JOIN information_schema.tables AS t"
        " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
        " WHERE c.table_schema = DATABASE()"
    )
    indexes = (
        "SELECT table_name, index_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE()"
    )

    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        found, _ = await self._run(text, parameters)
        return found

    async def count(self, text: str, parameters: Any = None) -> int:
        _, changed = await self._run(text, parameters)
        return changed

    async def _run(self, text: str, parameters: Any) -> tuple[Sequence[Any], int]:
        cursor = self.raw.cursor()
        await cursor.execute(text, parameters)
        found, changed = await cursor.fetchall(), cursor.rowcount
        await cursor.close()
        return found, changed

    async def _insert(self, statement: Repeating, columns: Sequence[Sequence[Any]]) -> None:
        # The driver sends these in binary to MariaDB (COM_STMT_BULK_EXECUTE), as multi-row
        # statements to MySQL.
        async with self.raw.cursor() as cursor:
            for rows in _portions(columns):
                await cursor.executemany(statement.text(1), rows)


class MySQLReader(MySQLSession, ReadSession):
    """A connection of the read-only pool. `kill` cancels the statement of a thread."""

    def __init__(
        self, connection: Connection, dialect: sa.engine.Dialect, kill: Callable[[int], None]
    ) -> None:
        super().__init__(connection.raw_connection, dialect)
        self._connection = connection
        self._kill = kill
        self._is_killed = False

    async def portions(
        self, statement: sa.Select[Any]
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        # Not closed if the other rows are not wanted: that would read them all.
        cursor = self.raw.cursor(SSCursor)
        await cursor.execute(*compiled(statement, self.dialect))
        while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
            yield rows
        await cursor.close()

    def interrupt(self) -> None:
        """Close the connection, so that no other statement gets it, and cancel its statement."""
        if not self._is_killed:
            self._is_killed = True
            self._kill(self.raw.thread_id())
            self.raw.close()

    async def settle(self) -> None:
        self.interrupt()

    async def give_back(self) -> None:
        await self._connection.__aexit__(None, None, None)


async def _roll_back(raw: Any) -> None:
    try:
        await raw.rollback()
    except (asyncmy.errors.MySQLError, OSError):
        # The connection is gone, and its transaction with it; the pool makes a new one.
        raw.close()


def _portions(columns: Sequence[Sequence[Any]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows, so many at a time that each statement stays within what a server takes."""
    rows = list(zip(*columns, strict=True))
    texts = [column for column in columns if isinstance(column[0], (str, bytes))]
    start = size = 0
    for place, values in enumerate(zip(*texts, strict=True)):
        # A character takes up to four bytes.
        length = sum(4 * len(value) + 16 for value in values)
        if size and (size + length > _BYTES_PER_INSERT or place - start >= _ROWS_PER_INSERT):
            yield rows[start:place]
            start, size = place, 0
        size += length
    for place in range(start, len(rows), _ROWS_PER_INSERT):
        yield rows[place : place + _ROWS_PER_INSERT]
