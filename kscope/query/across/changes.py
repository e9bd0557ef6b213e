"""The differences of a range from the time before it, across all categories."""

import time
from collections.abc import AsyncIterator

from kscope.query.across.changes_answer import Changes, ReadTable
from kscope.query.across.question import AskedOfAll, QuestionOfAll
from kscope.query.parse.parameters import Parameter
from kscope.query.parse.timerange import MOMENT_HELP
from kscope.store.reader import Reader

BASELINES = ("before", "day", "week", "hosts", "range")


async def changes(_: Reader, asked: AskedOfAll) -> AsyncIterator[Changes]:
    started = time.perf_counter()
    span = asked.range
    tables = [
        ReadTable(each.category.table, each.category.prettyname, 0, "waiting")
        for each in asked.tables
    ]
    yield Changes(
        start=span.start,
        end=span.end,
        base_from=span.start - 24 * (span.end - span.start),
        base_to=span.start,
        baseline=asked["baseline"],
        findings=[],
        more=[],
        usual=0,
        tables=tables,
        by_host=[],
        markers=[],
        losses=[],
        text="",
        done=True,
        read=0,
        of=len(tables),
        elapsed_ms=round((time.perf_counter() - started) * 1000, 1),
        notices=[],
    )


QUESTIONS = (
    QuestionOfAll(
        name="changes",
        help="The differences of a range from the usual, in every data type: ranked, as sentences.",
        parameters=(
            Parameter(
                "baseline",
                "compared with the time before, the same time a day or a week ago, the other"
                " hosts, or the range of `base.from` and `base.to`",
                "before",
                choices=BASELINES,
            ),
            Parameter("base.from", f"start of the baseline `range`: {MOMENT_HELP}"),
            Parameter("base.to", "end of the baseline `range`, itself not in it"),
            Parameter("n", "how many findings at most", "20", least=1, most=200),
        ),
        ask=changes,
        answer=Changes,
    ),
)
