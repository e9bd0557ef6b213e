"""MySQL and MariaDB: a pool that writes, and one whose sessions are read-only."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncmy
from asyncmy.constants import FIELD_TYPE
from asyncmy.converters import conversions
from asyncmy.cursors import SSCursor
from databases import Database
from databases.core import Connection
from sqlalchemy.dialects.mysql import pymysql

from kscope.store.backends.base import BACKGROUND_SECONDS, Relation, relations
from kscope.store.backends.errors import ResultCut, StoreBusy
from kscope.store.backends.mysql_errors import Translating
from kscope.store.backends.pings import Pings
from kscope.store.backends.reader_pool import Slots
from kscope.store.backends.statements import compiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from kscope.config import MySQL
    from kscope.store.backends.statements import BulkInsert, KeyedSelect

READERS = 8
_CONNECT_SECONDS = 5
# A server that hangs keeps its connections open and says nothing. No statement of ours takes as
# long, but for a migration's, which has a connection of its own.
_ANSWER_SECONDS = 30
_PING_SECONDS = 3
# Seconds after the deadline in which the server cancels the statement by itself.
_GRACE = 2
_ROWS_PER_FETCH = 2000
# "Row %u was cut by %s"
_CUT = 1260
_ROWS_PER_INSERT = 5000
# Below the smallest max_allowed_packet that is usual, 16 MiB.
_BYTES_PER_INSERT = 4 * 1024 * 1024

# Strict, whatever the server's own default: a value that does not fit is an error, never cut.
# Each comment is for the engine that knows what is in it.
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
    "SET SESSION group_concat_max_len=16777216"
    " /*M! , max_statement_time={seconds} */ /*!80000 , max_execution_time={milliseconds} */"
)


def _number(text: str) -> int | float:
    """MySQL sums whole numbers to decimals."""
    return float(text) if "." in text else int(text)


_DECODERS = conversions | {FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number}

log = logging.getLogger(__name__)


class MySQLBackend:
    def __init__(self, settings: MySQL) -> None:
        self._settings = settings
        self.dialect: sa.engine.Dialect = pymysql.dialect(paramstyle="pyformat")
        self._writing = asyncio.Lock()
        self._writer = self._database(_WRITER, 2, stmt_cache_size=32, read_timeout=_ANSWER_SECONDS)
        self._readers = self._database(_READER, READERS + 1, conv=_DECODERS)
        self._slots = Slots(READERS)
        self._own_slots = Slots(1)
        self._killers: set[asyncio.Task[None]] = set()
        self._pings = Pings(self._ping)

    async def open(self) -> None:
        with self._translating():
            async with asyncio.timeout(2 * _CONNECT_SECONDS):
                await self._writer.connect()
                await self._readers.connect()

    async def close(self) -> None:
        await self._pings.close()
        if self._killers:
            await asyncio.wait(self._killers, timeout=_CONNECT_SECONDS)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS), self._writing:
                await self._writer.disconnect()
                await self._readers.disconnect()
        except TimeoutError:
            log.warning("%s does not answer: its connections are left", self._translating().where)

    async def ping(self) -> None:
        await self._pings.ask()

    async def _ping(self) -> None:
        with self._translating():
            async with asyncio.timeout(_PING_SECONDS), self._borrowed(self._writer) as raw:
                await MySQLSession(raw, self.dialect).run("SELECT 1")

    def gauges(self) -> Mapping[str, tuple[str, int]]:
        return {"kscope_readers_busy": ("questions that are being answered", self._slots.taken)}

    async def checkpoint(self) -> None:
        """InnoDB keeps its log at its size by itself."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MySQLSession]:
        async with self._writing, self._transaction(self._writer) as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, database: Database) -> AsyncIterator[MySQLSession]:
        with self._translating():
            async with self._borrowed(database) as raw:
                await raw.begin()
                try:
                    yield MySQLSession(raw, self.dialect)
                    await raw.commit()
                except BaseException:
                    await _roll_back(raw)
                    raise

    @asynccontextmanager
    async def migration(self) -> AsyncIterator[MySQLSession]:
        # An index or a column of a large table takes its time; ingest goes on meanwhile.
        patient = self._database(_WRITER, 1)
        with self._translating():
            async with asyncio.timeout(2 * _CONNECT_SECONDS):
                await patient.connect()
        try:
            async with self._transaction(patient) as session, session.raw.cursor() as cursor:
                await cursor.execute("SELECT GET_LOCK(CONCAT('kscope ', DATABASE()), 60)")
                if (await cursor.fetchone())[0] != 1:
                    raise StoreBusy("another server migrates this database", retry_after=10)
                try:
                    yield session
                finally:
                    await cursor.execute("SELECT RELEASE_LOCK(CONCAT('kscope ', DATABASE()))")
        finally:
            await patient.disconnect()

    async def shrink(self) -> AsyncIterator[None]:
        """InnoDB uses the space of removed rows again by itself."""
        return
        yield

    @asynccontextmanager
    async def snapshot(self, seconds: float) -> AsyncIterator[MySQLSession]:
        async with self._reader(self._own_slots, _now() + seconds) as raw:
            yield MySQLSession(raw, self.dialect)

    async def fetch(self, statement: sa.Select[Any], until: float) -> Sequence[Sequence[Any]]:
        return await self._fetch(statement, self._slots, until)

    async def fetch_in_background(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        return await self._fetch(statement, self._own_slots, _now() + BACKGROUND_SECONDS)

    async def _fetch(
        self, statement: sa.Select[Any], slots: Slots, until: float
    ) -> Sequence[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(slots, until) as raw:
            cursor = raw.cursor()
            async with asyncio.timeout_at(until + _GRACE):
                await cursor.execute(text, parameters)
                rows: Sequence[Any] = await cursor.fetchall()
                await cursor.close()
                if "group_concat" in text.lower():
                    await _check_whole(raw)
            return rows

    async def stream(
        self, statement: sa.Select[Any], until: float
    ) -> AsyncGenerator[Sequence[Any], None]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(self._slots, until) as raw:
            # Not closed where the rest is not wanted: that would read it all.
            cursor = raw.cursor(SSCursor)
            async with asyncio.timeout_at(until + _GRACE):
                await cursor.execute(text, parameters)
            while True:
                # Each by itself: what the taker of the rows does is not the server's time.
                async with asyncio.timeout_at(until + _GRACE):
                    rows = await cursor.fetchmany(_ROWS_PER_FETCH)
                if not rows:
                    break
                for row in rows:
                    yield row
            await cursor.close()

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

    @asynccontextmanager
    async def _borrowed(self, database: Database) -> AsyncIterator[Any]:
        # Database.connection() gives a task the same connection each time: a task that streams
        # rows and asks something else meanwhile needs two.
        async with Connection(database, database._backend) as connection:  # noqa: SLF001
            yield connection.raw_connection

    @asynccontextmanager
    async def _reader(self, slots: Slots, until: float) -> AsyncIterator[Any]:
        """Lend a connection until a moment of the loop's clock; to wait for it counts as well."""
        await slots.take(until)
        try:
            with self._translating():
                async with AsyncExitStack() as stack:
                    # A server that hangs gets as long as one that ends a statement itself.
                    async with asyncio.timeout_at(until + _GRACE):
                        raw = await stack.enter_async_context(self._borrowed(self._readers))
                        left = max(until - _now(), 0.01)
                        limits = {"seconds": f"{left:.3f}", "milliseconds": int(left * 1000)}
                        await MySQLSession(raw, self.dialect).run(_DEADLINE.format(**limits))
                    try:
                        yield raw
                    except (asyncio.CancelledError, GeneratorExit, TimeoutError):
                        # Closed, so that nobody else has it when its statement is ended.
                        thread = raw.thread_id()
                        raw.close()
                        self._end_query(thread)
                        raise
        finally:
            slots.give_back()

    def _end_query(self, thread: int) -> None:
        """Nobody waits for the answer any more: the engine must not go on working for it."""

        async def kill() -> None:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS), self._borrowed(self._writer) as raw:
                    await MySQLSession(raw, self.dialect).run(f"KILL {thread:d}")
            except (asyncmy.errors.MySQLError, OSError) as error:
                log.debug("query %d could not be ended: %s", thread, error)

        task = asyncio.get_running_loop().create_task(kill())
        self._killers.add(task)
        task.add_done_callback(self._killers.discard)

    def _translating(self) -> Translating:
        return Translating(self._settings)


def _now() -> float:
    return asyncio.get_running_loop().time()


class MySQLSession:
    def __init__(self, raw: Any, dialect: sa.engine.Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        async with self.raw.cursor() as cursor:
            await cursor.execute(*compiled(statement, self.dialect))
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

    async def look_up(self, select: KeyedSelect, keys: Sequence[Any]) -> Sequence[Sequence[Any]]:
        async with self.raw.cursor() as cursor:
            await cursor.execute(select.text(len(keys)), keys)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

    async def execute(self, statement: sa.Executable) -> int:
        async with self.raw.cursor() as cursor:
            await cursor.execute(*compiled(statement, self.dialect))
            return int(cursor.rowcount)

    async def run(self, text: str) -> None:
        async with self.raw.cursor() as cursor:
            await cursor.execute(text)

    async def insert(self, insert: BulkInsert, columns: Sequence[Sequence[Any]]) -> None:
        # The driver sends these in binary to MariaDB (COM_STMT_BULK_EXECUTE), as multi-row
        # statements to MySQL.
        text = f"{insert.head}{insert.group}{insert.tail}"
        async with self.raw.cursor() as cursor:
            for rows in _portions(columns):
                await cursor.executemany(text, rows)

    async def relations(self) -> dict[str, Relation]:
        async with self.raw.cursor() as cursor:
            await cursor.execute(
                "SELECT c.table_name, t.table_type = 'VIEW', c.column_name, c.data_type,"
                " c.is_nullable = 'YES'"
                " FROM information_schema.columns AS c JOIN information_schema.tables AS t"
                " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
                " WHERE c.table_schema = DATABASE() ORDER BY c.table_name, c.ordinal_position"
            )
            columns = await cursor.fetchall()
            await cursor.execute(
                "SELECT table_name, index_name FROM information_schema.statistics"
                " WHERE table_schema = DATABASE()"
            )
            return relations(columns, await cursor.fetchall())


async def _check_whole(raw: Any) -> None:
    """MySQL cuts what it joins beyond a limit, and only warns."""
    async with raw.cursor() as cursor:
        await cursor.execute("SHOW WARNINGS")
        if any(code == _CUT for _, code, _ in await cursor.fetchall()):
            raise ResultCut("the histograms of this range do not fit into one answer")


async def _roll_back(raw: Any) -> None:
    try:
        await raw.rollback()
    except (asyncmy.errors.MySQLError, OSError):
        # The connection is gone, and its transaction with it; the pool makes a new one.
        raw.close()


def _portions(columns: Sequence[Sequence[Any]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows, so many at a time that each statement stays within what a server takes."""
    rows = list(zip(*columns, strict=True))
    if not any(isinstance(value, (str, bytes)) for value in rows[0]):
        yield from _by_count(rows)
        return
    portion: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        # A character takes up to four bytes.
        length = sum(4 * len(value) + 16 for value in row if isinstance(value, (str, bytes)))
        if portion and (size + length > _BYTES_PER_INSERT or len(portion) >= _ROWS_PER_INSERT):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    yield portion


def _by_count(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    for start in range(0, len(rows), _ROWS_PER_INSERT):
        yield rows[start : start + _ROWS_PER_INSERT]
