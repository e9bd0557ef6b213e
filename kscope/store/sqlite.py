"""SQLite: one file, one writing connection, several read-only ones."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from databases import Database
from sqlalchemy.dialects.sqlite import pysqlite

from kscope.store.base import BatchRefused, NumberOverflow, QueryTimeout, StoreBusy, StoreError
from kscope.store.engine import Relation, relations
from kscope.store.lockfile import take
from kscope.store.statements import compiled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from kscope.store.statements import BulkInsert

READERS = 4
_BUSY_SECONDS = 5.0
_ROWS_PER_FETCH = 2000
_SPARE_PAGES = 1000
_PAGES_PER_STEP = 500
_INTERRUPT_SECONDS = 0.05

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
_READER_PRAGMAS = (
    "PRAGMA query_only=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA trusted_schema=OFF",
)


class SQLiteEngine:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.dialect: sa.engine.Dialect = pysqlite.dialect(paramstyle="qmark")
        self._writer: Any = None
        self._lock: int | None = None
        self._writing = asyncio.Lock()
        self._idle_readers: list[Any] = []
        self._reader_slots = asyncio.Semaphore(READERS)
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if not self.path.parent.is_dir():
            raise StoreError(f"{self.path}: there is no folder {self.path.parent}; make it first")
        try:
            self._lock = take(self.path) if self._lock is None else self._lock
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; {_WRITABLE}") from None
        self._try_to_open()
        self._writer = await self._connect("rwc", _WRITER_PRAGMAS)

    async def close(self) -> None:
        if self._ending:
            await asyncio.wait(self._ending)
        while self._idle_readers:
            await self._idle_readers.pop().__aexit__()
        async with self._writing:
            if self._writer is not None:
                await self._writer.__aexit__()
                self._writer = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteSession]:
        async with self._writing:
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
                    raise self._translated(error) from error
                raise

    migration = transaction

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
                    raise self._translated(error) from error
            if after >= free:
                return
            yield

    async def fetch(self, statement: sa.Select[Any], deadline: float) -> Sequence[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(deadline) as raw:
            rows: list[tuple[Any, ...]] = await raw.execute_fetchall(text, parameters)
            return rows

    async def stream(
        self, statement: sa.Select[Any], deadline: float
    ) -> AsyncIterator[Sequence[Any]]:
        text, parameters = compiled(statement, self.dialect)
        async with self._reader(deadline) as raw, raw.execute(text, parameters) as cursor:
            while rows := await cursor.fetchmany(_ROWS_PER_FETCH):
                for row in rows:
                    yield row

    def _try_to_open(self) -> None:
        """What fails in aiosqlite leaves its thread to write to a loop that is gone."""
        try:
            sqlite3.connect(self.path).close()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    async def _connect(self, mode: str, pragmas: Sequence[str]) -> Any:
        # Quoted twice: once for the URL of `databases`, once for SQLite's own.
        url = f"sqlite+aiosqlite:///file:{quote(quote(str(self.path)))}?mode={mode}"
        connection = Database(url, uri=True, timeout=_BUSY_SECONDS).connection()
        try:
            await connection.__aenter__()
        except sqlite3.Error as error:
            raise self._translated(error) from error
        try:
            for pragma in pragmas:
                await connection.raw_connection.execute_fetchall(pragma)
        except BaseException as error:
            # Its thread would keep the process from ending.
            await connection.__aexit__()
            if isinstance(error, sqlite3.Error):
                raise self._translated(error) from error
            raise
        return connection

    @asynccontextmanager
    async def _reader(self, deadline: float) -> AsyncIterator[Any]:
        """Lend a read-only connection; whatever it still does at the deadline is interrupted."""
        async with self._reader_slots:
            connection = (
                self._idle_readers.pop()
                if self._idle_readers
                else await self._connect("ro", _READER_PRAGMAS)
            )
            loan = _Loan(connection)
            timer = asyncio.get_running_loop().call_later(deadline, loan.end)
            try:
                yield connection.raw_connection
            except asyncio.CancelledError:
                loan.end()
                raise
            except sqlite3.Error as error:
                raise self._translated(error) from error
            finally:
                timer.cancel()
                self._take_back(loan)

    def _take_back(self, loan: _Loan) -> None:
        if loan.ending is None:
            self._idle_readers.append(loan.connection)
            return
        self._ending.add(loan.ending)
        loan.ending.add_done_callback(self._ending.discard)
        loan.ending.add_done_callback(lambda _: self._idle_readers.append(loan.connection))

    async def _roll_back(self, raw: Any) -> None:
        try:
            if raw.in_transaction:
                await raw.execute("ROLLBACK")
        except sqlite3.Error:
            # A connection that cannot roll back is of no further use; the next one starts clean.
            writer, self._writer = self._writer, None
            await writer.__aexit__()

    def _translated(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "") or ""
        family = "_".join(name.split("_")[:2])
        if family == "SQLITE_INTERRUPT":
            return QueryTimeout("the statement was ended at its deadline")
        if family in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return StoreBusy(f"{self.path} is locked by another process", retry_after=2)
        if family in ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH"):
            return BatchRefused(f"{self.path}: {error}")
        if str(error) == "integer overflow":
            return NumberOverflow(f"{self.path}: {error}")
        advice = _ADVICE.get(family, "")
        return StoreError(f"{self.path}: {error}{advice}")


_WRITABLE = "the server must be able to write the file and its folder"
_ADVICE = {
    "SQLITE_FULL": "; free some space, nothing that was acknowledged is lost",
    "SQLITE_READONLY": f"; {_WRITABLE}",
    "SQLITE_CANTOPEN": "; check that the file and its folder exist and may be read and written",
    "SQLITE_CORRUPT": "; the file is damaged: restore a backup (kscope restore)",
    "SQLITE_NOTADB": "; the file is no SQLite database: name another one",
    "SQLITE_IOERR": "; the disk reports an error",
}


class _Loan:
    """A read-only connection that someone asks. `ending` is there once that is to end."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.ending: asyncio.Task[None] | None = None

    def end(self) -> None:
        if self.ending is None:
            self.ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        """Interrupt until nothing is left to do: what has not begun takes no notice of it."""
        raw = self.connection.raw_connection
        idle = asyncio.ensure_future(raw.execute_fetchall(""))
        while not idle.done():
            raw._conn.interrupt()  # noqa: SLF001 - aiosqlite's own interrupt() waits its turn in the thread that is to be interrupted
            await asyncio.wait([idle], timeout=_INTERRUPT_SECONDS)


class SQLiteSession:
    def __init__(self, raw: Any, dialect: sa.engine.Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    async def fetch(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        rows: list[Any] = await self.raw.execute_fetchall(*compiled(statement, self.dialect))
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
        rows = await self.raw.execute_fetchall(
            "SELECT m.name, m.type = 'view', c.name, c.type"
            " FROM sqlite_schema AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type IN ('table', 'view') ORDER BY m.name, c.cid"
        )
        return relations(rows)
