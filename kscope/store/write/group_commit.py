"""Group commit: waiting batches become one transaction, and are answered once it is committed."""

import asyncio
import logging
import random
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import islice

from kscope.generate.tables import Schema
from kscope.store.backends.base import Backend, Session
from kscope.store.backends.errors import (
    BatchRefused,
    QueueFull,
    StaleDeclaration,
    StoreBusy,
    StoreError,
    WriteConflict,
)
from kscope.store.backends.last_fault import LastFault
from kscope.store.schema.interning import STACKS, STRINGS
from kscope.store.write.batch import Batch, Stored
from kscope.store.write.cardinality import NewTextLimits
from kscope.store.write.steps import Steps
from kscope.store.write.transaction import Dictionary, Transaction

MAX_WAITING_ROWS = 1_000_000
MAX_GROUP_ROWS = 200_000
# So many rows do not wait for a commit that runs, on an engine that takes several.
BESIDE_ROWS = 40_000
# Of the histogram of commits, in seconds.
COMMIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STOP_SECONDS = 10
_SEQ_LIMIT = 2**31
# SQLite stores a number below this in three bytes.
_SMALL_SEQ_LIMIT = 2**23

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    batch: Batch
    answer: asyncio.Future[Stored]
    since: float = field(default_factory=time.monotonic)


@dataclass
class Counters:
    """The writer's work since the start; for /metrics."""

    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    failures: int = 0
    over_stack_limit: int = 0
    over_string_limit: int = 0
    commit_seconds: float = 0.0
    # The number of commits that took up to each of COMMIT_BOUNDS, but no earlier one, and longer.
    commits: list[int] = field(default_factory=lambda: [0] * (len(COMMIT_BOUNDS) + 1))

    def note_commit(self, seconds: float) -> None:
        self.commit_seconds += seconds
        self.commits[bisect_left(COMMIT_BOUNDS, seconds)] += 1

    def plus(self, other: "Counters") -> "Counters":
        """Return the sums of both."""
        sums = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(Counters)
            if each.name != "commits"
        }
        commits = [a + b for a, b in zip(self.commits, other.commits, strict=True)]
        return Counters(**sums, commits=commits)


@dataclass(eq=False)
class GroupWriter:
    """Requests wait in line; a task for each commit stores a group of them.

    At most MAX_WAITING_ROWS wait.
    """

    _backend: Backend
    _schema: Callable[[], Schema]
    _last_fault: LastFault
    limits: NewTextLimits
    counters: Counters = field(default_factory=Counters)
    known: Dictionary = field(default_factory=Dictionary)
    # Rows without an answer; those in line are among them.
    waiting_rows: int = 0
    _rows_in_line: int = 0
    _line: deque[Waiting] = field(default_factory=deque)
    # The commits that run, since when their oldest batch waits, and the keys of their batches.
    _commits: dict[asyncio.Task[None], float] = field(default_factory=dict)
    _keys: set[bytes] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
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
                while self._line or self._commits:
                    await self._change()
        except TimeoutError:
            log.warning("the database does not take what waits: %d rows", self.waiting_rows)
        tasks = [task for task in (self._task, *self._commits) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail([*self._line], StoreBusy("the server is stopping"))
        self._line.clear()

    @property
    def waiting_limit(self) -> int:
        return MAX_WAITING_ROWS

    @property
    def oldest_seconds(self) -> float:
        """Return for how long the oldest batch waits for its commit; 0 if none waits."""
        # The first in line is its oldest.
        since = [*self._commits.values(), *(waiting.since for waiting in islice(self._line, 1))]
        return time.monotonic() - min(since) if since else 0.0

    async def write(self, batch: Batch) -> Stored:
        if self._closing:
            raise StoreBusy("the server is stopping", retry_after=5)
        self._last_fault.check_damage()
        if self.waiting_rows and self.waiting_rows + len(batch) > MAX_WAITING_ROWS:
            raise QueueFull(f"{self.waiting_rows} rows wait to be written: send later")
        self.waiting_rows += len(batch)
        self._rows_in_line += len(batch)
        waiting = Waiting(batch, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        self._changed.set()
        return await waiting.answer

    async def _change(self) -> None:
        """Wait until a batch comes, or a commit ends."""
        self._changed.clear()
        await self._changed.wait()

    async def _run(self) -> None:
        while True:
            group = self._next_group() if self._may_begin() else []
            if not group:
                await self._change()
                continue
            task = asyncio.create_task(self._commit_group(group), name="kscope commit")
            self._commits[task] = min(waiting.since for waiting in group)
            task.add_done_callback(self._ended)

    def _ended(self, commit: asyncio.Task[None]) -> None:
        self._commits.pop(commit, None)
        self._changed.set()

    def _may_begin(self) -> bool:
        """Return whether a commit may begin; beside others only a large one."""
        if self._commits:
            is_able = len(self._commits) < self._backend.commits_at_once
            return is_able and self._rows_in_line >= BESIDE_ROWS
        return bool(self._line)

    def _next_group(self) -> list[Waiting]:
        """Take batches out of line, except those whose keys are being stored: sent twice."""
        group: list[Waiting] = []
        twice: list[Waiting] = []
        rows = 0
        while self._line and rows < MAX_GROUP_ROWS:
            waiting = self._line.popleft()
            if waiting.batch.key in self._keys:
                twice.append(waiting)
                continue
            group.append(waiting)
            rows += len(waiting.batch)
        self._line.extendleft(reversed(twice))
        self._rows_in_line -= rows
        self._keys.update(waiting.batch.key for waiting in group if waiting.batch.key)
        return group

    async def _commit_group(self, group: list[Waiting]) -> None:
        try:
            await self._commit(group)
        except asyncio.CancelledError:
            self._fail(group, StoreBusy("the server is stopping"))
            raise
        finally:
            self.waiting_rows -= sum(len(waiting.batch) for waiting in group)
            self._keys.difference_update(waiting.batch.key for waiting in group)

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
            self.counters.note_commit(time.perf_counter() - started)

    def _succeed(self, group: list[Waiting], answers: list[Stored | StoreBusy]) -> None:
        self._last_fault.wrote()
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
        kind = Transaction if self._backend.transactional else Steps
        transactions: list[Transaction] = []

        async def store(session: Session) -> list[Stored | StoreBusy]:
            # The schema of now: a migration may have run while this waited for its turn.
            grants = {STACKS: self.limits.stacks.start(), STRINGS: self.limits.strings.start()}
            transactions.append(kind(session, self._schema(), self.known, self.next_seq, grants))
            return await transactions[0].store(batches)

        answers = await self._backend.committed(store)
        (transaction,) = transactions
        await transaction.remember(sum(map(len, batches)))
        self.counters.over_stack_limit += transaction.grants[STACKS].rows
        self.counters.over_string_limit += transaction.grants[STRINGS].rows
        return answers

    def next_seq(self, count: int) -> range:
        limit = _SMALL_SEQ_LIMIT if self._seq < _SMALL_SEQ_LIMIT else _SEQ_LIMIT
        if self._seq + count >= limit:
            self._seq = 0
        start = self._seq
        self._seq += count
        return range(start, start + count)
