"""Everything that the program knows about one chart kind."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kscope.declare.model import Column
from kscope.declare.types.base import Role

# The word for the number of rows, in place of a value column's name. No column can be called that:
# it is a word of SQL.
ROWS = "rows"


class Mark(StrEnum):
    """How the page draws an answer."""

    FLAME = "flame"
    AREA = "area"
    LINE = "line"
    CELLS = "cells"
    BARS = "bars"
    RANKING = "ranking"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of Grafana: its type there, and what its statement groups by: time, by or stack."""

    type: str
    over: str


# Why Grafana does not draw a kind.
NO_SIZES = "the sizes of events are not columns of SQL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartKind:
    """One kind of chart: the question it asks, and how the answer is drawn.

    `value` has the roles that the chart's value may have. It `needs` some of `stack` and `value`,
    and `takes` some of `by` and `aggregate`. `{value}` in its `title` is the name of its value.
    `grafana` is its panel there, or why there is none.
    """

    name: str
    help: str
    question: str
    mark: Mark
    title: str
    grafana: Panel | str
    value: frozenset[Role] = frozenset({Role.VALUE, Role.HISTOGRAM})
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    # Drawn like that if its values do not add up: the sum of means says nothing.
    unstacked: Mark | None = None
    # It always has groups: hosts, if the category suggests no others.
    grouped: bool = False
    # The aggregate of a chart that declares none, in place of the one that fits the value.
    aggregate: str = ""
    # The columns of those charts that a category gets which declares none, by their keys.
    suggest: Callable[[Sequence[Column]], Iterable[Mapping[str, Column | None]]] | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The names of columns, and the aggregate, that a chart of this kind may declare."""
        return self.needs | self.takes | {"value"}

    def titled(self, value: Column | None, by: Column | None, aggregate: str) -> str:
        """Return the title of a chart that does not declare one."""
        name = value.prettyname if value else "Rows"
        text = self.title.format(value=f"{name} ({aggregate})" if aggregate else name)
        return f"{text}, by {by.prettyname.lower()}" if by else text


def unit(value: Column | None, aggregate: str = "", weight: Column | None = None) -> str:
    """Return the unit of a value, or a word for what is counted: `weight` has numbers of events."""
    if aggregate == "count":
        return "events" if weight else ROWS
    return (value.unit or value.prettyname.lower()) if value else ROWS


def grouping(columns: Iterable[Column]) -> Column | None:
    """The column to group by if none is named: the first label, or else the first string."""
    ranked = [column for column in columns if column.type.group_rank]
    return min(ranked, key=lambda column: column.type.group_rank, default=None)


def measured(columns: Iterable[Column]) -> list[Column]:
    """Return the value columns; a number of events comes after the values that were measured."""
    values = [column for column in columns if column.type.role is Role.VALUE]
    return sorted(values, key=lambda column: column.type.counts_events)
