"""The declared categories, as the page and other programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kscope.declare.charts.base import ROWS, unit
from kscope.query.sql import operators

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kscope.declare.model import Catalog, Category, Chart, Column
    from kscope.errors import Problem


def categories(catalog: Catalog, problems: Iterable[Problem] = ()) -> dict[str, Any]:
    """`problems` are those of files that were left out; a column names its `operators`."""
    return {
        "operators": operators.described(),
        "categories": [category_answer(category) for category in catalog],
        "problems": [
            {"file": each.file, "line": each.line, "path": each.path, "message": each.message}
            for each in problems
        ],
    }


def category_answer(category: Category) -> dict[str, Any]:
    return {
        "table": category.table,
        "prettyname": category.prettyname,
        "description": category.description,
        "columns": [_column(category, column) for column in category.all_columns],
        "charts": [_chart(category, chart) for chart in category.charts],
        "retention": category.retention,
        "rollup": [{"bucket": each.bucket, "keep": each.keep} for each in category.rollup],
        "has_probe": category.probe is not None,
    }


def _column(category: Category, column: Column) -> dict[str, Any]:
    """`optional` is what a row may leave out: what has a default, and what the envelope says."""
    return {
        "name": column.name,
        "type": column.type.name,
        "role": column.type.role.value,
        "prettyname": column.prettyname,
        "unit": column.unit or column.type.unit,
        "help": column.help,
        "operators": list(operators.taken(column)),
        "optional": column.optional or column not in category.columns,
    }


def _chart(category: Category, chart: Chart) -> dict[str, Any]:
    named = {"value": chart.value or ROWS, "stack": chart.stack, "by": chart.by}
    return {
        "kind": chart.kind,
        "title": chart.title,
        **{key: name for key, name in named.items() if name},
        "unit": unit(category.column(chart.value)),
    }
