"""The declared categories, as the page and other programs read them."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from kscope.declare.charts import ChartConfig, unit_of
from kscope.declare.charts.base import ROWS
from kscope.declare.model import Catalog, Category, Chart, Column, Rollup
from kscope.declare.types.base import Role, Storage
from kscope.errors import Problem
from kscope.query.sql import operators
from kscope.query.sql.operators import OperatorAnswer
from kscope.store.drop import leftover


class ColumnAnswer(Struct, frozen=True):
    """`operators` are the filters that it takes; a row may leave out one that is `optional`.

    `rate` is how its time per time is called, such as `threads waiting`, its first word the short
    unit; empty if it has none. `words` are all values that it can have, in their order; empty if it
    can have any.

    `storage` is how the database keeps its values, which a `heatmap` can show by size. `example` is
    a value as a row has it.
    """

    name: str
    type: str
    role: Role
    storage: Storage
    prettyname: str
    unit: str
    help: str
    rate: str
    operators: list[str]
    optional: bool
    heatmap: bool
    words: list[str]
    example: Any


class ChartAnswer(Struct, frozen=True):
    """`value` is a column's name, or `rows` for the number of rows."""

    kind: str
    title: str
    unit: str
    value: str | UnsetType = UNSET
    stack: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    aggregate: str | UnsetType = UNSET


class PresetAnswer(Struct, frozen=True):
    """`name` is the value of the parameter `preset`; the page asks for those that are `default`."""

    name: str
    default: bool
    help: str


class CategoryAnswer(Struct, frozen=True):
    """`retention` is in seconds; null keeps rows permanently.

    `union` are the tables whose rows a union shows; empty for a category with a table.
    """

    table: str
    prettyname: str
    description: str
    columns: list[ColumnAnswer]
    charts: list[ChartAnswer]
    presets: list[PresetAnswer]
    retention: int | None
    rollup: list[Rollup]
    has_probe: bool
    union: list[str]


class Leftover(Struct, frozen=True):
    """A table with rows that no category declares any more."""

    table: str
    message: str


class Categories(Struct, frozen=True):
    """`problems` are those of files that were left out.

    `exports` has formats of flame graphs and their titles, `tables` those of rows.
    """

    operators: list[OperatorAnswer]
    exports: dict[str, str]
    tables: dict[str, str]
    categories: list[CategoryAnswer]
    problems: list[Problem]
    leftovers: list[Leftover]


class Charts(Struct, frozen=True):
    """A category's charts as the page draws them."""

    table: str
    charts: list[ChartConfig]


class TextProblem(Struct, frozen=True):
    """One thing wrong in a text; `line` counts from 1."""

    line: int
    path: str
    message: str


class Checked(Struct, frozen=True):
    """Everything wrong with a category file's text, or what is generated from it.

    `declared_in` names the file that declares the same table already.
    """

    problems: list[TextProblem]
    category: CategoryAnswer | None
    declared_in: str | None
    files: dict[str, str]
    charts: list[ChartConfig]


def categories(
    catalog: Catalog,
    exports: dict[str, str],
    tables: dict[str, str],
    problems: Iterable[Problem],
    leftovers: Iterable[str],
) -> Categories:
    return Categories(
        operators=operators.described(),
        exports=exports,
        tables=tables,
        categories=[category_answer(category) for category in catalog],
        problems=list(problems),
        leftovers=[Leftover(table, leftover(table)) for table in leftovers],
    )


def category_answer(category: Category) -> CategoryAnswer:
    return CategoryAnswer(
        table=category.table,
        prettyname=category.prettyname,
        description=category.description,
        columns=[_column(category, column) for column in category.all_columns],
        charts=[_chart(category, chart) for chart in category.charts],
        presets=[PresetAnswer(each.name, each.default, each.help) for each in category.presets],
        retention=category.retention,
        rollup=list(category.rollup),
        has_probe=category.probe is not None,
        union=list(dict.fromkeys(member.table for member in category.union)),
    )


def _column(category: Category, column: Column) -> ColumnAnswer:
    """`optional` columns have a default, or are part of the envelope."""
    return ColumnAnswer(
        name=column.name,
        type=column.type.name,
        role=column.type.role,
        storage=column.type.storage,
        prettyname=column.prettyname,
        unit=column.unit or column.type.unit,
        help=column.help,
        rate=column.rate,
        operators=list(operators.taken(column)),
        optional=column.optional or column not in category.columns,
        heatmap=column.type.heatmap,
        words=list(column.words),
        example=column.words[0] if column.words else column.type.example,
    )


def _chart(category: Category, chart: Chart) -> ChartAnswer:
    return ChartAnswer(
        kind=chart.kind,
        title=chart.title,
        unit=unit_of(category, chart),
        value=chart.value or ROWS,
        stack=chart.stack or UNSET,
        by=chart.by or UNSET,
        aggregate=chart.aggregate or UNSET,
    )
