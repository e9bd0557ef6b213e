"""A chart -> a panel of Grafana: its query, its unit and how it is drawn."""

from typing import Any, Protocol

from kscope.declare.aggregates import ADDING, suggested
from kscope.declare.charts.base import Panel
from kscope.declare.model import Category, Chart, Column
from kscope.generate.grafana_queries import RANKED, REST, SERIES, STACKS
from kscope.generate.tables import Schema

# Grafana's names of the units that it scales.
_UNITS = {"ns": "ns", "us": "µs", "ms": "ms", "s": "s", "bytes": "bytes", "%": "percent"}
_WIDTH, _HEIGHT, _FLAME_HEIGHT = 24, 9, 16


class Source(Protocol):
    """A data source of Grafana: `folder` has its dashboards, `plugin` is Grafana's name of it.

    `suffix` ends the titles of its dashboards. `legend` names a series, if Grafana's own name of it
    has more than the group's. One that `compares` also has flame graphs of two ranges.
    """

    @property
    def folder(self) -> str: ...
    @property
    def plugin(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def legend(self) -> str: ...
    @property
    def compares(self) -> bool: ...

    def has(self, category: Category) -> bool:
        """Return whether the source has the category's rows."""
        ...

    def draws(self, category: Category, chart: Chart) -> bool:
        """Return whether it has the chart's numbers."""
        ...

    def hosts(self, category: Category, schema: Schema) -> dict[str, Any]:
        """Return the keys of the variable `hostname`: the hosts of the range."""
        ...

    def target(
        self, category: Category, schema: Schema, chart: Chart, panel: Panel
    ) -> dict[str, Any]:
        """Return the keys of a panel's query.

        Its answer has `time`, `metric` and `value`, or `label`, `level`, `value` and `self`.
        """
        ...


def datasource(source: Source) -> dict[str, str]:
    """Return the data source that is chosen at the top of the dashboard."""
    return {"type": source.plugin, "uid": "${datasource}"}


def panels(
    category: Category, schema: Schema, source: Source, charts: list[tuple[Chart, Panel]]
) -> list[dict[str, Any]]:
    """Return the panels of the charts, one below the other."""
    found: list[dict[str, Any]] = []
    top = 0
    for chart, panel in charts:
        height = _FLAME_HEIGHT if panel.over in ("stack", "base") else _HEIGHT
        chosen = datasource(source)
        query = source.target(category, schema, chart, panel)
        found.append(
            {
                "id": len(found) + 1,
                "title": chart.title,
                "description": _shown(chart, panel, source),
                "datasource": chosen,
                "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": height},
                "fieldConfig": _fields(category.column(chart.value), chart, panel, source),
                **_options(panel),
                "type": panel.type,
                "targets": [{"refId": "A", "datasource": chosen, **query}],
            }
        )
        top += height
    return found


def _shown(chart: Chart, panel: Panel, source: Source) -> str:
    """Say which groups the panel shows."""
    if panel.over == "base":
        return "On the left the range before, which is as long; on the right this one."
    if panel.over == "stack":
        if source.compares:
            return "Of very many nodes only the widest."
        return f"The {STACKS:,} heaviest stacks; all others are the node `{REST}`."
    if panel.over == "by":
        return f"At most {RANKED} groups."
    return f"The {SERIES} largest groups; all others are `{REST}`." if chart.by else ""


def _fields(column: Column | None, chart: Chart, panel: Panel, source: Source) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": _unit(column, chart.aggregate)}
    overrides: list[dict[str, Any]] = []
    if panel.over == "time":
        if chart.by and source.legend:
            defaults["displayName"] = source.legend
        aggregate = chart.aggregate or suggested(column)
        if aggregate in ADDING:
            defaults["custom"] = {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    elif panel.over == "by":
        names = {"metric": chart.by, "value": column.prettyname if column else "Rows"}
        overrides = [
            {
                "matcher": {"id": "byName", "options": name},
                "properties": [{"id": "displayName", "value": shown}],
            }
            for name, shown in names.items()
        ]
    return {"defaults": defaults, "overrides": overrides}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.over != "time":
        return {}
    legend = {"displayMode": "table", "placement": "right", "showLegend": True, "calcs": ["sum"]}
    # Agents send once a minute: a shorter step would show gaps between.
    return {
        "options": {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        "interval": "1m",
    }


def _unit(value: Column | None, aggregate: str) -> str:
    if value is None or not value.unit or aggregate == "count":
        return "short"
    return _UNITS.get(value.unit, f"suffix: {value.unit}")
