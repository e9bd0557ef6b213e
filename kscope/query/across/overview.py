"""Every category and host at a glance, for the page's Home."""

import asyncio
import time
from collections.abc import AsyncIterator

from kscope.query.across.glance import Glance
from kscope.query.across.losses import losses_of
from kscope.query.across.names import Names
from kscope.query.across.overview_answer import Overview
from kscope.query.across.question import AskedOfAll, QuestionOfAll
from kscope.query.across.series import read_series
from kscope.query.across.tables import Tables
from kscope.query.answers.hosts import QUESTIONS as OF_HOSTS
from kscope.query.answers.hosts import Host, hosts
from kscope.query.answers.markers import TABLE as MARKERS
from kscope.query.answers.markers import markers_of
from kscope.query.parse.parameters import Parameter
from kscope.query.parse.timerange import SECOND, TimeRange, iso
from kscope.query.scan.parallel import together
from kscope.query.scan.regex import search_stacks
from kscope.query.scan.timesteps import Steps, step_length, steps
from kscope.store.reader import Reader

(HOSTS,) = OF_HOSTS
_AT_ONCE = 3
_MOST_MARKERS = 200
# Agents send once a minute: shorter steps would be empty in turn.
_SHORTEST_STEP = 60 * SECOND


async def _alike(reader: Reader, asked: AskedOfAll) -> dict[str, Host]:
    """Return each host with its group and its distance from it, by the first table with stacks."""
    for table in asked.tables:
        if not table.has_stacks or table.category.union:
            continue
        span = {"from": iso(asked.range.start), "to": iso(asked.range.end)}
        left_out = {each.parameter for each in table.inactive}
        own = [each for each in asked.filters if each[0] not in left_out]
        presets = [("preset", each.name) for each in table.scope.presets]
        request = [*span.items(), *own, *presets, ("n", "1")]
        found = await hosts(reader, HOSTS.read(table.category, request))
        if found.hosts:
            return {each.host: each for each in found.hosts}
    return {}


async def overview(reader: Reader, asked: AskedOfAll) -> AsyncIterator[Overview]:
    started = time.perf_counter()
    grid = _grid(asked)
    reader = await reader.knowing()
    texts = Names(reader)
    reading = Tables(lambda scope: read_series(reader, scope, grid, texts), _AT_ONCE)
    wanted = [each for each in asked.tables if each.category.table != MARKERS]
    markers = await markers_of(reader, asked.range, most=_MOST_MARKERS)
    losses = await losses_of(reader, asked.range, asked.of_hosts)
    await search_stacks(reader, (each.scope for each in wanted))
    alike = asyncio.ensure_future(_alike(reader, asked))
    try:
        await together(*map(reading.add, wanted))
        glance = Glance(asked, grid, reading.read, reading.failed, losses, await alike)
    finally:
        alike.cancel()
        await asyncio.gather(alike, return_exceptions=True)
    made = await asyncio.to_thread(glance.parts)
    yield Overview(
        start=asked.range.start,
        end=asked.range.end,
        step=grid.length,
        times=grid.times,
        markers=markers,
        **made,
        elapsed_ms=round((time.perf_counter() - started) * 1000, 1),
    )


def _grid(asked: AskedOfAll) -> Steps:
    span: TimeRange = asked.range
    length = step_length(span, asked["points"])
    return steps(span, max(length, min(_SHORTEST_STEP, span.end - span.start)))


QUESTIONS = (
    QuestionOfAll(
        name="overview",
        help="Each data type and each host at a glance, and what is unusual.",
        parameters=(
            Parameter("points", "how many steps of time at most", "60", least=1, most=500),
        ),
        ask=overview,
        answer=Overview,
    ),
)
