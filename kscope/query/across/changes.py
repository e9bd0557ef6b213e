"""The differences of a range from the time before it, across all categories."""

import asyncio
import time
from collections.abc import AsyncIterator

from kscope.query.across.baselines import BASE_FROM, BASE_TO, BASELINE, baseline_of
from kscope.query.across.changes_answer import Changes
from kscope.query.across.losses import Loss, losses_of
from kscope.query.across.names import Names
from kscope.query.across.question import AskedOfAll, QuestionOfAll, TableScope
from kscope.query.across.readings import read_table
from kscope.query.across.report import Found, Report, is_read
from kscope.query.across.tables import Tables
from kscope.query.answers.markers import Marker, markers_of
from kscope.query.changes.measure import Measure
from kscope.query.parse.parameters import Parameter
from kscope.query.parse.timerange import TimeRange
from kscope.query.scan.regex import search_stacks
from kscope.store.backends.errors import QueryTimeout
from kscope.store.reader import Reader

# Tables at a time.
_AT_ONCE = 2
# Seconds before the first answer of a stream, and at least between two: each measures what is new,
# so that little is left for the last. The longer they take, the fewer there are.
_FIRST, _PAUSE = 0.4, 0.25
_MOST_MARKERS = 50


def active(asked: AskedOfAll) -> list[TableScope]:
    """Return the tables that are read: those that take all filters.

    Those that take longest come first: with stacks, then with histograms.
    """
    found = [each for each in asked.tables if not each.inactive and is_read(each.category)]
    return sorted(found, key=lambda each: (not each.has_stacks, not each.has_histograms))


async def changes(reader: Reader, asked: AskedOfAll) -> AsyncIterator[Changes]:
    """Yield what is known as tables are read, and at last the whole answer.

    If the deadline comes before, the last answer says which tables are missing.
    """
    started = time.perf_counter()
    baseline = baseline_of(asked)
    reader = await reader.knowing()
    texts = Names(reader)
    reading = Tables(lambda scope: read_table(reader, scope, baseline, texts), _AT_ONCE)
    near = await _near(reader, asked)
    wanted = active(asked)
    await search_stacks(reader, (each.scope for each in wanted))
    measure = Measure()
    tasks = {asyncio.ensure_future(reading.add(each)) for each in wanted}
    left = set(tasks)

    async def answer(*, done: bool) -> Changes:
        found = Found(dict(reading.read), dict(reading.failed), *near)
        took = round((time.perf_counter() - started) * 1000, 1)
        made = Report(asked, baseline, wanted, found, measure)
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
                pause = max(_PAUSE, 2 * pause, 3 * (said - begun))
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
    return markers, await losses_of(reader, span, asked.of_hosts)


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
