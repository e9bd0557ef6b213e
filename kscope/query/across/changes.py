"""The differences of a range from the time before it, across all categories."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from kscope.query.across.baselines import BASE_FROM, BASE_TO, BASELINE, baseline_of
from kscope.query.across.changes_answer import Changes
from kscope.query.across.losses import Loss, losses_of
from kscope.query.across.names import Names
from kscope.query.across.question import AskedOfAll, QuestionOfAll, TableScope
from kscope.query.across.readings import TableReading, read_table
from kscope.query.across.report import Found, Report, is_read
from kscope.query.across.windows import Baseline
from kscope.query.answers.markers import Marker, markers_of
from kscope.query.parse.errors import QueryError
from kscope.query.parse.parameters import Parameter
from kscope.query.parse.timerange import TimeRange
from kscope.query.sql.conditions import Group, conditions
from kscope.store.backends.errors import QueryTimeout
from kscope.store.reader import Reader

# Tables at a time: other questions need readers too.
_AT_ONCE = 2
# Seconds before the first answer of a stream, and at least between two. Each takes the whole
# measure: the longer it takes, the fewer there are.
_FIRST, _PAUSE = 0.4, 1.5
_MOST_MARKERS = 50


@dataclass
class _Reading:
    """The tables of a question while they are read."""

    reader: Reader
    asked: AskedOfAll
    baseline: Baseline
    texts: Names
    read: dict[str, TableReading] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def table(self, table: TableScope) -> None:
        async with self.room:
            try:
                found = await read_table(self.reader, table.scope, self.baseline, self.texts)
            except QueryError as error:
                self.failed[table.category.table] = str(error)
            else:
                self.read[table.category.table] = found


def active(asked: AskedOfAll) -> list[TableScope]:
    """Return the tables that are read: those that take all filters; with stacks first."""
    found = [each for each in asked.tables if not each.inactive and is_read(each.category)]
    return sorted(found, key=lambda each: not each.has_stacks)


async def changes(reader: Reader, asked: AskedOfAll) -> AsyncIterator[Changes]:
    """Yield what is known as tables are read, and at last the whole answer.

    If the deadline comes before, the last answer says which tables are missing.
    """
    started = time.perf_counter()
    baseline = baseline_of(asked)
    reader = await reader.knowing()
    reading = _Reading(reader, asked, baseline, Names(reader))
    near = await _near(reader, asked)
    wanted = active(asked)
    tasks = {asyncio.ensure_future(reading.table(each)) for each in wanted}
    left = set(tasks)

    async def answer(*, done: bool) -> Changes:
        found = Found(dict(reading.read), dict(reading.failed), *near)
        took = round((time.perf_counter() - started) * 1000, 1)
        made = Report(asked, baseline, wanted, found)
        return await asyncio.to_thread(lambda: made.answer(done=done, took=took))

    try:
        said, pause = started, _FIRST
        while left:
            finished, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for each in finished:
                each.result()
            begun = time.perf_counter()
            if left and begun - said >= pause and reading.read:
                yield await answer(done=False)
                said = time.perf_counter()
                pause = max(_PAUSE, 3 * pause, 3 * (said - begun))
    except QueryTimeout:
        if not reading.read:
            raise
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    yield await answer(done=True)


async def _near(reader: Reader, asked: AskedOfAll) -> tuple[list[Marker], list[Loss]]:
    """Return the markers in the range or up to its length before, and the losses."""
    span = asked.range
    before = TimeRange(2 * span.start - span.end, span.end)
    markers = await markers_of(reader, before, most=_MOST_MARKERS)
    hosts = [each for each in conditions(_where(asked)) if each.column.name == "hostname"]
    return markers, await losses_of(reader, span, Group(tuple(hosts)))


def _where(asked: AskedOfAll) -> Group:
    tables: Sequence[TableScope] = asked.tables
    return next((each.scope.where for each in tables), Group())


QUESTIONS = (
    QuestionOfAll(
        name="changes",
        help="The differences of a range from the usual, in every data type: as sentences.",
        parameters=(
            BASELINE,
            BASE_FROM,
            BASE_TO,
            Parameter("n", "how many findings at most", "20", least=1, most=200),
        ),
        ask=changes,
        answer=Changes,
    ),
)
