"""MySQL and MariaDB: a pool that writes, and one whose sessions are read-only."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncmy
from asyncmy.constants import FIELD_TYPE
from asyncmy.converters import conversions
from asyncmy.cursors import SSCursor
from databases import Database
from databases.core import Connection
from sqlalchemy.dialects.mysql import pymysql

from kscope.store.base import BatchRefused, QueryTimeout, StoreAway, StoreBusy, StoreError
from kscope.store.engine import Relation, relations
from kscope.store.statements import compiled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    import sqlalchemy as sa

    from kscope.config import MySQL
    from kscope.store.statements import BulkInsert

READERS = 8
_CONNECT_SECONDS = 5
_ROWS_PER_FETCH = 2000
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


class MySQLEngine:
    def __init__(self, settings: MySQL) -> None:
        self._settings = settings
        self.dialect: sa.engine.Dialect = pymysql.dialect(paramstyle="pyformat")
        self._writing = asyncio.Lock()
        self._writer = self._database(_WRITER, 2, stmt_cache_size=32)
        self._readers = self._database(_READER, READERS, conv=_DECODERS)
        self._killers: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        with self._translating():
            await self._writer.connect()
            await self._readers.connect()

    async def close(self) -> None:
        if self._killers:
            await asyncio.wait(self._killers, timeout=_CONNECT_SECONDS)
        async with self._writing:
            await self._writer.disconnect()
        await self._readers.disconnect()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MySQLSession]:
        with self._translating():
            async with self._writing, self._borrowed(self._writer) as raw:
                await raw.begin()
                try:
                    yield MySQLSession(raw, self.dialect)
                    await raw.commit()
                except BaseException:
                    await _roll_back(raw)
                    raise

    @asynccontextmanager
    async def migration(self) -> AsyncIterator[MySQLSession]:
        async with self.transaction() as session, session.raw.cursor() as cursor:
            await cursor.execute("SELECT GET_LOCK(CONCAT('kscope ', DATABASE()), 60)")
            if (await cursor.fetchone())[0] != 1:
                raise StoreBusy("another server migrates this database", retry_after=10)
            try:
                yield session
            finally:
                await cursor.execute("SELECT RELEASE_LOCK(CONCAT('kscope ', DATABASE()))")

    async def shrink(self) -> AsyncIterator[None]:
        """InnoDB uses the space of removed rows again by itself."""
        return
        yield

    async def fetch(self, statement: sa.Select[Any], deadline: float) -> Sequence[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(deadline) as raw, raw.cursor() as cursor:
            await cursor.execute(text, parameters)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

    async def stream(
        self, statement: sa.Select[Any], deadline: float
    ) -> AsyncIterator[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(deadline) as raw, raw.cursor(SSCursor) as cursor:
            await cursor.execute(text, parameters)
            while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
                for row in rows:
                    yield row

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
    async def _reader(self, deadline: float) -> AsyncIterator[Any]:
        with self._translating():
            async with self._borrowed(self._readers) as raw:
                limits = {"seconds": deadline, "milliseconds": int(deadline * 1000)}
                await MySQLSession(raw, self.dialect).run(_DEADLINE.format(**limits))
                try:
                    yield raw
                except (asyncio.CancelledError, GeneratorExit):
                    self._end_query(raw.thread_id())
                    raise

    def _end_query(self, thread: int) -> None:
        """Nobody waits for the answer any more: the engine must not go on working for it."""

        async def kill() -> None:
            try:
                async with self._borrowed(self._writer) as raw:
                    await MySQLSession(raw, self.dialect).run(f"KILL QUERY {thread:d}")
            except (asyncmy.errors.MySQLError, OSError) as error:
                log.debug("query %d could not be ended: %s", thread, error)

        task = asyncio.get_running_loop().create_task(kill())
        self._killers.add(task)
        task.add_done_callback(self._killers.discard)

    def _translating(self) -> _Translating:
        return _Translating(self._settings)


class MySQLSession:
    def __init__(self, raw: Any, dialect: sa.engine.Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        async with self.raw.cursor() as cursor:
            await cursor.execute(*compiled(statement, self.dialect))
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
                "SELECT c.table_name, t.table_type = 'VIEW', c.column_name, c.data_type"
                " FROM information_schema.columns AS c JOIN information_schema.tables AS t"
                " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
                " WHERE c.table_schema = DATABASE() ORDER BY c.table_name, c.ordinal_position"
            )
            return relations(await cursor.fetchall())


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


class _Translating:
    """The driver's errors -> ours, in words for the person who set it up."""

    def __init__(self, settings: MySQL) -> None:
        self._settings = settings

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, (asyncmy.errors.MySQLError, OSError, TimeoutError)):
            raise self._translated(error) from error

    def _translated(self, error: BaseException) -> StoreError:
        chosen = self._settings
        code, text = _code_and_text(error)
        where = f"MySQL at {chosen.host}" + ("" if chosen.host[:1] == "/" else f":{chosen.port}")
        if code in _TIMEOUTS:
            return QueryTimeout("the statement was ended at its deadline")
        if code in _BUSY:
            return StoreBusy(f"{where}: {text}", retry_after=1)
        if code in _REFUSED:
            return BatchRefused(f"{where}: {text}")
        if code in _ADVICE:
            advice = _ADVICE[code].format(user=chosen.user, database=chosen.database)
            return StoreError(f"{where}: {text}; {advice}")
        if code in _GONE or isinstance(error, OSError):
            return StoreAway(f"{where} does not answer: {text}")
        return StoreError(f"{where}: {text}")


# Numbers from the server's and the client library's error references.
_TIMEOUTS = frozenset({1317, 1969, 3024})
_BUSY = frozenset({1040, 1203, 1205, 1213, 1226})
_GONE = frozenset({0, 1053, 1077, 1079, 1080, 1927, 2002, 2003, 2006, 2013, 2014, 2055})
_REFUSED = frozenset({1048, 1062, 1118, 1153, 1264, 1265, 1366, 1406, 2020, 3988})
_ADVICE = {
    1021: "free some space, nothing that was acknowledged is lost",
    1044: "GRANT ALL ON `{database}`.* TO '{user}'",
    1045: "check user and password",
    1049: "make it first: CREATE DATABASE `{database}` CHARACTER SET utf8mb4",
    1114: "free some space, nothing that was acknowledged is lost",
    1142: "GRANT ALL ON `{database}`.* TO '{user}'",
    1698: "check user and password",
}


def _code_and_text(error: BaseException) -> tuple[int, str]:
    arguments: Iterable[Any] = error.args
    match list(arguments):
        case [int(code), text, *_]:
            return code, str(text)
        case [text, *_]:
            return 0, str(text)
    return 0, type(error).__name__
