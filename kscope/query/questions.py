"""The questions that can be asked of a category: one row each, read by the routes and the CLI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from kscope.declare.charts.base import grouping
from kscope.declare.types.base import Role
from kscope.query import responses
from kscope.query.answers.compare import CompareQuestion, Comparison, compare
from kscope.query.answers.flamegraph import Flamegraph, FlamegraphQuestion, flamegraph
from kscope.query.answers.heatmap import Heatmap, HeatmapQuestion, heatmap
from kscope.query.answers.histogram import Histogram, SizesQuestion, histogram
from kscope.query.answers.hosts import Hosts, HostsQuestion, hosts
from kscope.query.answers.quality import Quality, quality
from kscope.query.answers.rows import DEFAULT_LIMIT, MAX_LIMIT, Rows, RowsQuestion, order_of, rows
from kscope.query.answers.timeseries import Timeseries, TimeseriesQuestion, timeseries
from kscope.query.answers.top import Top, TopQuestion, top
from kscope.query.answers.values import Values, ValuesQuestion, values
from kscope.query.export.formats import STACKS, TABLES
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import chart_of, groups_of, share_value_of, stack_of, value_of
from kscope.query.parse.errors import complain, one_of
from kscope.query.scan import aggregates, sizes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from kscope.declare.model import Category, Column
    from kscope.query.parse.columns import Value
    from kscope.query.parse.parameters import Asked, Parameter
    from kscope.query.parse.scope import Scope
    from kscope.query.responses import Response
    from kscope.store.reader import Reader

BASE = "/api/v1"


@dataclass(frozen=True, slots=True)
class Question:
    """`ask` answers a checked request; `answer` is the type of its JSON.

    The parameters of `in_path` follow the table in the address; one that `compares` has a base,
    whose range and filters begin with `base.`.
    """

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    ask: Callable[[Reader, Asked], Awaitable[Response]]
    answer: type
    in_path: tuple[str, ...] = ()
    compares: bool = False

    def read(self, category: Category, request: Sequence[tuple[str, str]]) -> Asked:
        """Check a request; QueryError has everything that is wrong with it."""
        reads = p.read_sides if self.compares else p.read
        return reads(category, request, self.parameters)

    @property
    def path(self) -> str:
        return "/".join(["", self.name, "{table}", *(f"{{{name}}}" for name in self.in_path)])


async def _flamegraph(reader: Reader, asked: Asked) -> Response:
    question = flamegraph_question(asked)
    if asked["format"] in STACKS:
        return await responses.stacks(reader, asked, question)
    return await responses.json(await flamegraph(reader, question))


def flamegraph_question(asked: Asked) -> FlamegraphQuestion:
    return FlamegraphQuestion(
        asked.scope,
        stack_of(asked.category, asked["stack"]),
        value_of(asked.category, asked["value"], "flamegraph"),
        groups_of(asked.category, _by(asked, "flamegraph")),
    )


async def _compare(reader: Reader, asked: Asked) -> Response:
    assert asked.base is not None
    side = flamegraph_question(asked)
    normalised = asked["normalised"] == "true"
    question = CompareQuestion(side, replace(side, scope=asked.base), normalised)
    return await responses.table_or_json(asked, await compare(reader, question))


async def _hosts(reader: Reader, asked: Asked) -> Response:
    category = asked.category
    profile = _profile(category, asked["stack"])
    value = share_value_of(category, asked["value"])
    question = HostsQuestion(asked.scope, profile, value, asked["n"], asked["min_events"])
    return await responses.table_or_json(asked, await hosts(reader, question))


async def _quality(reader: Reader, asked: Asked) -> Response:
    return await responses.table_or_json(asked, await quality(reader, asked.scope))


def _profile(category: Category, stack: str) -> Column:
    """The stack column, or without one the column that charts group by."""
    if stack or category.with_role(Role.STACK):
        return stack_of(category, stack)
    if by := grouping(category.columns):
        return by
    dimensions = [each for each in category.with_role(Role.DIMENSION) if each.name != "hostname"]
    if not dimensions:
        raise complain("table", f"{category.table} has no column whose shares could be compared")
    return dimensions[0]


async def _rows(reader: Reader, asked: Asked) -> Response:
    question = rows_question(asked)
    if asked["format"] in TABLES:
        every = question if "limit" in asked.given else replace(question, limit=None)
        return await responses.streamed(reader, asked, every)
    if question.limit is not None and question.limit > MAX_LIMIT:
        raise complain("limit", f"at most {MAX_LIMIT}, or format=csv or format=ndjson for more")
    page = await rows(reader, question)
    if page.next:
        address = f"{BASE}/rows/{asked.category.table}?{asked.again(cursor=page.next)}"
        page = msgspec.structs.replace(page, next=address)
    return await responses.json(page)


def rows_question(asked: Asked) -> RowsQuestion:
    return RowsQuestion(
        asked.scope,
        asked.category.all_columns,
        order_of(asked.category, asked["order"]),
        asked["limit"],
        asked["cursor"],
    )


async def _timeseries(reader: Reader, asked: Asked) -> Response:
    value = value_of(asked.category, asked["value"], "timeseries", Role.HISTOGRAM)
    by = groups_of(asked.category, _by(asked, "timeseries"))
    if len(by) > 1:
        raise complain("by", "a series is of one column")
    aggregate = aggregates.aggregate_name(value, asked["aggregate"])
    group = by[0] if by else None
    return await responses.table_or_json(
        asked,
        await timeseries(
            reader,
            TimeseriesQuestion(asked.scope, value, group, asked["n"], aggregate, asked["points"]),
        ),
    )


async def _top(reader: Reader, asked: Asked) -> Response:
    value = value_of(asked.category, asked["value"], "top", Role.HISTOGRAM)
    by = groups_of(asked.category, _by(asked, "top") or _grouping(asked))
    aggregate = aggregates.aggregate_name(value, asked["aggregate"])
    question = TopQuestion(asked.scope, by, value, aggregate, asked["n"])
    return await responses.table_or_json(asked, await top(reader, question))


async def _heatmap(reader: Reader, asked: Asked) -> Response:
    question = HeatmapQuestion(*_sizes(asked, "heatmap"), asked["points"])
    return await responses.table_or_json(asked, await heatmap(reader, question))


async def _histogram(reader: Reader, asked: Asked) -> Response:
    question = SizesQuestion(*_sizes(asked, "histogram"))
    return await responses.table_or_json(asked, await histogram(reader, question))


def _sizes(asked: Asked, kind: str) -> tuple[Scope, Value, str, int]:
    value = value_of(asked.category, asked["value"], kind, Role.HISTOGRAM, rows=False)
    return asked.scope, value, sizes.scale_name(value, asked["scale"]), asked["slots"]


async def _values(reader: Reader, asked: Asked) -> Response:
    column = _completed(asked)
    question = ValuesQuestion(asked.scope, column, asked["prefix"], asked["n"])
    return await responses.table_or_json(asked, await values(reader, question))


def _completed(asked: Asked) -> Column:
    name, allowed = asked["column"], p.completable(asked.category)
    column = asked.category.column(name)
    if column is None or name not in allowed:
        raise complain("column", one_of("column with values to offer", name, allowed))
    return column


def _by(asked: Asked, kind: str) -> str:
    """What was asked for, an empty text included; else the chart's, or that of a time series."""
    if "by" in asked.given:
        return str(asked["by"])
    charts = (chart_of(asked.category, kind), chart_of(asked.category, "timeseries"))
    return next((chart.by for chart in charts if chart), "")


def _grouping(asked: Asked) -> str:
    """What a ranking is by if neither the request nor a chart says it."""
    column = grouping(asked.category.columns)
    return column.name if column and "by" not in asked.given else "hostname"


_LIMIT = p.Parameter(
    "limit",
    f"how many rows at most, {MAX_LIMIT} in JSON; CSV and NDJSON have all by default",
    str(DEFAULT_LIMIT),
    least=1,
    most=10**12,
)
_ORDER = p.Parameter("order", "a column, from its smallest; `-column` from its largest", "-time")
_CURSOR = p.Parameter("cursor", "the page after another one: from that answer's `next`")
_POINTS = p.Parameter("points", "how many steps of time at most", "120", least=1, most=2000)
_SCALE = p.Parameter(
    "scale", "slots by powers of two or of equal width; default: what fits", choices=sizes.SCALES
)
_SLOTS = p.Parameter("slots", "how many slots of equal width, about", "32", least=1, most=500)
_AGGREGATE = p.Parameter(
    "aggregate", "how values become one; default: what fits", choices=aggregates.NAMES
)


_NORMALISED = p.Parameter(
    "normalised", "compare shares, not amounts", "false", choices=("false", "true")
)
_MIN_EVENTS = p.Parameter(
    "min_events", "a host with fewer is marked, not ranked", "100", least=0, most=10**9
)


_TABLE_FORMAT = p.Parameter("format", "of the answer", "json", choices=("json", *TABLES))
_STACK_FORMAT = p.Parameter("format", "of the answer", "json", choices=("json", *STACKS))


def _n(what: str, default: int) -> Parameter:
    return p.Parameter("n", f"how many {what} at most", str(default), least=1, most=1000)


_ALL = (
    Question(
        "flamegraph",
        "The values of a range by stack, as the columns of a tree in preorder.",
        (p.VALUE, p.STACK, p.BY, _STACK_FORMAT),
        _flamegraph,
        Flamegraph,
    ),
    Question(
        "rows",
        "Rows as they were sent, newest first.",
        (_LIMIT, _ORDER, _CURSOR, _TABLE_FORMAT),
        _rows,
        Rows,
    ),
    Question(
        "timeseries",
        "A value over time: the largest groups, and the rest as one.",
        (
            p.MEASURE,
            p.SERIES_BY,
            _n("series beside the rest", 5),
            _AGGREGATE,
            _POINTS,
            _TABLE_FORMAT,
        ),
        _timeseries,
        Timeseries,
    ),
    Question(
        "heatmap",
        "Events by time and size.",
        (p.SIZE, _SCALE, _SLOTS, _POINTS, _TABLE_FORMAT),
        _heatmap,
        Heatmap,
    ),
    Question(
        "histogram",
        "Events by size, and percentiles read from them.",
        (p.SIZE, _SCALE, _SLOTS, _TABLE_FORMAT),
        _histogram,
        Histogram,
    ),
    Question(
        "top",
        "The groups with the most.",
        (p.MEASURE, p.BY, _n("groups", 20), _AGGREGATE, _TABLE_FORMAT),
        _top,
        Top,
    ),
    Question(
        "compare",
        "Two flame graphs as one: a side, and the base that it is compared with.",
        (p.VALUE, p.STACK, p.BY, _NORMALISED, _TABLE_FORMAT),
        _compare,
        Comparison,
        compares=True,
    ),
    Question(
        "hosts",
        "How far each host is from the others' median profile, and the frames that make it so.",
        (p.SHARE, p.STACK, _n("frames of each host", 10), _MIN_EVENTS, _TABLE_FORMAT),
        _hosts,
        Hosts,
    ),
    Question(
        "quality",
        "What is missing from the rows, by what the agents that sent them report.",
        (_TABLE_FORMAT,),
        _quality,
        Quality,
    ),
    Question(
        "values",
        "The values of a column, for completion; of a stack column, its frames.",
        (
            p.COLUMN,
            p.Parameter("prefix", "text that a value contains, at its start first"),
            _n("values", 20),
            _TABLE_FORMAT,
        ),
        _values,
        Values,
        in_path=("column",),
    ),
)
QUESTIONS: Mapping[str, Question] = MappingProxyType({row.name: row for row in _ALL})
