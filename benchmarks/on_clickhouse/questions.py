"""Each question of the page, and the SQL that a person who knows the tables writes for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.fleet import MINUTE, host_name
from benchmarks.loading import HOUR
from benchmarks.on_clickhouse.rows import BEGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Span = tuple[int, int]

STRINGS, STACKS = ("kscope_string", "text"), ("kscope_stack", "frames")
_ROWS = "kscope_rows_offcputime"
_HOST = host_name(0)
_WORDS = re.compile(r"\b(?:TABLE|COUNT|SPAN|STEP)\b")
_BY_STACK = "SELECT stack, sum(elapsed), sum(count), COUNT FROM TABLE WHERE SPAN"
_BY_PROCESS = "SELECT process, stack, sum(elapsed), sum(count), COUNT FROM TABLE WHERE SPAN"
_LENGTHS = (
    "SELECT intDiv(time, STEP) AS step, sumMap(lengths), sum(elapsed), COUNT FROM TABLE"
    " WHERE SPAN GROUP BY step"
)
_BOUNDS = sorted(step * 10**power for power in range(9) for step in (1, 2, 5))
# The place of a row's mean length among the round sizes of the page.
_SIZES = (
    "SELECT intDiv(time, STEP) AS step,"
    f" roundDown(intDiv(elapsed, count), {_BOUNDS}) AS size,"
    " sum(count), sum(elapsed), COUNT FROM TABLE WHERE SPAN GROUP BY step, size"
)
_NAMED = {1: STRINGS, 2: STRINGS, 5: STRINGS, 6: STRINGS, 7: STACKS}


@dataclass(frozen=True)
class Asked:
    """A question with its parameters, and SQL for it.

    In the SQL `TABLE` is the table that the answer is read from, `COUNT` the number of rows in it,
    `SPAN` the range, and `STEP` the length of a step that the answer has. `texts` are the tables
    whose texts stand for the ids of a column, which a second statement reads.
    """

    name: str
    question: str
    span: Span
    sql: Sequence[str]
    parameters: Mapping[str, str]
    texts: Mapping[int, tuple[str, str]]

    def pairs(self) -> list[tuple[str, str]]:
        start, stop = self.span
        return [("from", str(start)), ("to", str(stop)), *self.parameters.items()]

    def statements(self, table: str, step: int) -> list[str]:
        put = {
            "TABLE": table,
            "COUNT": "count()" if table == _ROWS else "sum(kscope_rows)",
            "SPAN": _within(self.span),
            "STEP": str(step),
        }
        return [_WORDS.sub(lambda word: put[word[0]], each) for each in self.sql]


def _asked(
    name: str,
    span: Span,
    *sql: str,
    texts: Mapping[int, tuple[str, str]] | None = None,
    **parameters: str,
) -> Asked:
    """Make a question, whose kind is the name's first word."""
    return Asked(name, name.partition(" ")[0], span, sql, parameters, texts or {})


def _within(span: Span) -> str:
    return f"time >= {span[0]} AND time < {span[1]}"


def of_rows(day: Span) -> list[Asked]:
    """Return the questions to ask while there are no sums."""
    first = BEGIN + (10 * HOUR if day[1] > BEGIN + 11 * HOUR else 0)
    hour, five = (first, first + HOUR), (first + 12 * MINUTE, first + 17 * MINUTE)
    host = f"hostname = (SELECT id FROM kscope_string WHERE text = '{_HOST}')"
    of_host = f"{_BY_STACK} AND {host} GROUP BY stack"
    return [
        _of_stacks("flamegraph 5 min", five),
        _of_stacks("flamegraph 1 h", hour),
        _of_stacks("flamegraph 1 h, one host", hour, of_host, hostname=_HOST),
        *everything(day),
        _asked("heatmap of lengths, 1 h", hour, _LENGTHS, value="lengths"),
        _asked("heatmap of elapsed", day, _SIZES, value="elapsed"),
        _compared(first),
        *_listed(day, hour),
    ]


def everything(day: Span) -> list[Asked]:
    """Return the questions that sums answer too."""
    by_process, named = "GROUP BY process", {0: STRINGS}
    return [
        flame_graph(day),
        _asked(
            "flamegraph by process",
            day,
            f"{_BY_PROCESS} GROUP BY process, stack",
            texts={0: STRINGS, 1: STACKS},
            by="process",
        ),
        _asked(
            "timeseries by process",
            day,
            f"SELECT process, intDiv(time, STEP) AS step, sum(elapsed), COUNT FROM TABLE WHERE SPAN"
            f" {by_process}, step",
            texts=named,
            by="process",
            value="elapsed",
        ),
        _asked(
            "top of processes",
            day,
            f"SELECT process, sum(elapsed), COUNT FROM TABLE WHERE SPAN {by_process}",
            texts=named,
            by="process",
            value="elapsed",
        ),
        _asked("heatmap of lengths", day, _LENGTHS, value="lengths"),
        _asked(
            "histogram of lengths",
            day,
            "SELECT sumMap(lengths), COUNT FROM TABLE WHERE SPAN",
            value="lengths",
        ),
        _asked(
            "values of process",
            day,
            f"SELECT process, COUNT, sum(elapsed) FROM TABLE WHERE SPAN {by_process}",
            texts=named,
            column="process",
        ),
        _asked(
            "hosts",
            day,
            "SELECT hostname, stack, sum(elapsed), sum(count), COUNT FROM TABLE WHERE SPAN"
            " GROUP BY hostname, stack",
            "SELECT hostname, sum(elapsed) FROM TABLE WHERE SPAN GROUP BY hostname, process",
            texts={0: STRINGS, 1: STACKS},
        ),
    ]


def flame_graph(day: Span) -> Asked:
    return _of_stacks("flamegraph", day)


def _of_stacks(
    name: str, span: Span, sql: str = f"{_BY_STACK} GROUP BY stack", **parameters: str
) -> Asked:
    """Make a flame graph without groups; left out, `by` is that of the chart."""
    return _asked(name, span, sql, texts={0: STACKS}, by="", **parameters)


def _compared(first: int) -> Asked:
    """Return the comparison of half an hour with the one before it."""
    middle, end = first + HOUR // 2, first + HOUR
    halves = [
        f"SELECT process, stack, sum(elapsed), sum(count), count() FROM {_ROWS}"
        f" WHERE {_within(half)} GROUP BY process, stack"
        for half in ((first, middle), (middle, end))
    ]
    named = {0: STRINGS, 1: STACKS}
    return _asked("compare 30 min", (middle, end), *halves, texts=named, by="process")


def _listed(day: Span, hour: Span) -> list[Asked]:
    # In two steps: few columns of all rows, then all columns of few rows.
    first = "SELECT min(place) FROM (SELECT {0} AS place FROM TABLE WHERE SPAN"
    page = (
        f"SELECT *, seq FROM TABLE WHERE SPAN AND {{0}} >= ({first} ORDER BY {{0}} DESC LIMIT 100))"
    )
    last = f"{page} ORDER BY time DESC, seq DESC LIMIT 100".format("time")
    longest = f"{page} ORDER BY elapsed DESC, time DESC, seq DESC LIMIT 100".format("elapsed")
    return [
        _asked("rows newest 100", day, last, texts=_NAMED),
        _asked("rows 1 h, newest 100", hour, last, texts=_NAMED),
        _asked("rows by -elapsed", day, longest, texts=_NAMED, order="-elapsed"),
    ]
