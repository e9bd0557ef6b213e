"""Answers as tables, and tables as CSV or NDJSON, in pieces."""

from __future__ import annotations

import csv
import io
import re
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.declare.types.base import Storage
from kscope.query.answers.compare import Comparison
from kscope.query.answers.heatmap import Heatmap
from kscope.query.answers.histogram import Histogram
from kscope.query.answers.hosts import Hosts
from kscope.query.answers.quality import Quality
from kscope.query.answers.rows import Rows
from kscope.query.answers.timeseries import Timeseries
from kscope.query.answers.top import Top
from kscope.query.answers.values import Values
from kscope.query.export.formats import CSV
from kscope.query.parse.timerange import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kscope.declare.model import Category

# A spreadsheet would run such a text as a formula, after spaces too. An apostrophe before it marks
# a text; one more is put before a text that has one, so that to take one away gives the text again.
_FORMULA = re.compile(
    "'*\\s*[=+\\-@\\t\\r\\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}\N{MINUS SIGN}]"
)
_NUMBERS = (Storage.INTEGER, Storage.REAL)
Table = tuple[list[str], "Iterable[Sequence[Any]]"]


@singledispatch
def table(answer: Any) -> Table:
    """Column names and rows; times are ISO 8601, as a spreadsheet reads them."""
    raise NotImplementedError(type(answer))


@table.register(Timeseries)
def _timeseries(answer: Timeseries) -> Table:
    # A row for each value: a series may have any name, `time` and that of the rest as well.
    return ["time", "series", "value", "rest"], (
        (iso(time), each.name, value, each.rest)
        for each in answer.series
        for time, value in zip(answer.times, each.values, strict=True)
    )


@table.register(Heatmap)
def _heatmap(answer: Heatmap) -> Table:
    cells = (
        (iso(time), lower, events)
        for time, counts in zip(answer.times, answer.counts, strict=True)
        for lower, events in zip(answer.lower, counts, strict=True)
        if events
    )
    return ["time", "lower", "events"], cells


@table.register(Histogram)
def _histogram(answer: Histogram) -> Table:
    upper = [*answer.lower[1:], answer.upper]
    names = ["lower", "upper", "events"]
    return names, zip(answer.lower, upper, answer.counts, strict=False)


@table.register(Top)
def _top(answer: Top) -> Table:
    names = [*answer.by, answer.value_column, "share", "rows"]
    return names, ((*each.key, each.value, each.share, each.rows) for each in answer.entries)


@table.register(Values)
def _values(answer: Values) -> Table:
    return ["value", "rows"], ((each.value, each.rows) for each in answer.values)


@table.register(Rows)
def _rows(answer: Rows) -> Table:
    at = answer.columns.index("time") if "time" in answer.columns else None
    rows = [list(row) for row in answer.rows]
    if at is not None:
        for row in rows:
            row[at] = iso(row[at])
    return answer.columns, rows


@table.register(Hosts)
def _hosts(answer: Hosts) -> Table:
    names = ["host", "distance", "total", "events", "frames"]
    return names, (
        (each.host, each.distance, each.total, each.events, _names(each.frames))
        for each in answer.hosts
    )


@table.register(Comparison)
def _comparison(answer: Comparison) -> Table:
    names = ["frame", "level", "value", "base_value", "delta"]
    columns = (answer.level, answer.value, answer.base_value, answer.delta)
    frames = (answer.names[name] for name in answer.name)
    return names, zip(frames, *columns, strict=True)


@table.register(Quality)
def _quality(answer: Quality) -> Table:
    names = ["host", "share", "count", "reason"]
    return names, ((each.host, each.share, each.count, each.reason) for each in answer.lacks)


def _names(frames: Iterable[Any]) -> str:
    return ";".join(frame.name for frame in frames)


@singledispatch
def written_out(answer: Any) -> dict[int, str]:
    """Return by place the columns whose values a table has as text, whatever their type."""
    del answer
    return {}


@written_out.register(Timeseries)
def _of_series(answer: Timeseries) -> dict[int, str]:
    return {1: answer.by}


@written_out.register(Top)
def _of_groups(answer: Top) -> dict[int, str]:
    return dict(enumerate(answer.by))


@written_out.register(Values)
def _of_values(answer: Values) -> dict[int, str]:
    return {0: answer.column}


def number_places(answer: Any, category: Category) -> frozenset[int]:
    """Return the places of texts that are numbers: `-5` of a column of numbers is one."""
    return frozenset(
        place
        for place, name in written_out(answer).items()
        if (column := category.column(name)) and column.type.storage in _NUMBERS
    )


def encoder(
    format_name: str, names: Sequence[str], numbers: frozenset[int] = frozenset()
) -> Callable[[Iterable[Sequence[Any]]], bytes]:
    """Encode a piece of a table, many rows at once; see number_places for `numbers`."""
    if format_name == CSV.name:
        return lambda rows: _csv(rows, numbers)
    return lambda rows: b"".join(
        msgspec.json.encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows
    )


def heading(format_name: str, names: Sequence[str]) -> bytes:
    return _csv([names]) if format_name == CSV.name else b""


def _csv(rows: Iterable[Sequence[Any]], numbers: frozenset[int] = frozenset()) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows(
        [value if i in numbers else _cell(value) for i, value in enumerate(row)] for row in rows
    )
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value
