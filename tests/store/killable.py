"""A server in a process that can be started fast, and that dies in the middle of what it does."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kscope.errors import KscopeError
from kscope.server import app
from kscope.store import store
from kscope.store.backends import mysql, sqlite
from kscope.store.housekeeping import close_buckets, loop, retention
from kscope.store.schema.alterations import Step
from kscope.store.schema.progress import SECOND
from kscope.store.write import group_commit as writer
from kscope.store.write import transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from kscope.config import Settings

PHASES = ("ingest", "migration", "rollup", "retention", "late sums")
# Of the memory that is shared with the test: seconds that a phase took lately, by its number.
INSIDE, CLOCK, STATEMENTS, PLANNED, LAST_STATEMENT = 10, 11, 12, 13, 14
CELLS = 15
SURVIVED_AT_MOST = 2
HOUR = 3600


LOG = logging.getLogger(__name__)


@dataclass
class Death:
    """Kills this process a random while after it entered a phase, before it leaves it.

    By SIGALRM's default action: the kernel ends the process as it does for SIGKILL, at once and
    without asking, and it is the only one of such signals that a timer sends. A phase that was
    quicker than the timer is not left for the second time.
    """

    phase: str
    shared: Any
    survived: int = 0

    @contextmanager
    def near(self, phase: str) -> Iterator[None]:
        if phase != self.phase:
            yield
            return
        number = PHASES.index(phase)
        started = time.perf_counter()
        self.shared[INSIDE] = 1
        usual = self.shared[number] or 0.005
        # Who dies cannot say how long it would have taken: the next one waits longer, until one
        # comes through.
        self.shared[number] = min(2.0, usual * 1.5)
        if phase != "migration" or not self.shared[LAST_STATEMENT]:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, usual))
        yield
        self.shared[number] = time.perf_counter() - started
        self.survived += 1
        if self.survived == SURVIVED_AT_MOST or phase == "migration":
            self.now()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.shared[INSIDE] = 0

    def after_statement(self) -> None:
        """Count a migration's statements; die after the one that the test has chosen."""
        self.shared[STATEMENTS] += 1
        if self.phase == "migration" and self.shared[STATEMENTS] == self.shared[LAST_STATEMENT]:
            self.now()

    def now(self) -> None:
        os.kill(os.getpid(), signal.SIGALRM)


def run(settings: Settings, log: Path, phase: str, shared: Any) -> None:
    """Serve, with housekeeping all the time and in tiny steps; die in the phase, if one is named.

    Housekeeping uses a separate clock, one hour later in each round: each has an hour to
    sum and one to remove.
    """
    logging.basicConfig(filename=log, level=logging.INFO)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    random.seed(os.getpid())
    retention.ROWS_PER_STEP = 40
    loop._PAUSE = 0
    _watch(Death(phase, shared))

    async def housekeeping(opened: store.Store) -> None:
        while True:
            shared[CLOCK] += HOUR
            now = int(shared[CLOCK]) * SECOND
            try:
                await loop.roll_up(opened, now)
                await loop.retain(opened, now)
            except KscopeError as error:
                LOG.warning("housekeeping waits: %s", error)
            await asyncio.sleep(0)

    loop.run = housekeeping  # type: ignore[assignment]
    asyncio.run(app.serve(settings, lambda *_: None))


def _watch(death: Death) -> None:
    """Put each phase's own code between the entry and the exit."""

    def whole(phase: str, function: Any) -> Any:
        @functools.wraps(function)
        async def wrapped(*given: Any) -> Any:
            with death.near(phase):
                return await function(*given)

        return wrapped

    def each_step(phase: str, steps: Any) -> Any:
        @functools.wraps(steps)
        async def wrapped(*given: Any) -> AsyncIterator[int]:
            generator = steps(*given)
            while True:
                with death.near(phase):
                    step = await anext(generator, None)
                if step is None:
                    return
                yield step

        return wrapped

    writer.GroupWriter._store_once = whole("ingest", writer.GroupWriter._store_once)  # type: ignore[method-assign]
    close_buckets._store_sums = whole("rollup", close_buckets._store_sums)
    retention.remove = each_step("retention", retention.remove)
    transaction.add_late = whole("late sums", transaction.add_late)  # type: ignore[attr-defined]
    store.apply = whole("migration", _counted(death, store.apply))  # type: ignore[attr-defined]


def _counted(death: Death, apply: Any) -> Any:
    """Note how far the statements of a migration have come."""

    async def wrapped(session: Any, schema: Any, migration: Any) -> None:
        death.shared[STATEMENTS] = 0
        death.shared[PLANNED] = sum(isinstance(step, Step) for step in migration)
        for kind in (mysql.MySQLSession, sqlite.SQLiteSession):
            kind.run = _counting(death, kind.run)  # type: ignore[method-assign]
        await apply(session, schema, migration)

    return wrapped


def _counting(death: Death, run: Any) -> Any:
    async def wrapped(self: Any, text: str) -> None:
        await run(self, text)
        death.after_statement()

    return wrapped
