"""SQLite: one file, one writing connection, several read-only ones."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from databases import Database
from sqlalchemy.dialects.sqlite import pysqlite

from kscope.store.backends.base import BACKGROUND_SECONDS, Relation, relations
from kscope.store.backends.errors import StoreBusy, StoreError, StoreFault, StoreMoved
from kscope.store.backends.pings import Pings
from kscope.store.backends.private_files import create, tighten
from kscope.store.backends.reader_pool import Slots
from kscope.store.backends.sqlite_errors import WRITABLE, translated, unreachable
from kscope.store.backends.sqlite_lock import take
from kscope.store.backends.sqlite_moved import OpenFile, State
from kscope.store.backends.sqlite_ours import check_ours
from kscope.store.backends.statements import compiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from kscope.store.backends.statements import BulkInsert, KeyedSelect

READERS = 4
_BUSY_SECONDS = 5.0
_ROWS_PER_FETCH = 2000
_SPARE_PAGES = 1000
_PAGES_PER_STEP = 500
_SETTLE_SECONDS = 0.05
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
# As it is it sorts in one piece of memory as large as the cache, and on the disk beyond.
_READER_PRAGMAS = (
    "PRAGMA query_only=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA trusted_schema=OFF",
)


log = logging.getLogger(__name__)


class SQLiteBackend:
    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """If `alone`, opening fails while a server has the file open."""
        self.path = path.absolute()
        self._alone = alone
        self.dialect: sa.engine.Dialect = pysqlite.dialect(paramstyle="qmark")
        self._writer: Any = None
        self._lock: int | None = None
        self._writing = asyncio.Lock()
        self._idle_readers: list[Any] = []
        self._slots = Slots(READERS)
        self._own_slots = Slots(1)
        self._ending: dict[Any, asyncio.Task[None]] = {}
        self._file = OpenFile(self.path)
        self._said = State.WHOLE
        self._lent: set[Any] = set()
        self._pings = Pings(self._ping)

    async def open(self) -> None:
        if not self.path.parent.is_dir():
            text = f"{self.path}: there is no folder {self.path.parent}; make it first"
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
        ((vacuum,),) = await self._writer.raw_connection.execute_fetchall("PRAGMA auto_vacuum")
        if not vacuum:
            log.warning(
                "%s keeps freed space, as it was made without auto_vacuum: to change that, stop the"
                " server once and run: sqlite3 %s 'PRAGMA auto_vacuum=INCREMENTAL; VACUUM'",
                *(self.path, self.path),
            )

    async def close(self) -> None:
        await self._pings.close()
        if self._ending:
            await asyncio.wait(self._ending.values())
        self._file.forget()
        while self._idle_readers:
            await self._idle_readers.pop().__aexit__()
        async with self._writing:
            if self._writer is not None:
                await self._writer.__aexit__()
                self._writer = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def gauges(self) -> Mapping[str, tuple[str, int]]:
        return {
            "kscope_readers_busy": ("questions that are being answered", self._slots.taken),
            "kscope_wal_bytes": ("size of SQLite's write-ahead log", self._log_size()),
        }

    async def checkpoint(self) -> None:
        """SQLite begins its log anew only when nobody reads from it: so readers have to wait once.

        Where some reader is always there the log would grow for ever, and reads with it.
        """
        if self._log_size() < _LOG_LIMIT:
            return
        async with self._writing:
            if self._writer is None:
                return
            raw = self._writer.raw_connection
            try:
                await raw.execute_fetchall(f"PRAGMA busy_timeout={_CHECKPOINT_MILLISECONDS}")
                await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                await raw.execute_fetchall(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")
            except sqlite3.Error as error:
                raise translated(self.path, error) from error

    def _log_size(self) -> int:
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteSession]:
        async with self._writing:
            await self._keep_file()
            if self._writer is None:
                await self.open()
            raw = self._writer.raw_connection
            try:
                await raw.execute("BEGIN IMMEDIATE")
                yield SQLiteSession(raw, self.dialect)
                await raw.execute("COMMIT")
            except BaseException as error:
                await self._roll_back(raw)
                if isinstance(error, sqlite3.Error):
                    raise translated(self.path, error) from error
                raise
            # What went into a file that is somewhere else now must not be acknowledged.
            await self._keep_file()

    migration = transaction

    async def _keep_file(self) -> None:
        """Raise StoreMoved unless the path leads to the file that is open.

        Without -wal or -shm other programs would not see what is committed, and a crash would lose
        it: it goes into the file itself, which is then opened again.
        """
        state = self._file.state()
        self._say(state)
        if state in (State.GONE, State.REPLACED):
            text = f"the database file {state.value}"
            raise StoreMoved(f"{self.path}: {text}", public=text)
        if state is State.LOG_LOST:
            await self._open_again()

    def _say(self, state: State) -> None:
        """Log each change of it once."""
        if state is not self._said:
            say = log.info if state is State.WHOLE else log.error
            say("%s: the database file %s", self.path, state.value)
            self._said = state

    async def _open_again(self) -> None:
        if self._writer is None:
            return
        if self._lent:
            # They read from the log that is lost, and would not see what is written from now on.
            raise StoreBusy("the database is opened again: send again", retry_after=2)
        try:
            ((is_blocked, *_),) = await self._writer.raw_connection.execute_fetchall(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        if is_blocked:
            raise StoreBusy("another program reads the database: send again", retry_after=2)
        writer, self._writer = self._writer, None
        await writer.__aexit__()
        while self._idle_readers:
            await self._idle_readers.pop().__aexit__()
        await self.open()
        self._say(self._file.state())

    async def shrink(self) -> AsyncIterator[None]:
        while True:
            async with self._writing:
                if self._writer is None:
                    return
                raw = self._writer.raw_connection
                try:
                    free, pages = [
                        (await raw.execute_fetchall(f"PRAGMA {name}"))[0][0]
                        for name in ("freelist_count", "page_count")
                    ]
                    # What retention frees, new rows fill again: only a surplus goes to the disk.
                    if free < max(_SPARE_PAGES, pages // 4):
                        return
                    await raw.execute_fetchall(f"PRAGMA incremental_vacuum({_PAGES_PER_STEP})")
                    (after,) = (await raw.execute_fetchall("PRAGMA freelist_count"))[0]
                except sqlite3.Error as error:
                    raise translated(self.path, error) from error
            if after >= free:
                return
            yield

    async def ping(self) -> None:
        await self._see_file()
        self._see_room()
        await self._pings.ask()

    async def _ping(self) -> None:
        connection = await self._connect("ro", ())
        try:
            await connection.raw_connection.execute_fetchall("SELECT 1 FROM sqlite_schema")
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        finally:
            await connection.__aexit__()

    async def _see_file(self) -> None:
        """As _keep_file, for those that read."""
        if self._file.state() is State.WHOLE and self._said is State.WHOLE:
            return
        async with self._writing:
            await self._keep_file()

    def _see_room(self) -> None:
        """Raise StoreFault if the disk is full or read-only: without rows nothing else tells."""
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}", public="the database's folder is missing"
            ) from None
        if disk.f_flag & os.ST_RDONLY:
            text = f"the database's disk is read-only; {WRITABLE}"
            raise StoreFault(f"{self.path}: {text}", public=text)
        if disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
            text = "the database's disk is full; free some space"
            raise StoreFault(f"{self.path}: {text}", public=text)

    @asynccontextmanager
    async def snapshot(self, seconds: float) -> AsyncIterator[SQLiteSession]:
        async with self._reader(self._own_slots, _now() + seconds) as raw:
            yield SQLiteSession(raw, self.dialect)

    async def fetch(self, statement: sa.Select[Any], until: float) -> Sequence[Sequence[Any]]:
        return await self._fetch(statement, self._slots, until)

    async def fetch_in_background(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        return await self._fetch(statement, self._own_slots, _now() + BACKGROUND_SECONDS)

    async def _fetch(
        self, statement: sa.Select[Any], slots: Slots, until: float
    ) -> Sequence[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(slots, until) as raw:
            rows: list[tuple[Any, ...]] = await raw.execute_fetchall(text, parameters)
            return rows

    async def stream(
        self, statement: sa.Select[Any], until: float
    ) -> AsyncGenerator[Sequence[Any], None]:
        text, parameters = compiled(statement, self.dialect)
        async with (
            self._reader(self._slots, until) as raw,
            raw.execute(text, parameters) as cursor,
        ):
            while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
                for row in rows:
                    yield row

    def _try_to_open(self) -> None:
        """What fails in aiosqlite leaves its thread to write to a loop that is gone."""
        try:
            # SQLite gives the files beside it the same rights.
            create(self.path)
            for suffix in ("-wal", "-shm"):
                tighten(self.path.resolve().with_name(f"{self.path.resolve().name}{suffix}"))
        except OSError:
            pass  # SQLite has the words for it
        try:
            sqlite3.connect(self.path).close()
        except sqlite3.Error as error:
            raise translated(self.path, error) from error

    async def _connect(self, mode: str, pragmas: Sequence[str]) -> Any:
        # Quoted twice: once for the URL of `databases`, once for SQLite's own.
        url = f"sqlite+aiosqlite:///file:{quote(quote(str(self.path)))}?mode={mode}"
        connection = Database(url, uri=True, timeout=_BUSY_SECONDS).connection()
        try:
            await connection.__aenter__()
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        try:
            for pragma in pragmas:
                await connection.raw_connection.execute_fetchall(pragma)
        except BaseException as error:
            # Its thread would keep the process from ending.
            await connection.__aexit__()
            if isinstance(error, sqlite3.Error):
                raise translated(self.path, error) from error
            raise
        return connection

    @asynccontextmanager
    async def _reader(self, slots: Slots, until: float) -> AsyncIterator[Any]:
        """Lend a read-only connection; whatever it still does at the deadline is interrupted."""
        connection = await self._idle_reader(slots, until)
        raw = connection.raw_connection
        timer = _Interrupts(raw, until)
        try:
            yield raw
        except (asyncio.CancelledError, GeneratorExit):
            timer.cancel()
            self._end_query(connection, slots)
            raise
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        finally:
            timer.cancel()
            if connection not in self._ending:
                self._give_back(connection, slots)

    async def _idle_reader(self, slots: Slots, until: float) -> Any:
        await slots.take(until)
        try:
            await self._see_file()
            if self._idle_readers:
                reader = self._idle_readers.pop()
            else:
                reader = await self._connect("ro", _READER_PRAGMAS)
        except BaseException:
            slots.give_back()
            raise
        self._lent.add(reader)
        return reader

    def _give_back(self, connection: Any, slots: Slots) -> None:
        self._lent.discard(connection)
        self._idle_readers.append(connection)
        slots.give_back()

    def _end_query(self, connection: Any, slots: Slots) -> None:
        """Nobody waits for the answer any more. The connection is lent again once it is idle.

        The thread keeps what it gave last. Where that is rows half read, their statement goes on,
        and every further one would be ended with it: so what is waited for gives nothing.
        """

        async def settle() -> None:
            raw = connection.raw_connection
            timer = _Interrupts(raw, 0)
            through = asyncio.ensure_future(raw.rollback())
            await asyncio.wait([through])
            timer.cancel()
            through.exception()
            del self._ending[connection]
            self._give_back(connection, slots)

        self._ending[connection] = asyncio.create_task(settle())

    async def _roll_back(self, raw: Any) -> None:
        try:
            if raw.in_transaction:
                await raw.execute("ROLLBACK")
        except sqlite3.Error:
            # A connection that cannot roll back is of no further use; the next one starts clean.
            writer, self._writer = self._writer, None
            await writer.__aexit__()


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Interrupts:
    """From a moment of the loop's clock on ends what a connection does, until it is cancelled.

    Again and again: a statement that waits for its turn in the connection's thread is not yet there
    to be interrupted.
    """

    def __init__(self, raw: Any, start: float) -> None:
        # aiosqlite's own interrupt() waits its turn in the thread that is to be interrupted.
        self._interrupt = raw._conn.interrupt  # noqa: SLF001
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_at(start, self._end)

    def _end(self) -> None:
        self._interrupt()
        self._next = self._loop.call_later(_SETTLE_SECONDS, self._end)

    def cancel(self) -> None:
        self._next.cancel()


class SQLiteSession:
    def __init__(self, raw: Any, dialect: sa.engine.Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        rows: list[Any] = await self.raw.execute_fetchall(*compiled(statement, self.dialect))
        return rows

    async def look_up(self, select: KeyedSelect, keys: Sequence[Any]) -> Sequence[Sequence[Any]]:
        rows: list[Any] = await self.raw.execute_fetchall(select.text(len(keys)), keys)
        return rows

    async def execute(self, statement: sa.Executable) -> int:
        cursor = await self.raw.execute(*compiled(statement, self.dialect))
        count: int = cursor.rowcount
        await cursor.close()
        return count

    async def run(self, text: str) -> None:
        await self.raw.execute_fetchall(text)

    async def insert(self, insert: BulkInsert, columns: Sequence[Sequence[Any]]) -> None:
        for text, parameters in insert.chunks(columns):
            cursor = await self.raw.executemany(text, parameters)
            await cursor.close()

    async def relations(self) -> dict[str, Relation]:
        columns = await self.raw.execute_fetchall(
            "SELECT m.name, m.type = 'view', c.name, c.type, NOT c.\"notnull\""
            " FROM sqlite_schema AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type IN ('table', 'view') ORDER BY m.name, c.cid"
        )
        indexes = await self.raw.execute_fetchall(
            "SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index'"
        )
        return relations(columns, indexes)
