"""Category -> what the page draws: one entry a chart, with its question and its Vega-Lite spec."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from kscope.declare.charts import KINDS, mark, unit_of
from kscope.declare.charts.base import ROWS, Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kscope.declare.model import Category, Chart

VEGA_LITE = "https://vega.github.io/schema/vega-lite/v6.json"
# As fine as the axis is: Vega-Lite's own default is a 12-hour clock without dates.
_TIME_AXIS: Mapping[str, Any] = {
    "format": {
        "year": "%Y",
        "quarter": "%Y-%m",
        "month": "%Y-%m",
        "week": "%m-%d",
        "date": "%m-%d",
        "hours": "%H:%M",
        "minutes": "%H:%M",
        "seconds": "%H:%M:%S",
        "milliseconds": "%H:%M:%S.%L",
    },
    "labelOverlap": True,
    "labelSeparation": 12,
    "title": None,
}
# A unit's steps, the largest first: from so much on, by so much, with such a suffix.
_TIMES: tuple[tuple[float, str], ...] = (
    (86_400e9, " d"),
    (3600e9, " h"),
    (60e9, " min"),
    (1e9, " s"),
    (1e6, " ms"),
    (1e3, " \N{MICRO SIGN}s"),
)
_STEPS: Mapping[str, tuple[tuple[float, str], ...]] = {
    **{
        unit: tuple((size / one, suffix) for size, suffix in _TIMES if size > one)
        for unit, one in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9))
    },
    "bytes": ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")),
    "Hz": ((1e9, " GHz"), (1e6, " MHz"), (1e3, " kHz")),
}
_SMALLEST: Mapping[str, str] = {
    "ns": " ns",
    "us": " \N{MICRO SIGN}s",
    "ms": " ms",
    "s": " s",
    "bytes": " B",
    "Hz": " Hz",
}


class ChartQuery(Struct, frozen=True):
    """The question that a chart asks; columns by parameter."""

    path: str
    parameters: dict[str, str]


class ChartConfig(Struct, frozen=True):
    """A chart as the page draws it; `spec` is null if the page draws it without Vega-Lite."""

    kind: str
    title: str
    unit: str
    mark: Mark
    query: ChartQuery
    spec: dict[str, Any] | None


def chart_configs(category: Category) -> list[ChartConfig]:
    return [
        ChartConfig(
            kind=chart.kind,
            title=chart.title,
            unit=unit_of(category, chart),
            mark=mark(category, chart),
            query=_query(category, chart),
            spec=_spec(category, chart),
        )
        for chart in category.charts
    ]


def _query(category: Category, chart: Chart) -> ChartQuery:
    chosen = {
        "value": chart.value or ROWS,
        "stack": chart.stack,
        "by": chart.by,
        "aggregate": chart.aggregate,
    }
    return ChartQuery(
        path=f"/api/v1/{KINDS[chart.kind].question}/{category.table}",
        parameters={name: given for name, given in chosen.items() if given},
    )


def _spec(category: Category, chart: Chart) -> dict[str, Any] | None:
    """Return the spec over a data set `rows` that the page fills with the question's answer."""
    drawn = mark(category, chart)
    encodings: Mapping[Mark, Callable[[Chart, str], dict[str, Any]]] = {
        Mark.AREA: partial(_areas, category),
        Mark.LINE: partial(_lines, category),
        Mark.CELLS: _heatmap,
        Mark.BARS: _histogram,
        Mark.RANKING: _top,
    }
    if drawn not in encodings:
        return None
    unit = unit_of(category, chart)
    return {
        "$schema": VEGA_LITE,
        "description": f"{category.prettyname}: {chart.title}",
        "data": {"name": "rows"},
        "width": "container",
        **encodings[drawn](chart, unit),
    }


def _axis(unit: str) -> dict[str, Any]:
    """An axis of values: 90,000,000 us is written as 1.5 min.

    An expression a label, as Vega derives a format's precision from the axis, which may have no
    length: it writes NaN where all values are 0.
    """
    if unit not in _STEPS:
        return {"title": unit or None, "labelExpr": "format(datum.value, '~s')"}
    label = f"format(datum.value, '~r') + '{_SMALLEST[unit]}'"
    for size, suffix in reversed(_STEPS[unit]):
        scaled = f"format(datum.value / {size:.0f}, '.3~r') + '{suffix}'"
        label = f"abs(datum.value) >= {size:.0f} ? {scaled} : {label}"
    return {"title": None, "labelExpr": label}


def _areas(category: Category, chart: Chart, unit: str) -> dict[str, Any]:
    mark = {"type": "area", "interpolate": "step-after"}
    return {"mark": mark, "encoding": _over_time(category, chart, unit, "zero")}


def _lines(category: Category, chart: Chart, unit: str) -> dict[str, Any]:
    mark = {"type": "line", "point": True}
    return {"mark": mark, "encoding": _over_time(category, chart, unit, None)}


def _over_time(category: Category, chart: Chart, unit: str, stack: str | None) -> dict[str, Any]:
    encoding: dict[str, Any] = {
        "x": {"field": "time", "type": "temporal", "axis": dict(_TIME_AXIS)},
        "y": {"field": "value", "type": "quantitative", "stack": stack, "axis": _axis(unit)},
    }
    if chart.by:
        by = category.column(chart.by)
        title = by.prettyname if by else chart.by
        encoding["color"] = {"field": "name", "type": "nominal", "title": title}
    return encoding


def _heatmap(chart: Chart, unit: str) -> dict[str, Any]:
    del chart
    return {
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "time", "type": "temporal", "axis": dict(_TIME_AXIS)},
            "x2": {"field": "time_end"},
            "y": {
                "field": "lower",
                "type": "quantitative",
                "scale": {"type": "symlog"},
                "axis": _axis(unit),
            },
            "y2": {"field": "upper"},
            "color": {
                "field": "count",
                "type": "quantitative",
                "scale": {"type": "log"},
                "title": "events",
            },
        },
    }


def _histogram(chart: Chart, unit: str) -> dict[str, Any]:
    del chart
    return {
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "lower", "type": "ordinal", "axis": _axis(unit)},
            "y": {"field": "count", "type": "quantitative", "axis": _axis("events")},
        },
    }


def _top(chart: Chart, unit: str) -> dict[str, Any]:
    del chart
    return {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": "-x", "title": None},
            "x": {"field": "value", "type": "quantitative", "axis": _axis(unit)},
        },
    }
