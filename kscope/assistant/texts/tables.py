"""Answers that are tables: rankings, series, values, rows, and those of any other question."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from kscope.assistant.texts.cells import Part, Text, amount, cell, moment, name, share, table
from kscope.declare.units import readable
from kscope.query.answers.heatmap import Heatmap
from kscope.query.answers.histogram import Histogram
from kscope.query.answers.hosts import Hosts
from kscope.query.answers.meta import Number
from kscope.query.answers.question import JsonAnswer
from kscope.query.answers.rows import Rows
from kscope.query.answers.timeseries import Timeseries
from kscope.query.answers.top import Top

# Columns of tables, and fields of answers, that are in the unit of the answer.
_AMOUNTS = frozenset({"value", "amount", "total", "rest", "lower", "upper", "delta", "base_value"})
_TIMES = frozenset({"step", "interval"})
_TOLD_ELSEWHERE = frozenset({"table", "unit", "meta", "notices"})
_MOST_FRAMES = 4
_LESS = "ask for a shorter range, with filters, or with a smaller `n` or `points`"


def any_table(answer: JsonAnswer) -> Text:
    """Return the answer's single values as facts, and its table."""
    return Text(_facts(answer), [_part(answer)])


def _part(answer: JsonAnswer) -> Part:
    found = answer.as_table()
    names = list(found.names)
    measured = {*_AMOUNTS, getattr(answer, "value_column", "")}
    amounts = [at for at, each in enumerate(names) if each in measured and at not in found.texts]
    lines = table(names, found.shown, amounts, getattr(answer, "unit", ""))
    return Part("", lines, _LESS)


def _facts(answer: msgspec.Struct) -> list[str]:
    unit = getattr(answer, "unit", "")
    told = []
    for field in msgspec.structs.fields(answer):
        value = getattr(answer, field.name)
        if field.name in _TOLD_ELSEWHERE or not isinstance(value, str | int | float) or value == "":
            continue
        if field.name in _TIMES:
            text = amount(value, "us")
        else:
            text = amount(value, unit) if field.name in _AMOUNTS else cell(value)
        told.append(f"{field.name.replace('_', ' ')}: {text}")
    return told


def top(answer: Top) -> Text:
    """Return the groups; the value comes twice if its unit has larger ones."""
    facts = [
        f"{answer.value_column} ({answer.aggregate}) by {', '.join(answer.by)}",
        f"total: {amount(answer.total, answer.unit)}",
        f"groups: {len(answer.entries):,} of {answer.groups:,} are shown",
    ]
    return Text(facts, [_part(answer)])


def timeseries(answer: Timeseries) -> Text:
    """Return a line for each step, and a column for each series."""
    unit = answer.unit
    facts = [
        f"{answer.value_column} ({answer.aggregate}) by {answer.by or 'nothing'}",
        f"each time begins a step of {readable(answer.step, 'us')}",
        f"each cell: {answer.rate} (sum in us)" if answer.rate else f"unit: {unit or '1'}",
    ]
    heads = ["time", *(_series(each.name, rest=each.rest) for each in answer.series)]
    steps = (
        (moment(time), *(_point(answer, each.values[at], at) for each in answer.series))
        for at, time in enumerate(answer.times)
    )
    return Text(facts, [Part("", table(heads, steps), "ask with fewer `points` or a smaller `n`")])


def _point(answer: Timeseries, value: Number | None, at: int) -> str:
    """Return a value: of times that are summed the mean number of threads, with the sum."""
    if value is None or not answer.rate:
        return amount(value, answer.unit)
    seconds = answer.seconds[at]
    return f"{value / 10**6 / seconds if seconds else 0:.3g} ({cell(value)})"


def _series(text: str, *, rest: bool) -> str:
    return "all others" if rest else text or "(null)"


def hosts(answer: Hosts) -> Text:
    """Return the hosts, the farthest from its group first, and the frames behind the distance."""
    facts = [
        f"{answer.value_column} by {answer.profile}; hosts in groups: {answer.fleet}",
        f"distance: {answer.measure}; of hosts with few events there is none",
        "frames: the host's share, and the median of its group",
    ]
    heads = ("host", "group", "distance", "total", "events", "rows", "frames")
    listed = (
        (
            each.host,
            each.group_name,
            each.distance,
            each.total,
            each.events,
            each.rows,
            ", ".join(
                f"{name(frame.name)} {share(frame.share)} ({share(frame.median)})"
                for frame in each.frames[:_MOST_FRAMES]
            ),
        )
        for each in answer.hosts
    )
    lines = table(heads, listed, (3,), answer.unit)
    return Text(facts, [Part("", lines, "ask with filters on `hostname`")])


def histogram(answer: Histogram) -> Text:
    """Return the percentiles and the bins that are not empty."""
    unit = answer.unit
    facts = [f"sizes of {answer.value_column}", f"events: {answer.total:,}"]
    facts += [
        f"{which}: {amount(each.value, unit)}, from {readable(each.lower, unit)} to"
        f" {readable(each.upper, unit)}"
        for which, each in answer.percentiles.items()
    ]
    found = answer.as_table()
    filled = (each for each in found.rows if each[2])
    lines = table(found.names, filled, (0, 1), unit)
    return Text(facts, [Part("Bins with events, from `lower` up to `upper`:", lines, _LESS)])


def heatmap(answer: Heatmap) -> Text:
    """Return the cells with events, and the stacks of the cell that was asked for."""
    whole = any_table(answer)
    heads = ("group", "stack", "events", "us", "share")
    listed = ((e.group, e.stack, e.events, e.time, e.share) for e in answer.top)
    asked = Part(
        "The heaviest stacks of the cell:", table(heads, listed), "ask with a smaller `top`"
    )
    return Text(whole.facts, [*([asked] if answer.top else []), *whole.parts])


def rows(answer: Rows, units: Mapping[str, str]) -> Text:
    """Return the rows; the columns have their units."""
    heads = [f"{each} ({units[each]})" if units.get(each) else each for each in answer.columns]
    facts = []
    if answer.next:
        cursor = parse_qs(urlsplit(answer.next).query).get("cursor", [""])[0]
        facts.append(f"there are more rows: ask for the next with `cursor` {cell(cursor)}")
    if answer.at is not None:
        facts.append(f"the row that was asked for is number {answer.at + 1}")
    listed = ((each, *values) for each, values in zip(answer.ids, _told(answer), strict=True))
    lines = table(["row", *heads], listed)
    return Text(facts, [Part("", lines, "ask with a smaller `limit`, or with filters")])


def _told(answer: Rows) -> list[tuple[Any, ...]]:
    return [tuple(values) for values in answer.as_table().shown]
