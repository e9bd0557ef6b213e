"""The values that a column has: what a person is offered while typing a filter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.declare.types.base import Role
from kscope.query.answers.meta import Meta, meta
from kscope.query.parse.columns import by_values
from kscope.query.scan import read
from kscope.query.scan.heaviest import heaviest
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import ROWS
from kscope.query.scan.plan import columns, scan_of
from kscope.query.scan.release import consumed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.declare.model import Column
    from kscope.query.parse.scope import Scope
    from kscope.query.scan.heaviest import Heaviest
    from kscope.store.reader import Reader


@dataclass(frozen=True, slots=True)
class ValuesQuestion:
    """Values that contain `prefix`, upper and lower case alike; those that start with it first."""

    scope: Scope
    column: Column
    prefix: str
    n: int


class Offered(msgspec.Struct, frozen=True):
    value: str
    rows: int


class Values(msgspec.Struct, frozen=True):
    """`more` when there are further ones; for a stack column the values are frames."""

    table: str
    column: str
    values: list[Offered]
    more: bool
    meta: Meta


async def values(reader: Reader, question: ValuesQuestion) -> Values:
    single = by_values([question.column])
    scan = await scan_of(reader, question.scope, (question.column,), single_rows=single)
    found = await heaviest(scan, columns(question.column), (ROWS,), read.MOST_GROUPS)
    counted = await consumed(lambda _: _counted(found), found.groups)
    names = await labels(reader, question.column, counted)
    offered = await consumed(lambda *large: _offered(question, *large), counted, names)
    return Values(
        table=question.scope.category.table,
        column=question.column.name,
        values=offered[: question.n],
        more=len(offered) > question.n or found.count > read.MOST_GROUPS,
        meta=meta(scan, found.totals[0] or 0),
    )


def _counted(found: Heaviest) -> dict[Any, int]:
    return {key: rows for (key,), (rows,) in found.groups.items()}


def _offered(
    question: ValuesQuestion, counted: Mapping[Any, int], names: Mapping[Any, str]
) -> list[Offered]:
    rows: Counter[str] = Counter()
    for key, number in counted.items():
        for name in _parts(question.column, names[key]):
            rows[name] += number
    wanted = question.prefix.casefold()
    matching = [(name, number) for name, number in rows.items() if wanted in name.casefold()]
    # One more than is shown tells whether there are more; a few of very many are found in steps.
    first = nsmallest(
        question.n + 1,
        matching,
        lambda each: (not each[0].casefold().startswith(wanted), -each[1], each[0]),
    )
    return [Offered(name, number) for name, number in first]


def _parts(column: Column, name: str) -> set[str]:
    return set(name.split(";")) - {""} if column.type.role is Role.STACK else {name}
