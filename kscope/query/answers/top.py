"""The groups with the most."""

import msgspec

from kscope.declare.aggregates import NAMES
from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Number
from kscope.query.answers.question import (
    Measured,
    Question,
    Table,
    grouped_by,
    measured,
    n_parameter,
)
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, by_values, value_of
from kscope.query.parse.parameters import Asked
from kscope.query.scan.aggregates import aggregate_name, needs_single_rows, ranked
from kscope.query.scan.hidden import note_hidden
from kscope.query.scan.labels import labels
from kscope.query.scan.scan import scan_of
from kscope.store.reader import Reader


class Entry(msgspec.Struct, frozen=True):
    """`key` has one text per column of `by`; `share` of the total, None unless values add up."""

    key: list[str]
    value: Number | None
    share: float | None
    rows: int


class Top(Measured, frozen=True, kw_only=True):
    """`groups` is the number of groups; `entries` has the first of them."""

    by: list[str]
    aggregate: str
    total: Number | None
    groups: int
    entries: list[Entry]

    def as_table(self) -> Table:
        names = [*self.by, self.value_column, "share", "rows"]
        rows = ((*each.key, each.value, each.share, each.rows) for each in self.entries)
        return Table(names, rows, dict(enumerate(self.by)))


async def top(reader: Reader, asked: Asked) -> Top:
    value, aggregate = value_and_aggregate(asked, "top")
    column = grouping(asked.category.columns)
    usual = column.name if column and "by" not in asked.given else "hostname"
    by = grouped_by(asked, "top", usual)
    single = needs_single_rows(value, aggregate) or by_values(by)
    scan = await scan_of(reader, asked.scope, (*by, *value.columns), single_rows=single)
    found = await ranked(scan, by, value, aggregate, n=asked["n"])
    await note_hidden(scan, value, aggregate)
    names = [
        await labels(reader, column, {key[i] for key, _, _ in found.entries})
        for i, column in enumerate(by)
    ]
    return Top(
        **measured(asked.category.table, value, scan, found.rows, aggregate=aggregate),
        by=[column.name for column in by],
        aggregate=aggregate,
        total=found.total,
        groups=found.groups,
        entries=[
            Entry(
                [texts[part] for texts, part in zip(names, key, strict=True)],
                value,
                value / found.total if found.total else None,
                rows,
            )
            for key, value, rows in found.entries
        ],
    )


def value_and_aggregate(asked: Asked, kind: str) -> tuple[Value, str]:
    """Return a value and its aggregate: as asked, as in the chart, or as suits the value."""
    value = value_of(asked.category, asked["value"], kind, Role.HISTOGRAM)
    chart = None if asked["value"] else asked_by(asked.category, kind)
    return value, aggregate_name(value, asked["aggregate"] or (chart.aggregate if chart else ""))


AGGREGATE = p.Parameter(
    "aggregate", "how values become one; default: suits the value", choices=NAMES
)
QUESTIONS = (
    Question(
        name="top",
        help="The groups with the largest values.",
        parameters=(p.MEASURE, p.BY, n_parameter("groups", 20), AGGREGATE),
        ask=top,
        answer=Top,
    ),
)
