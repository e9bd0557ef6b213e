"""A data source of Grafana that sends SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.declare.aggregates import SIMPLE, suggested
from kscope.declare.charts.base import Panel
from kscope.declare.model import Category, Chart
from kscope.generate.dialects.base import Dialect
from kscope.generate.grafana_queries import ALL_HOSTS, Engine, Queries, Statement
from kscope.generate.grafana_sums import ENDS
from kscope.generate.tables import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """`folder` has its dashboards, `plugin` is Grafana's name of it, `suffix` ends their titles.

    `legend` names a series, if Grafana's own name of it has more than the group's.
    """

    folder: str
    plugin: str
    label: str
    suffix: str
    legend: str
    engine: Engine
    dialect: Dialect
    # The keys of a panel's query beside the SQL; over time or not.
    form: Callable[[bool], Mapping[str, Any]]
    compares: bool = False

    def draws(self, category: Category, chart: Chart) -> bool:
        """Return whether SQL has the chart's numbers: none has a function for quantiles."""
        return (chart.aggregate or suggested(category.column(chart.value))) in SIMPLE

    def has(self, category: Category) -> bool:
        """Return whether the category has a table of rows."""
        return not category.union

    def hosts(self, category: Category, schema: Schema) -> dict[str, Any]:
        """Return the keys of the variable of hosts."""
        text = self._text(Queries(category, schema, self.engine).hosts())
        return {"query": text, "definition": text, "allValue": ALL_HOSTS}

    def target(
        self, category: Category, schema: Schema, chart: Chart, panel: Panel
    ) -> dict[str, Any]:
        """Return a panel's query."""
        asked = Queries(category, schema, self.engine)
        statements = {"time": asked.series, "by": asked.ranking, "stack": asked.flamegraph}
        text = self._text(statements[panel.over](chart))
        return {**self.form(panel.over == "time"), "rawSql": text}

    def _text(self, statement: Statement) -> str:
        text = self._compiled(statement.chosen)
        if statement.ends is not None:
            ends = self._compiled(statement.ends)
            text = text.replace("WITH ", f"WITH ({ends}) AS {ENDS},\n", 1)
        return text

    def _compiled(self, statement: sa.Select[Any]) -> str:
        compiled = statement.compile(
            dialect=self.dialect.sqlalchemy(), compile_kwargs={"literal_binds": True}
        )
        return "\n".join(line.rstrip() for line in str(compiled).splitlines())
