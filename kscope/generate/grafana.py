"""Category -> a Grafana dashboard over MySQL: its charts as far as SQL can draw them."""

from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from kscope.declare.aggregates import SIMPLE, suggested
from kscope.declare.charts import KINDS
from kscope.declare.charts.base import Panel
from kscope.declare.model import Category, Chart, Column
from kscope.generate.dialects.mysql import MYSQL
from kscope.generate.tables import Dictionaries, Schema, texts_of

# Grafana replaces these in a query before it sends it. Its macros take no brackets inside.
_Text = sa.ColumnElement[Any]
_SINCE: _Text = sa.literal_column("$__unixEpochFrom() * 1000000")
_UNTIL: _Text = sa.literal_column("$__unixEpochTo() * 1000000")
_STEP: _Text = sa.literal_column("$__unixEpochGroup(kscope_rows.time DIV 1000000, $__interval)")
_HOSTS: _Text = sa.literal_column("($hostname)")
_DATASOURCE = {"type": "mysql", "uid": "${datasource}"}
# Grafana's names of the units that it scales.
_UNITS = {"ns": "ns", "us": "µs", "ms": "ms", "s": "s", "bytes": "bytes", "%": "percent"}
_MOST = 100
_WIDTH, _HEIGHT = 24, 9


def dashboard(category: Category, schema: Schema, notice: str) -> dict[str, Any]:
    """Grafana's JSON. A chart that needs more than SQL, a heatmap, is left to our own page."""
    asked = _PanelQuery(category, schema)
    # Without any chart there is still the number of rows.
    charts = [chart for chart in category.charts if _drawn(chart, category)] or [
        Chart("timeseries", "Rows over time")
    ]
    source = {"name": "datasource", "label": "Database", "type": "datasource", "query": "mysql"}
    hosts = {
        "name": "hostname",
        "label": "Host",
        "type": "query",
        "datasource": _DATASOURCE,
        "query": _sql(asked.hosts()),
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        # Whenever the range changes: other hosts may have sent rows then.
        "refresh": 2,
    }
    return {
        "description": f"{category.description} {notice}".strip(),
        "uid": f"kscope-{blake2b(category.table.encode(), digest_size=8).hexdigest()}",
        "title": category.prettyname,
        "tags": ["kernelscope"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "templating": {"list": [source, hosts]},
        "panels": [_panel(chart, asked, place) for place, chart in enumerate(charts)],
    }


class _PanelQuery:
    """Statements over a category's rows in Grafana's range, of the chosen hosts."""

    def __init__(self, category: Category, schema: Schema) -> None:
        self.category = category
        self.rows = schema.categories[category.table].rows.alias("kscope_rows")
        self._dictionaries: Dictionaries = schema.dictionaries
        self.within = sa.and_(self.rows.c.time >= _SINCE, self.rows.c.time < _UNTIL)

    def hosts(self) -> sa.Select[Any]:
        host, joined = self._named("hostname", self.rows)
        return sa.select(host).distinct().select_from(joined).where(self.within).order_by(host)

    def groups(self, chart: Chart, by: str, *first: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """`first`, the group's name and the value of each."""
        host, joined = self._named("hostname", self.rows)
        keys = [*first]
        if by:
            name, joined = (host, joined) if by == "hostname" else self._named(by, joined)
            keys.append(name.label("metric"))
        value = self._value(chart).label("value")
        chosen = sa.select(*keys, value).select_from(joined)
        chosen = chosen.where(self.within, host.op("IN")(_HOSTS))
        return chosen.group_by(*(sa.literal_column(str(at + 1)) for at in range(len(keys))))

    def _value(self, chart: Chart) -> sa.ColumnElement[Any]:
        """Return a sum, or another aggregate of single events, whose number a row may say."""
        column = self.category.column(chart.value)
        aggregate = chart.aggregate or suggested(column)
        weight = self.category.weight_of(column) if column else None
        if column is None or (aggregate == "count" and weight is None):
            return sa.func.count()
        value = self.rows.c[column.name]
        if weight is None:
            summed: sa.ColumnElement[Any] = getattr(sa.func, aggregate)(value)
            return summed
        events = self.rows.c[weight.name]
        of_events: dict[str, sa.ColumnElement[Any]] = {
            "sum": sa.func.sum(value),
            "count": sa.func.sum(events),
            "avg": sa.func.sum(value) / sa.func.sum(events),
        }
        of_means: sa.ColumnElement[Any] = getattr(sa.func, aggregate)(value / events)
        return of_events.get(aggregate, of_means)

    def _named(
        self, name: str, joined: sa.FromClause
    ) -> tuple[sa.ColumnElement[Any], sa.FromClause]:
        """Return a column as a person reads it, and the tables that it is read from."""
        column = self.category.column(name)
        assert column is not None
        stored = self.rows.c[name]
        if found := texts_of(column, self._dictionaries):
            return found.text, joined.join(found.table, found.key == stored)
        return sa.cast(stored, sa.CHAR()), joined


def _sql(statement: sa.Select[Any]) -> str:
    compiled = statement.compile(dialect=MYSQL.sqlalchemy(), compile_kwargs={"literal_binds": True})
    return str(compiled)


def _drawn(chart: Chart, category: Category) -> bool:
    """Return whether Grafana draws the chart: the database has no function for quantiles."""
    aggregate = chart.aggregate or suggested(category.column(chart.value))
    return isinstance(KINDS[chart.kind].grafana, Panel) and aggregate in SIMPLE


def _panel(chart: Chart, asked: _PanelQuery, place: int) -> dict[str, Any]:
    panel = KINDS[chart.kind].grafana
    assert isinstance(panel, Panel)
    column = asked.category.column(chart.value)
    over_time = panel.over == "time"
    if over_time:
        # Each group over time; else the largest groups.
        statement = asked.groups(chart, chart.by, _STEP.label("time"))
        statement = statement.order_by(sa.literal_column("1"))
    else:
        statement = asked.groups(chart, chart.stack if panel.over == "stack" else chart.by)
        statement = statement.order_by(sa.literal_column("2 DESC")).limit(_MOST)
    target = {
        "refId": "A",
        "datasource": _DATASOURCE,
        "editorMode": "code",
        "format": "time_series" if over_time else "table",
        "rawQuery": True,
        "rawSql": _sql(statement),
    }
    return {
        "id": place + 1,
        "title": chart.title,
        "datasource": _DATASOURCE,
        "gridPos": {"x": 0, "y": place * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": _unit(column, chart.aggregate)}, "overrides": []},
        "type": panel.type,
        # Agents send once a minute: a shorter step would show gaps between.
        **({"interval": "1m"} if over_time else {}),
        "targets": [target],
    }


def _unit(value: Column | None, aggregate: str) -> str:
    if value is None or not value.unit or aggregate == "count":
        return "short"
    return _UNITS.get(value.unit, f"suffix: {value.unit}")
