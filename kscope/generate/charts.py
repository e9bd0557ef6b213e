"""Category -> the charts that the page draws: what each asks, and with which mark it is drawn."""

from msgspec import Struct

from kscope.declare.charts import KINDS, mark, unit_of
from kscope.declare.charts.base import ROWS, Mark
from kscope.declare.model import Category, Chart


class ChartConfig(Struct, frozen=True):
    """One chart of the page: `query` names the question and its parameters."""

    kind: str
    title: str
    unit: str
    mark: Mark
    query: dict[str, str]


def chart_configs(category: Category) -> list[ChartConfig]:
    """Return one configuration per chart, in the order of the category."""
    return [
        ChartConfig(
            kind=chart.kind,
            title=chart.title,
            unit=unit_of(category, chart),
            mark=mark(category, chart),
            query=_query(chart),
        )
        for chart in category.charts
    ]


def _query(chart: Chart) -> dict[str, str]:
    chosen = {
        "value": chart.value or ROWS,
        "stack": chart.stack,
        "by": chart.by,
        "aggregate": chart.aggregate,
    }
    given = {name: text for name, text in chosen.items() if text}
    return {"question": KINDS[chart.kind].question} | given
