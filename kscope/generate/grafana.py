"""Category -> a Grafana dashboard for each data source: the charts that it has numbers for."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from kscope.declare.charts import KINDS
from kscope.declare.charts.base import Panel
from kscope.declare.model import Category, Chart
from kscope.generate import grafana_api, grafana_clickhouse, grafana_mysql
from kscope.generate.grafana_panels import Source, datasource, panels
from kscope.generate.tables import Schema

# The last schema of this kind of dashboards; Grafana migrates older ones when it loads them.
_SCHEMA = 42
_FIRST = "mysql"
SOURCES: tuple[Source, ...] = (
    grafana_mysql.SOURCE,
    grafana_clickhouse.SOURCE,
    grafana_api.SOURCE,
)


def dashboards(
    category: Category, schema: Schema, notice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the folder of each data source, and Grafana's JSON of the category's dashboard.

    A chart that no panel draws, such as a heatmap, is left to our own page.
    """
    for source in SOURCES:
        if source.has(category):
            yield source.folder, _dashboard(category, schema, source, notice)


def _dashboard(category: Category, schema: Schema, source: Source, notice: str) -> dict[str, Any]:
    chosen = {
        "name": "datasource",
        "label": source.label,
        "type": "datasource",
        "query": source.plugin,
    }
    hosts = {
        "name": "hostname",
        "label": "Host",
        "type": "query",
        "datasource": datasource(source),
        **source.hosts(category, schema),
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        # Whenever the range changes: other hosts may have sent rows then.
        "refresh": 2,
    }
    charts = _drawn(category, source)
    return {
        "description": f"{category.description} {notice}".strip(),
        "uid": _uid(category, source),
        "title": f"{category.prettyname}{source.suffix}",
        "tags": ["kernelscope"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "templating": {"list": [chosen, hosts]},
        "panels": panels(category, schema, source, charts),
    }


def _drawn(category: Category, source: Source) -> list[tuple[Chart, Panel]]:
    """Return the charts that the source draws; without any there is still the number of rows."""
    found: list[tuple[Chart, Panel]] = []
    for chart in category.charts:
        panel = KINDS[chart.kind].grafana
        if isinstance(panel, Panel) and source.draws(category, chart):
            found.append((chart, panel))
            if panel.over == "stack" and source.compares:
                title = f"{chart.title}, compared with the range before"
                found.append((replace(chart, title=title), Panel(panel.type, over="base")))
    return found or [(Chart("timeseries", "Rows over time"), Panel("timeseries", over="time"))]


def _uid(category: Category, source: Source) -> str:
    """Return a name that stays: a dashboard that is imported again replaces the one before."""
    name = category.table if source.folder == _FIRST else f"{source.folder}/{category.table}"
    return f"kscope-{blake2b(name.encode(), digest_size=8).hexdigest()}"
