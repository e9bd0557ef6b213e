"""Group commit: what waits is merged into one transaction, and answered once it is committed."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.store.base import Batch, BatchRefused, StoreBusy, Stored, StoreError, TableRows
from kscope.store.interning import Known, text_hash
from kscope.store.statements import BulkInsert, bulk_insert
from kscope.store.sums import Columns, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kscope.generate.tables import CategoryTables, Schema
    from kscope.store.engine import Engine, Session

MAX_WAITING_ROWS = 1_000_000
MAX_GROUP_ROWS = 200_000
_KNOWN_STRINGS = 200_000
_KNOWN_STACKS = 400_000
_LOOKUPS_PER_STATEMENT = 500
_SEQ_LIMIT = 2**31
# SQLite stores a number below this in three bytes.
_SMALL_SEQ_LIMIT = 2**23

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    batch: Batch
    answer: asyncio.Future[Stored]


@dataclass
class Counters:
    """What the writer did since the start; for /metrics."""

    commits: int = 0
    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    failures: int = 0
    commit_seconds: float = 0.0


@dataclass
class Dictionary:
    """What is known to be stored and marked as used on `day`: string -> id, and stack ids."""

    strings: Known[str, int] = field(default_factory=lambda: Known(_KNOWN_STRINGS))
    stacks: Known[int, None] = field(default_factory=lambda: Known(_KNOWN_STACKS))
    day: int = 0

    def begin(self, day: int) -> None:
        """Each day everything is marked anew: retention goes by it."""
        if day != self.day:
            self.clear()
            self.day = day

    def clear(self) -> None:
        self.strings.clear()
        self.stacks.clear()


class GroupWriter:
    """One task writes; requests wait in line. At most MAX_WAITING_ROWS wait."""

    def __init__(self, engine: Engine, schema: Callable[[], Schema]) -> None:
        self._engine = engine
        self._schema = schema
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._waiting_rows = 0
        self.known = Dictionary()
        self._seq = random.randrange(_SMALL_SEQ_LIMIT)  # noqa: S311 - only to tell rows apart
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.counters = Counters()

    @property
    def waiting_rows(self) -> int:
        return self._waiting_rows

    def start(self) -> None:
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="kscope writer")

    async def stop(self) -> None:
        """Commit what waits, and take no more."""
        self._closing = True
        await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def write(self, batch: Batch) -> Stored:
        if self._closing:
            raise StoreBusy("the server is stopping", retry_after=5)
        if self._waiting_rows and self._waiting_rows + len(batch) > MAX_WAITING_ROWS:
            raise StoreBusy(f"{self._waiting_rows} rows wait to be written: send later")
        self._waiting_rows += len(batch)
        waiting = Waiting(batch, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            group = [await self._queue.get()]
            rows = len(group[0].batch)
            while not self._queue.empty() and rows < MAX_GROUP_ROWS:
                group.append(self._queue.get_nowait())
                rows += len(group[-1].batch)
            try:
                await self._commit(group)
            finally:
                self._waiting_rows -= rows
                for _ in group:
                    self._queue.task_done()

    async def _commit(self, group: list[Waiting]) -> None:
        started = time.perf_counter()
        try:
            answers = await self._store([waiting.batch for waiting in group])
        except BatchRefused as error:
            await self._one_by_one(group, error)
        except StoreError as error:
            self._fail(group, error)
        except Exception:
            log.exception("a batch could not be stored")
            self._fail(group, StoreError("the server failed to store this; its log says why"))
        else:
            self._succeed(group, answers)
            self.counters.commit_seconds += time.perf_counter() - started

    async def _one_by_one(self, group: list[Waiting], error: BatchRefused) -> None:
        """One bad batch must not fail those that happened to wait beside it."""
        if len(group) == 1:
            self._fail(group, error)
            return
        for waiting in group:
            await self._commit([waiting])

    def _succeed(self, group: list[Waiting], answers: list[Stored]) -> None:
        self.counters.commits += 1
        for waiting, answer in zip(group, answers, strict=True):
            self.counters.batches += 1
            self.counters.duplicates += answer.duplicate
            self.counters.rows += 0 if answer.duplicate else len(waiting.batch)
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _fail(self, group: list[Waiting], error: StoreError) -> None:
        self.counters.failures += len(group)
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    async def _store(self, batches: list[Batch]) -> list[Stored]:
        """Try anew with other sequence numbers when they are taken by another server's rows."""
        for attempt in range(3):
            try:
                return await self._store_once(batches)
            except BatchRefused:
                if attempt == 2:
                    raise
                # Those below may all be taken in this microsecond: there is more room above.
                self._seq = random.randrange(_SMALL_SEQ_LIMIT, _SEQ_LIMIT)  # noqa: S311
                self.known.clear()
        raise AssertionError

    async def _store_once(self, batches: list[Batch]) -> list[Stored]:
        schema = self._schema()
        self.known.begin(today())
        async with self._engine.transaction() as session:
            transaction = _Transaction(session, schema, self.known, self.next_seq)
            answers = await transaction.store(batches)
        self.known.strings.add(transaction.new_strings)
        self.known.stacks.add(transaction.new_stacks)
        return answers

    def next_seq(self, count: int) -> range:
        limit = _SMALL_SEQ_LIMIT if self._seq < _SMALL_SEQ_LIMIT else _SEQ_LIMIT
        if self._seq + count >= limit:
            self._seq = 0
        start = self._seq
        self._seq += count
        return range(start, start + count)


class _Transaction:
    """The work of one commit."""

    def __init__(
        self,
        session: Session,
        schema: Schema,
        known: Dictionary,
        next_seq: Callable[[int], range],
    ) -> None:
        self._session = session
        self._schema = schema
        self._known = known
        self._next_seq = next_seq
        self.new_strings: dict[str, int] = {}
        self.new_stacks: dict[int, None] = {}

    async def store(self, batches: list[Batch]) -> list[Stored]:
        answers, fresh = await self._unseen(batches)
        await self._store_stacks(fresh)
        ids = await self._string_ids(fresh)
        closed = await self._closed()
        for table, pieces in _by_table(fresh).items():
            tables = self._tables(table, pieces)
            rows = _merged(tables, pieces, ids)
            await self._store_rows(tables.rows, rows)
            await self._store_late(tables, rows, closed)
        await self._note(fresh)
        return answers

    async def _unseen(self, batches: list[Batch]) -> tuple[list[Stored], list[Batch]]:
        """Part batches that are stored already, or are twice in this group, from new ones."""
        keys = {batch.key for batch in batches if batch.key}
        answers_by_key = await self._stored_answers(keys)
        answers, fresh = [], []
        for batch in batches:
            if batch.key and batch.key in answers_by_key:
                answers.append(Stored(answers_by_key[batch.key], duplicate=True))
                continue
            counts = _counts(batch)
            if batch.key:
                answers_by_key[batch.key] = counts
            answers.append(Stored(counts))
            fresh.append(batch)
        return answers, fresh

    async def _stored_answers(self, keys: Iterable[bytes]) -> dict[bytes, Mapping[str, int]]:
        table = self._schema.dictionaries.batch
        found: dict[bytes, Mapping[str, int]] = {}
        for part in _parts(sorted(keys)):
            select = sa.select(table.c.key, table.c.answer).where(table.c.key.in_(part))
            rows = await self._session.fetch(select)
            found |= {bytes(key): json.loads(answer) for key, answer in rows}
        return found

    async def _note(self, batches: list[Batch]) -> None:
        keyed = [batch for batch in batches if batch.key]
        if not keyed:
            return
        now = time.time_ns() // 1000
        insert = self._bulk(self._schema.dictionaries.batch, ("key", "received", "answer"))
        columns = (
            [batch.key for batch in keyed],
            [now] * len(keyed),
            [json.dumps(_counts(batch)) for batch in keyed],
        )
        await self._session.insert(insert, columns)

    async def _store_stacks(self, batches: list[Batch]) -> None:
        stacks: dict[int, str] = {}
        for batch in batches:
            stacks.update(batch.stacks)
        new = stacks.keys() - self._known.stacks.find(stacks).keys()
        if not new:
            return
        ids = sorted(new)
        insert = self._bulk(self._schema.dictionaries.stack, ("id", "day", "frames"), update="day")
        days = [self._known.day] * len(ids)
        await self._session.insert(insert, (ids, days, [stacks[key] for key in ids]))
        self.new_stacks = dict.fromkeys(ids)

    async def _string_ids(self, batches: list[Batch]) -> dict[str, int]:
        texts: set[str] = set()
        for batch in batches:
            for rows in batch.tables:
                for column, values in zip(rows.category.all_columns, rows.columns, strict=True):
                    if column.type.storage is Storage.STRING_ID:
                        texts.update(values)
        ids = self._known.strings.find(texts)
        new = {text_hash(text): text for text in texts - ids.keys()}
        if new:
            table = self._schema.dictionaries.string
            insert = self._bulk(table, ("hash", "day", "text"), update="day")
            days = [self._known.day] * len(new)
            await self._session.insert(insert, (list(new), days, list(new.values())))
            for part in _parts(sorted(new)):
                select = sa.select(table.c.hash, table.c.id).where(table.c.hash.in_(part))
                numbered = await self._session.fetch(select)
                self.new_strings |= {new[row[0]]: row[1] for row in numbered}
        return ids | self.new_strings

    async def _closed(self) -> dict[str, dict[int, int]]:
        """Category -> bucket -> up to when it is summed.

        Locked against a rollup of another server, which would not see these rows.
        """
        progress = self._schema.dictionaries.progress
        select = sa.select(progress.c.category, progress.c.bucket, progress.c.closed)
        closed: dict[str, dict[int, int]] = {}
        for category, bucket, until in await self._session.fetch(
            select.where(progress.c.bucket > 0).with_for_update(read=True)
        ):
            closed.setdefault(category, {})[bucket] = until
        return closed

    def _tables(self, table: str, pieces: Sequence[TableRows]) -> CategoryTables:
        """Refuse rows that were checked against a declaration that has changed since."""
        tables = self._schema.categories.get(table)
        if tables is None or any(piece.category != tables.category for piece in pieces):
            raise StoreBusy(f"the declaration of {table} has just changed: send again")
        return tables

    async def _store_rows(self, table: sa.Table, rows: Columns) -> None:
        count = len(next(iter(rows.values())))
        insert = self._bulk(table, ("seq", *rows))
        await self._session.insert(insert, (self._next_seq(count), *rows.values()))

    async def _store_late(
        self, tables: CategoryTables, rows: Columns, closed: Mapping[str, Mapping[int, int]]
    ) -> None:
        """Add rows of buckets that are closed to their sums, in the same transaction."""
        for bucket, until in closed.get(tables.category.table, {}).items():
            rollup = next((r for r in tables.rollups if r.rollup.bucket == bucket), None)
            if rollup is not None and min(rows["time"]) < until:
                await self._store_rows(rollup.table, summed(tables.category, bucket, rows, until))

    def _bulk(self, table: sa.Table, columns: Sequence[str], *, update: str = "") -> BulkInsert:
        return bulk_insert(table, columns, self._session.dialect, update=update)


def _merged(tables: CategoryTables, pieces: Sequence[TableRows], ids: Mapping[str, int]) -> Columns:
    """All pieces' rows as they are stored, in the order of time: they go to the table's end."""
    ordered = sorted(pieces, key=lambda piece: piece.columns[0][0])
    rows: Columns = {}
    for index, column in enumerate(tables.category.all_columns):
        values = list(chain.from_iterable(piece.columns[index] for piece in ordered))
        if column.type.storage is Storage.STRING_ID:
            values = list(map(ids.__getitem__, values))
        rows[column.name] = values
    return rows


def today() -> int:
    return int(time.time() // 86400)


def _counts(batch: Batch) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rows in batch.tables:
        counts[rows.category.table] = counts.get(rows.category.table, 0) + len(rows)
    return counts


def _by_table(batches: Iterable[Batch]) -> dict[str, list[TableRows]]:
    pieces: dict[str, list[TableRows]] = {}
    for batch in batches:
        for rows in batch.tables:
            if len(rows):
                pieces.setdefault(rows.category.table, []).append(rows)
    return pieces


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(values), _LOOKUPS_PER_STATEMENT):
        yield values[start : start + _LOOKUPS_PER_STATEMENT]
