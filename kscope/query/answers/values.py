"""The values that a column has: what a person is offered while typing a filter."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from heapq import nsmallest
from typing import Any

import msgspec

from kscope.declare.model import Column
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Meta, Number, meta
from kscope.query.answers.question import JsonAnswer, Question, Table, n_parameter
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import by_values, value_of
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.parameters import Asked
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import Heaviest, heaviest
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import ROWS, total_of
from kscope.query.scan.scan import columns, scan_of
from kscope.store.reader import Reader

Sums = tuple[int, Number]


class Offered(msgspec.Struct, frozen=True):
    """`rows` have the value, and `amount` is what they sum of the measured column."""

    value: str
    rows: int
    amount: Number


class Values(JsonAnswer, frozen=True):
    """`more` when there are further ones; for a stack column the values are frames.

    Amounts are of `measured`, in its `unit`.
    """

    table: str
    column: str
    measured: str
    unit: str
    values: list[Offered]
    more: bool
    meta: Meta

    def as_table(self) -> Table:
        rows = ((each.value, each.rows, each.amount) for each in self.values)
        return Table(["value", "rows", "amount"], rows, {0: self.column})


async def values(reader: Reader, asked: Asked) -> Values:
    """Find the values that contain `prefix`, case-insensitive; those that start with it first."""
    column, n = _column(asked), asked["n"]
    measured = value_of(asked.category, asked["amount"], "flamegraph")
    needs = (column, measured.column)
    scan = await scan_of(reader, asked.scope, needs, single_rows=by_values([column]))
    measures = (ROWS, total_of(measured))
    found = await heaviest(scan, columns(column), measures, read.MOST_GROUPS)
    counted = await consumed(lambda _: _counted(found), found.groups)
    names = await labels(reader, column, counted)
    offered = await consumed(
        lambda *large: _offered(column, asked["prefix"], n + 1, *large), counted, names
    )
    return Values(
        table=asked.category.table,
        column=column.name,
        measured=measured.name,
        unit=measured.unit(),
        values=offered[:n],
        more=len(offered) > n or found.count > read.MOST_GROUPS,
        meta=meta(scan, found.totals[0] or 0),
    )


def _column(asked: Asked) -> Column:
    name, allowed = asked["column"], p.completable(asked.category)
    column = asked.category.column(name)
    if column is None or name not in allowed:
        raise complain("column", one_of("column with values to offer", name, allowed))
    return column


def _counted(found: Heaviest) -> dict[Any, Sums]:
    return {key: (rows, amount or 0) for (key,), (rows, amount) in found.groups.items()}


def _offered(
    column: Column, prefix: str, n: int, counted: Mapping[Any, Sums], names: Mapping[Any, str]
) -> list[Offered]:
    rows: Counter[str] = Counter()
    amounts: defaultdict[str, Number] = defaultdict(int)
    for key, (number, amount) in counted.items():
        for name in _parts(column, names[key]):
            rows[name] += number
            amounts[name] += amount
    wanted = prefix.casefold()
    matching = [(name, number) for name, number in rows.items() if wanted in name.casefold()]
    # To sort all of very many would block the other threads.
    first = nsmallest(
        n,
        matching,
        lambda each: (not each[0].casefold().startswith(wanted), -each[1], each[0]),
    )
    return [Offered(name, number, amounts[name]) for name, number in first]


def _parts(column: Column, name: str) -> set[str]:
    return set(name.split(";")) - {""} if column.type.role is Role.STACK else {name}


_AMOUNT = replace(p.VALUE, name="amount")
QUESTIONS = (
    Question(
        name="values",
        help="The values of a column, for completion; of a stack column, its frames.",
        parameters=(
            p.COLUMN,
            _AMOUNT,
            p.Parameter("prefix", "text that a value contains, at its start first"),
            n_parameter("values", 20),
        ),
        ask=values,
        answer=Values,
        in_path=("column",),
    ),
)
