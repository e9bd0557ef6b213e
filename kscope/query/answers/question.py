"""One row of the table of questions: its parameters, the function that answers it, its answer."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kscope.declare.aggregates import QUANTILES
from kscope.declare.charts import asked_by
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.meta import Meta, Notice, meta, notices
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, groups_of
from kscope.query.parse.parameters import Asked, Parameter
from kscope.query.parse.timerange import iso, now
from kscope.query.scan.aggregates import QUANTILE_NOTE
from kscope.query.scan.scan import Scan
from kscope.store.reader import Reader

BASE = "/api/v1"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table. `kind` is that of its values, times being microseconds since 1970; None
    are numbers of any kind.

    `of` is the column of the category whose values they are, maybe written as texts; all of them
    can be read back, unless some are `mixed` in that are no values.
    """

    name: str
    kind: Storage | None = None
    of: Column | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """An answer as columns and rows.

    `texts` are the columns of the category, by place, whose values are texts here whatever
    their type. `kinds` are those of columns that do not hold numbers.
    """

    names: Sequence[str]
    rows: Iterable[Sequence[Any]]
    texts: Mapping[int, str] = field(default_factory=dict)
    kinds: Mapping[str, Storage] = field(default_factory=dict)

    @property
    def shown(self) -> Iterator[Sequence[Any]]:
        """The rows for a person, with times as ISO 8601."""
        times = [self.kinds.get(name) is Storage.TIME for name in self.names]
        return with_times(self.rows, [i for i, is_time in enumerate(times) if is_time])

    def columns(self, category: Category | None = None) -> list[TableColumn]:
        """Return the columns; those of the category are known if it is given."""
        return [
            TableColumn(
                name,
                Storage.TEXT if i in self.texts else self.kinds.get(name),
                category.column(self.texts[i]) if category and i in self.texts else None,
                mixed=name in self.kinds,
            )
            for i, name in enumerate(self.names)
        ]


def with_times(rows: Iterable[Sequence[Any]], places: Sequence[int]) -> Iterator[Sequence[Any]]:
    """Yield rows whose times, at these places, are written as ISO 8601."""
    for row in rows:
        written = list(row)
        for i in places:
            written[i] = None if row[i] is None else iso(row[i])
        yield written


class JsonAnswer(msgspec.Struct, frozen=True):
    """The JSON of an answer."""

    def as_table(self) -> Table:
        raise NotImplementedError(type(self))


class Measured(JsonAnswer, frozen=True, kw_only=True):
    """An answer about one value of a table, in its `unit`."""

    table: str
    value_column: str
    unit: str
    meta: Meta
    notices: list[Notice]


def measured(
    table: str, value: Value, scan: Scan, rows: int, *more: Notice, aggregate: str = "sum"
) -> dict[str, Any]:
    """Return the fields of `Measured` for an answer that is ready."""
    note = [Notice("info", QUANTILE_NOTE)] if aggregate in QUANTILES else []
    return {
        "table": table,
        "value_column": value.name,
        "unit": value.unit(aggregate),
        "meta": meta(scan, rows),
        "notices": [*notices(scan), *more, *note],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`ask` answers a checked request; `answer` is the type of its JSON.

    A category needs a column of one of the roles `needs`, if there are any. The parameters of
    `in_path` follow the table in the address. A question that `compares` has a base, whose range
    and filters start with `base.`. `stacks` reads a flame graph for the formats of other programs;
    `pieces` reads rows for tables of any length.
    """

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    ask: Callable[[Reader, Asked], Awaitable[JsonAnswer]]
    answer: type[JsonAnswer]
    needs: tuple[Role, ...] = ()
    in_path: tuple[str, ...] = ()
    compares: bool = False
    stacks: Callable[[Reader, Asked], Awaitable[FoldedStacks]] | None = None
    pieces: Callable[[Reader, Asked], AsyncIterator[list[list[Any]]]] | None = None

    def read(self, category: Category, request: Sequence[tuple[str, str]]) -> Asked:
        """Check a request; QueryError has all of its mistakes."""
        reads = p.read_sides if self.compares else p.read
        return reads(category, request, self.parameters, now())

    @property
    def path(self) -> str:
        return "/".join(["", self.name, "{table}", *(f"{{{name}}}" for name in self.in_path)])


def n_parameter(what: str, default: int) -> Parameter:
    return p.Parameter("n", f"how many {what} at most", str(default), least=1, most=1000)


def grouped_by(asked: Asked, kind: str, otherwise: str = "") -> tuple[Column, ...]:
    """Return the columns of `by`, or those of the chart of this kind or of a time series.

    An empty `by` asks for no group; `otherwise` is used if no chart has one.
    """
    charts = (asked_by(asked.category, kind), asked_by(asked.category, "timeseries"))
    suggested = next((chart.by for chart in charts if chart), "")
    named = str(asked["by"]) if "by" in asked.given else suggested
    return groups_of(asked.category, named or otherwise)
