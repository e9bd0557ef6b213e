"""Which column a question sums, counts or groups by: named, or what the category suggests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import ROWS as ROWS_NAME
from kscope.declare.charts.base import measured, unit
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.parse.errors import complain, one_of


@dataclass(frozen=True, slots=True)
class Value:
    """The measured column, or the number of rows if `column` is None.

    A row's value is the sum over as many events as its `weight` says, or one.
    """

    column: Column | None
    weight: Column | None = None

    @property
    def name(self) -> str:
        return self.column.name if self.column else ROWS_NAME

    def unit(self, aggregate: str = "sum") -> str:
        """Return the unit of an aggregate: counts have a word for what is counted."""
        return unit(self.column, aggregate, self.weight)

    @property
    def columns(self) -> tuple[Column | None, ...]:
        return (self.column, self.weight)


def value_of(
    category: Category, name: str, kind: str = "", *roles: Role, rows: bool = True
) -> Value:
    """The column of that name; without one what the chart of that kind shows, or the first.

    Columns have the role of a value, or one of `roles`; counting rows may make no sense.
    """
    columns = {column.name: column for column in category.with_role(Role.VALUE, *roles)}
    allowed = [*columns, ROWS_NAME] if rows else list(columns)
    chosen = name or _suggested(category, columns, kind, rows=rows)
    if chosen in columns:
        return Value(columns[chosen], category.weight_of(columns[chosen]))
    if chosen not in ("", ROWS_NAME) or not rows:
        raise complain("value", one_of("value column", chosen, allowed))
    return Value(None)


def share_value_of(category: Category, name: str) -> Value:
    """A value whose parts make a whole: no measured one, which may be negative."""
    value = value_of(category, name, "flamegraph")
    if value.column is None or not value.column.type.signed:
        return value
    allowed = [*shared_out(category), ROWS_NAME]
    if name:
        text = f"{name} may be negative and has no shares. Allowed: {', '.join(allowed)}"
        raise complain("value", text)
    return value_of(category, allowed[0])


def shared_out(category: Category) -> list[str]:
    """The value columns whose parts make a whole."""
    return [each.name for each in category.with_role(Role.VALUE) if not each.type.signed]


def _suggested(category: Category, columns: Mapping[str, Column], kind: str, *, rows: bool) -> str:
    chart = asked_by(category, kind)
    shown = (chart.value or ROWS_NAME) if chart else ""
    if shown in columns or (shown == ROWS_NAME and rows):
        return shown
    values = measured(columns.values())
    return values[0].name if values else ""


def stack_of(category: Category, name: str) -> Column:
    columns = {column.name: column for column in category.with_role(Role.STACK)}
    if not columns:
        raise complain("table", f"{category.table} has no stack column")
    if name and name not in columns:
        raise complain("stack", one_of("stack column", name, columns))
    chart = asked_by(category, "flamegraph")
    suggested = chart.stack if chart else ""
    return columns[name] if name else columns.get(suggested) or next(iter(columns.values()))


def groupable(category: Category) -> Mapping[str, Column]:
    """By name: any column but histograms. Values are groups as they are, one for each size."""
    columns = category.all_columns
    return {each.name: each for each in columns if each.type.role is not Role.HISTOGRAM}


def groups_of(category: Category, names: str) -> tuple[Column, ...]:
    """The columns of `a,b`, none for an empty text."""
    columns = groupable(category)
    wanted = [name for name in names.split(",") if name]
    for name in wanted:
        if name in columns:
            continue
        if category.column(name):
            text = f"{name} is a histogram, and a row of it no single value to group by"
            raise complain("by", f"{text}. Allowed: {', '.join(columns)}")
        raise complain("by", one_of("column to group by", name, columns))
    return tuple(columns[name] for name in dict.fromkeys(wanted))


def by_values(columns: Iterable[Column | None]) -> bool:
    """Check for groups that only single rows have: sums add values up and round times."""
    return any(
        column and (column.type.role is Role.VALUE or column.type.storage is Storage.TIME)
        for column in columns
    )
