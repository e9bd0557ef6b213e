"""Grafana's data source Infinity, the plugin yesoreyeram-infinity-datasource, over the read API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kscope.declare.charts import KINDS
from kscope.declare.charts.base import ROWS, Panel
from kscope.declare.model import Category, Chart
from kscope.generate.grafana_queries import RANKED, SERIES
from kscope.generate.tables import Schema

_ALL_HOSTS, _HOSTS = "*", "${hostname:csv}"
_RANGE = {"from": "${__from:date:iso}", "to": "${__to:date:iso}"}
# The API lists at most so many, and cuts a range into so many steps.
_MOST_HOSTS, _POINTS = 1000, 200
_LABEL, _NUMBER, _TIME = "string", "number", "timestamp"


@dataclass(frozen=True, slots=True)
class ApiSource:
    """The questions of the read API; it sums unions too, and has quantiles."""

    folder: str = "api"
    plugin: str = "yesoreyeram-infinity-datasource"
    label: str = "Kernelscope API"
    suffix: str = " (API)"
    legend: str = "${__field.labels.metric}"
    compares: bool = True

    def draws(self, _: Category, chart: Chart) -> bool:
        return chart.kind in KINDS

    def has(self, _: Category) -> bool:
        return True

    def hosts(self, category: Category, _: Schema) -> dict[str, Any]:
        """Return the keys of the variable of hosts."""
        address = f"/api/v1/values/{category.table}/hostname"
        asked = {"n": str(_MOST_HOSTS), **_RANGE, "format": "objects"}
        query = _query(address, asked, [("value", "hostname", _LABEL)], "table")
        return {
            "query": {"queryType": "infinity", "refId": "variable", "infinityQuery": query},
            "definition": address,
            "allValue": _ALL_HOSTS,
        }

    def target(self, category: Category, _: Schema, chart: Chart, panel: Panel) -> dict[str, Any]:
        """Return a panel's query."""
        address = f"/api/v1/{KINDS[chart.kind].question}/{category.table}"
        given = {name: getattr(chart, name) for name in ("stack", "aggregate")}
        asked = {"value": chart.value or ROWS, "by": chart.by}
        asked |= {name: text for name, text in given.items() if text}
        asked |= {**_RANGE, "hostname__in": _HOSTS}
        match panel.over:
            case "time":
                asked |= {"n": str(SERIES), "points": str(_POINTS), "format": "objects"}
                columns = [("time", "time", _TIME), ("value", "value", _NUMBER)]
                columns += [("series", "metric", _LABEL)] if chart.by else []
                return _query(address, asked, columns, "timeseries")
            case "by":
                asked |= {"n": str(RANKED), "format": "objects"}
                columns = [(chart.by, "metric", _LABEL), (asked["value"], "value", _NUMBER)]
                return _query(address, asked, columns, "table")
        sides: tuple[str, ...] = ("value", "self")
        if panel.over == "base":
            # By default the base is the range before.
            address = f"/api/v1/compare/{category.table}"
            sides = ("value", "self", "valueRight", "selfRight")
        columns = [("label", "label", _LABEL)]
        columns += [(name, name, _NUMBER) for name in ("level", *sides)]
        return _query(address, asked | {"format": "grafana"}, columns, "table")


def _query(
    address: str, asked: Mapping[str, str], columns: Sequence[tuple[str, str, str]], form: str
) -> dict[str, Any]:
    """Return the plugin's query; its backend reads the answer, an array of objects."""
    return {
        "refId": "A",
        "type": "json",
        "source": "url",
        "parser": "backend",
        "format": form,
        "url": address,
        "url_options": {
            "method": "GET",
            "params": [{"key": key, "value": text} for key, text in asked.items()],
        },
        "root_selector": "",
        "columns": [
            {"selector": selector, "text": text, "type": kind} for selector, text, kind in columns
        ],
        "filters": [],
    }


SOURCE = ApiSource()
