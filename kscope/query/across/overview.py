"""Every category and host at a glance, for the page's Home."""

import time
from collections.abc import AsyncIterator

from kscope.query.across.overview_answer import Overview
from kscope.query.across.question import AskedOfAll, QuestionOfAll
from kscope.query.parse.parameters import Parameter
from kscope.query.scan.timesteps import step_length, steps
from kscope.store.reader import Reader


async def overview(_: Reader, asked: AskedOfAll) -> AsyncIterator[Overview]:
    started = time.perf_counter()
    grid = steps(asked.range, step_length(asked.range, asked["points"]))
    yield Overview(
        start=asked.range.start,
        end=asked.range.end,
        step=grid.length,
        times=grid.times,
        tables=[],
        hosts=[],
        markers=[],
        events=[],
        notices=[],
        elapsed_ms=round((time.perf_counter() - started) * 1000, 1),
    )


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
