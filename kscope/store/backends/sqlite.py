"""SQLite: one file, one writing connection, several read-only ones."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from databases import Database
from sqlalchemy.dialects.sqlite import pysqlite

from kscope.store.backends.base import Backend, ReadSession, Result, Session, Space
from kscope.store.backends.coded import is_constant
from kscope.store.backends.errors import StoreBusy, StoreError, StoreFault, StoreMoved
from kscope.store.backends.sqlite_errors import WRITABLE, translated, unreachable
from kscope.store.backends.sqlite_files import OpenFile, State, create, take, tighten
from kscope.store.backends.sqlite_foreign import check_ours
from kscope.store.backends.statements import Repeating, compiled, insertion

READERS = 4
_BUSY_SECONDS = 5.0
_ROWS_PER_FETCH = 2000
# The driver gives the interpreter's lock away for each statement, and gets it back once a thread
# that decodes lets it go: so few statements, also for what is left of many rows. Few different
# numbers of rows: each is a statement that is compiled, which takes longer than to run it, and of
# which the driver keeps the last 128. One of 1,000 rows takes about a megabyte.
_ROWS_PER_INSERT = (1000, 300, 100, 30, 10, 3, 1)
# A statement has at most 32,766.
_PARAMETERS = 30_000
_SPARE_PAGES = 1000
_PAGES_PER_STEP = 500
_LOG_LIMIT = 256 * 2**20
_CHECKPOINT_MILLISECONDS = 1000
_LEAST_ROOM = 256 * 1024

# WAL: readers never wait for the writer. synchronous=FULL: a commit is on the disk before it is
# answered, so that an acknowledged row also survives a power cut, not only a killed process;
# group commit pays for it once for all requests that wait.
_WRITER_PRAGMAS = (
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
)
# No temp_store=MEMORY: SQLite would then ask for memory for each row that it sorts, under a lock
# that all connections share, and two questions at once would take as long as one after the other.
# As it is it sorts in pieces of memory as large as the cache, and merges them from a file. Pieces
# that fit into the processor's own cache take half of the time of large ones.
_READER_PRAGMAS = (
    "PRAGMA query_only=ON",
    "PRAGMA cache_size=-2048",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA trusted_schema=OFF",
)

# Errors of a reader that has no room for the file that it sorts in.
_NO_ROOM_TO_SORT = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_GETTEMPPATH,
)

log = logging.getLogger(__name__)


class SQLiteBackend(Backend):
    faults = (sqlite3.Error,)

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """If `alone`, opening fails while a server has the file open."""
        super().__init__(pysqlite.dialect(paramstyle="qmark"), READERS)
        self.path = path.absolute()
        self._alone = alone
        self._writer: Any = None
        self._lock: int | None = None
        self._idle: list[SQLiteReader] = []
        self._file = OpenFile(self.path)
        self._logged = State.WHOLE

    async def open(self) -> None:
        if not self.path.parent.is_dir():
            text = f"{self.path}: there is no folder {self.path.parent}; create it first"
            raise StoreError(text, public="the database's folder is missing")
        try:
            if self._lock is None:
                await asyncio.to_thread(check_ours, self.path)
                self._lock = take(self.path, exclusive=self._alone)
        except OSError as error:
            raise unreachable(self.path, error) from None
        self._try_to_open()
        self._writer = await self._connect("rwc", _WRITER_PRAGMAS)
        self._file.remember()
        if not await _number(self._writer.raw_connection, "auto_vacuum"):
            log.warning(
                "%s keeps freed space, as it has no auto_vacuum: to change that, stop the"
                " server once and run: sqlite3 %s 'PRAGMA auto_vacuum=INCREMENTAL; VACUUM'",
                *(self.path, self.path),
            )

    async def close(self) -> None:
        await self._close_readers()
        self._file.forget()
        await self._close_idle()
        async with self._writing:
            await self._close_writer()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect()

    async def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.__aexit__()

    def gauges(self) -> Mapping[str, int]:
        return {**super().gauges(), "kscope_wal_bytes": self._log_size()}

    async def space(self, session: Session) -> Space:  # noqa: ARG002
        return await asyncio.to_thread(self._space)

    def _space(self) -> Space:
        try:
            disk = os.statvfs(self.path.parent)
            used = self.path.stat().st_size + self._log_size()
        except OSError:
            return Space()  # readyz says what is wrong
        return Space(used, disk.f_bavail * disk.f_frsize)

    async def checkpoint(self) -> None:
        """Truncate the log when it has grown; new readers wait for that.

        SQLite restarts its log only while no connection reads from it. With a reader at all times,
        the log would grow without a limit, and reads would become slower.
        """
        if self._log_size() < _LOG_LIMIT:
            return
        async with self._writing:
            if self._writer is None:
                return
            raw = self._writer.raw_connection
            with self.translating():
                await raw.execute_fetchall(f"PRAGMA busy_timeout={_CHECKPOINT_MILLISECONDS}")
                await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                await raw.execute_fetchall(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")

    def _log_size(self) -> int:
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Any]:
        """Lend the writing connection for one transaction, which an error rolls back."""
        async with self._writing:
            await self._keep_file()
            if self._writer is None:
                await self.open()
            raw = self._writer.raw_connection
            with self.translating():
                try:
                    yield raw
                except BaseException:
                    await self._roll_back(raw)
                    raise
            # Rows in a file that is in another place now must not be acknowledged.
            await self._keep_file()

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[SQLiteSession]":
        async with self._turn() as raw:
            await raw.execute("BEGIN IMMEDIATE")
            yield SQLiteSession(raw, self.dialect)
            await raw.execute("COMMIT")

    migration = transaction

    async def committed(self, work: Callable[[Session], Coroutine[Any, Any, Result]]) -> Result:
        """All of it runs in the connection's thread, so that it waits neither for the event loop,
        which reads bodies, nor at each statement for the threads that decode them.
        """
        async with self._turn() as raw:
            result: Result = await _at_once(raw, _committed, work, self.dialect)
            return result

    async def _roll_back(self, raw: Any) -> None:
        try:
            if raw.in_transaction:
                await raw.execute("ROLLBACK")
        except sqlite3.Error:
            # The connection is of no further use; the next transaction opens another.
            await self._close_writer()

    async def _keep_file(self) -> None:
        """Raise StoreMoved unless the path leads to the file that is open.

        Without -wal or -shm other programs would not see what is committed, and a crash would lose
        it: it goes into the file itself, which is then opened again.
        """
        state = self._file.state()
        self._log_state(state)
        if state in (State.GONE, State.REPLACED):
            text = f"the database file {state.value}"
            raise StoreMoved(f"{self.path}: {text}", public=text)
        if state is State.LOG_LOST:
            await self._open_again()

    def _log_state(self, state: State) -> None:
        """Log each change of it once."""
        if state is not self._logged:
            say = log.info if state is State.WHOLE else log.error
            say("%s: the database file %s", self.path, state.value)
            self._logged = state

    async def _open_again(self) -> None:
        if self._writer is None:
            return
        if self._questions.lent or self._background.lent:
            # They read from the log that is lost, and would not see later commits.
            raise StoreBusy("the database is opened again: send again", retry_after=2)
        with self.translating():
            ((is_blocked, *_),) = await self._writer.raw_connection.execute_fetchall(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )
        if is_blocked:
            raise StoreBusy("another program reads the database: send again", retry_after=2)
        await self._close_writer()
        await self._close_idle()
        await self.open()
        self._log_state(self._file.state())

    async def shrink(self) -> AsyncIterator[None]:
        more = True
        while more:
            async with self._writing:
                if self._writer is None:
                    return
                with self.translating():
                    more = await _shrink(self._writer.raw_connection)
            if more:
                yield

    async def ping(self) -> None:
        await self._check_file()
        self._check_room()
        await super().ping()

    async def _ping(self) -> None:
        connection = await self._connect("ro", ())
        try:
            with self.translating():
                await connection.raw_connection.execute_fetchall("SELECT 1 FROM sqlite_schema")
        finally:
            await connection.__aexit__()

    async def _check_file(self) -> None:
        """Like _keep_file, for readers."""
        if self._file.state() is State.WHOLE and self._logged is State.WHOLE:
            return
        async with self._writing:
            await self._keep_file()

    def _check_room(self) -> None:
        """Raise StoreFault if the disk is full or read-only, also when no rows are written."""
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}", public="the database's folder is missing"
            ) from None
        text = ""
        if disk.f_flag & os.ST_RDONLY:
            text = f"the database's disk is read-only; {WRITABLE}"
        elif disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
            text = "the database's disk is full; free some space"
        if text:
            raise StoreFault(f"{self.path}: {text}", public=text)

    def _try_to_open(self) -> None:
        """Open the file in this thread: an error in aiosqlite's leaves a thread without a loop."""
        try:
            # SQLite gives -wal and -shm the same rights.
            create(self.path)
            for suffix in ("-wal", "-shm"):
                tighten(self.path.resolve().with_name(f"{self.path.resolve().name}{suffix}"))
        except OSError:
            pass  # SQLite names the fault
        with self.translating():
            sqlite3.connect(self.path).close()

    async def _connect(self, mode: str, pragmas: Sequence[str]) -> Any:
        # Quoted twice: once for the URL of `databases`, once for SQLite's own.
        url = f"sqlite+aiosqlite:///file:{quote(quote(str(self.path)))}?mode={mode}"
        connection = Database(url, uri=True, timeout=_BUSY_SECONDS).connection()
        with self.translating():
            await connection.__aenter__()
            try:
                for pragma in pragmas:
                    await connection.raw_connection.execute_fetchall(pragma)
            except BaseException:
                # Its thread would keep the process from exiting.
                await connection.__aexit__()
                raise
        return connection

    async def _connect_reader(self, _: float) -> "SQLiteReader":
        await self._check_file()
        if self._idle:
            return self._idle.pop()
        connection = await self._connect("ro", _READER_PRAGMAS)
        return SQLiteReader(connection, self.dialect, self._idle)

    def translated(self, error: Exception) -> StoreError:
        return translated(self.path, error)


async def _number(raw: Any, pragma: str) -> int:
    ((value,),) = await raw.execute_fetchall(f"PRAGMA {pragma}")
    return int(value)


async def _shrink(raw: Any) -> bool:
    """Return some free pages to the disk; tell whether there are more."""
    free, pages = await _number(raw, "freelist_count"), await _number(raw, "page_count")
    # New rows use the space that retention frees: only a surplus is returned.
    if free < max(_SPARE_PAGES, pages // 4):
        return False
    await raw.execute_fetchall(f"PRAGMA incremental_vacuum({_PAGES_PER_STEP})")
    return await _number(raw, "freelist_count") < free


class _SQLite(Session):
    """The common part of both sessions."""

    columns = (
        "SELECT m.name, m.type = 'view', c.name, NOT c.\"notnull\""
        " FROM sqlite_schema AS m, pragma_table_info(m.name) AS c"
        " WHERE m.type IN ('table', 'view')"
    )
    indexes = "SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index'"

    async def insert(
        self,
        table: sa.Table,
        columns: Mapping[str, Sequence[Any]],
        update: Mapping[str, str] | None = None,
    ) -> None:
        """A value that all rows have is sent once: each is a twentieth of the time."""
        alike = [name for name, column in columns.items() if is_constant(column)]
        ordered = {name: columns[name] for name in (*alike, *columns)}
        statement = insertion(table, ordered, self.dialect, update, len(alike))
        await self._insert(statement, [*ordered.values()])


class SQLiteSession(_SQLite):
    """A connection of aiosqlite, which has a thread for it."""

    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        found: list[tuple[Any, ...]] = await self.raw.execute_fetchall(text, parameters)
        return found

    async def count(self, text: str, parameters: Any = None) -> int:
        changed: int = await self.at_once(_changed, text, parameters)
        return changed

    async def _insert(self, statement: Repeating, columns: Sequence[Sequence[Any]]) -> None:
        await self.at_once(_inserted, statement, columns)

    async def at_once(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await _at_once(self.raw, work, *arguments)


class DirectSession(_SQLite):
    """The connection within its thread. No method waits."""

    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        with closing(self.raw.execute(text, parameters or ())) as cursor:
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    async def count(self, text: str, parameters: Any = None) -> int:
        return _changed(self.raw, text, parameters)

    async def _insert(self, statement: Repeating, columns: Sequence[Sequence[Any]]) -> None:
        _inserted(self.raw, statement, columns)


async def _at_once(raw: Any, work: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of `work` with the connection, in one turn of its thread."""
    return await raw._execute(work, raw._conn, *arguments)  # noqa: SLF001 - no public way to it


def _committed(
    connection: sqlite3.Connection,
    work: Callable[[Session], Coroutine[Any, Any, Result]],
    dialect: sa.engine.Dialect,
) -> Result:
    connection.execute("BEGIN IMMEDIATE")
    coroutine = work(DirectSession(connection, dialect))
    try:
        coroutine.send(None)
    except StopIteration as end:
        connection.execute("COMMIT")
        result: Result = end.value
        return result
    coroutine.close()
    raise AssertionError("the work of a commit waits for something else than its session")


def _changed(connection: sqlite3.Connection, text: str, parameters: Any) -> int:
    with closing(connection.execute(text, parameters or ())) as cursor:
        return cursor.rowcount


def _inserted(
    connection: sqlite3.Connection, statement: Repeating, columns: Sequence[Sequence[Any]]
) -> None:
    done, count = 0, len(columns[0])
    fixed, columns = [each[0] for each in columns[: statement.alike]], columns[statement.alike :]
    for size in _ROWS_PER_INSERT:
        starts = range(done, count - size + 1, size)
        if starts and size * len(columns) <= _PARAMETERS:
            with closing(
                connection.executemany(statement.text(size), _parameters(fixed, columns, starts))
            ):
                done = starts[-1] + size


def _parameters(
    fixed: Sequence[Any], columns: Sequence[Sequence[Any]], starts: range
) -> Iterator[list[Any]]:
    """Yield the values of each statement: first the `fixed` ones, then those of each row. The first
    row of each is at one of `starts`.
    """
    size, width = starts.step, len(columns)
    for start in starts:
        values: list[Any] = [*fixed, *[None] * (size * width)]
        for place, column in enumerate(columns, len(fixed)):
            values[place::width] = column[start : start + size]
        yield values


class SQLiteReader(SQLiteSession, ReadSession):
    """A read-only connection, which is kept in `idle` while it is not lent."""

    def __init__(
        self, connection: Any, dialect: sa.engine.Dialect, idle: "list[SQLiteReader]"
    ) -> None:
        super().__init__(connection.raw_connection, dialect)
        self._connection = connection
        self._idle = idle
        self._sorts_in_memory = False

    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]:
        """A full disk keeps no question from its answer: it is then sorted in memory."""
        if self._sorts_in_memory:
            await self._sort_in_memory(in_memory=False)
        try:
            return await super().rows(text, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _NO_ROOM_TO_SORT:
                raise
        await self._sort_in_memory(in_memory=True)
        return await super().rows(text, parameters)

    async def _sort_in_memory(self, *, in_memory: bool) -> None:
        place = "MEMORY" if in_memory else "DEFAULT"
        await self.raw.execute_fetchall(f"PRAGMA temp_store={place}")
        self._sorts_in_memory = in_memory

    async def portions(
        self, statement: sa.Select[Any]
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        async with self.raw.execute(*compiled(statement, self.dialect)) as cursor:
            while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
                yield rows

    def interrupt(self) -> None:
        # aiosqlite's own interrupt() waits its turn in the thread that is to be interrupted.
        self.raw._conn.interrupt()  # noqa: SLF001

    async def settle(self) -> None:
        """Wait for the thread, and end a statement whose rows were read in part.

        It would go on, and every later one would be interrupted with it. An error of the rollback
        is of no interest.
        """
        await asyncio.gather(self.raw.rollback(), return_exceptions=True)

    async def give_back(self) -> None:
        self._idle.append(self)

    async def disconnect(self) -> None:
        await self._connection.__aexit__()
