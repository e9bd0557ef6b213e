"""Group commit: waiting batches become one transaction, and are answered once it is committed."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kscope.generate.tables import Schema
from kscope.store.backends.base import Backend
from kscope.store.backends.errors import (
    BatchRefused,
    StaleDeclaration,
    StoreBusy,
    StoreError,
    WriteConflict,
)
from kscope.store.backends.in_thread import in_thread
from kscope.store.backends.last_fault import LastFault
from kscope.store.schema.interning import STACKS, STRINGS
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import NewTextLimits
from kscope.store.write.steps import Steps
from kscope.store.write.transaction import Dictionary, Transaction

MAX_WAITING_ROWS = 1_000_000
MAX_GROUP_ROWS = 200_000
_STOP_SECONDS = 10
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
    """The writer's work since the start; for /metrics."""

    commits: int = 0
    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    failures: int = 0
    over_stack_limit: int = 0
    over_string_limit: int = 0
    commit_seconds: float = 0.0


@dataclass(eq=False)
class GroupWriter:
    """One task writes; requests wait in line. At most MAX_WAITING_ROWS wait."""

    _backend: Backend
    _schema: Callable[[], Schema]
    _last_fault: LastFault
    limits: NewTextLimits
    counters: Counters = field(default_factory=Counters)
    known: Dictionary = field(default_factory=Dictionary)
    waiting_rows: int = 0
    _queue: asyncio.Queue[Waiting] = field(default_factory=asyncio.Queue)
    # Only to tell rows apart.
    _seq: int = field(default_factory=lambda: random.randrange(_SMALL_SEQ_LIMIT))  # noqa: S311
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    def start(self) -> None:
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="kscope writer")

    async def stop(self) -> None:
        """Commit the waiting batches, and take no more."""
        self._closing = True
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._queue.join()
        except TimeoutError:
            log.warning("the database does not take what waits: %d rows", self.waiting_rows)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while not self._queue.empty():
            self._fail([self._queue.get_nowait()], StoreBusy("the server is stopping"))

    async def write(self, batch: Batch) -> Stored:
        if self._closing:
            raise StoreBusy("the server is stopping", retry_after=5)
        self._last_fault.check_damage()
        if self.waiting_rows and self.waiting_rows + len(batch) > MAX_WAITING_ROWS:
            raise StoreBusy(f"{self.waiting_rows} rows wait to be written: send later")
        self.waiting_rows += len(batch)
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
                self.waiting_rows -= rows
                for _ in group:
                    self._queue.task_done()

    async def _commit(self, group: list[Waiting]) -> None:
        started = time.perf_counter()
        try:
            answers = await self._store([waiting.batch for waiting in group])
        except (BatchRefused, StaleDeclaration) as error:
            if len(group) == 1:
                self._fail(group, error)
                return
            # Each batch by itself, so that one bad batch fails alone.
            for waiting in group:
                await self._commit([waiting])
        except StoreError as error:
            self._last_fault.note(error)
            self._fail(group, error)
        except Exception:
            log.exception("a batch could not be stored")
            self._fail(group, StoreError("the server failed to store this; its log says why"))
        else:
            self._succeed(group, answers)
            self.counters.commit_seconds += time.perf_counter() - started

    def _succeed(self, group: list[Waiting], answers: list[Stored | StoreBusy]) -> None:
        self._last_fault.wrote()
        self.counters.commits += 1
        for waiting, answer in zip(group, answers, strict=True):
            if isinstance(answer, StoreBusy):
                self._fail([waiting], answer)
                continue
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

    async def _store(self, batches: list[Batch]) -> list[Stored | StoreBusy]:
        """Try again if a concurrent transaction of another server conflicted.

        If its rows have the same sequence numbers, use others.
        """
        for attempt in range(3):
            try:
                return await self._store_once(batches)
            except (BatchRefused, WriteConflict) as error:
                if attempt == 2:
                    raise
                if isinstance(error, WriteConflict):
                    continue
                # Those below may all be taken in this microsecond: there is more room above.
                self._seq = random.randrange(_SMALL_SEQ_LIMIT, _SEQ_LIMIT)  # noqa: S311
                self.known.clear()
        raise AssertionError

    async def _store_once(self, batches: list[Batch]) -> list[Stored | StoreBusy]:
        self.known.begin()
        async with self._backend.transaction() as session:
            # The schema of now: a migration may have run while this waited for its turn.
            grants = {STACKS: self.limits.stacks.start(), STRINGS: self.limits.strings.start()}
            work = Transaction if self._backend.transactional else Steps
            transaction = work(session, self._schema(), self.known, self.next_seq, grants)
            answers = await transaction.store(batches)
        for kind, grant in grants.items():
            grant.commit()
            count = sum(map(len, batches))
            await in_thread(count, self.known.numbers[kind].add, transaction.new[kind])
        self.counters.over_stack_limit += grants[STACKS].rows
        self.counters.over_string_limit += grants[STRINGS].rows
        return answers

    def next_seq(self, count: int) -> range:
        limit = _SMALL_SEQ_LIMIT if self._seq < _SMALL_SEQ_LIMIT else _SEQ_LIMIT
        if self._seq + count >= limit:
            self._seq = 0
        start = self._seq
        self._seq += count
        return range(start, start + count)
