"""The groups with the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kscope.declare.charts.base import ROWS as ROWS_NAME
from kscope.query.answers.meta import Meta, Notice, Number, meta, notices
from kscope.query.parse.columns import by_values
from kscope.query.scan.aggregates import QUANTILE_NOTE, needs_single_rows, ranked
from kscope.query.scan.labels import labels
from kscope.query.scan.plan import columns, scan_of
from kscope.query.scan.sizes import QUANTILES

if TYPE_CHECKING:
    from kscope.declare.model import Column
    from kscope.query.parse.columns import Value
    from kscope.query.parse.scope import Scope
    from kscope.store.reader import Reader


@dataclass(frozen=True, slots=True)
class TopQuestion:
    scope: Scope
    by: tuple[Column, ...]
    value: Value
    aggregate: str
    n: int


class Entry(msgspec.Struct, frozen=True):
    """`key` has one text per column of `by`; `share` of the total, None unless values add up."""

    key: list[str]
    value: Number | None
    share: float | None
    rows: int


class Top(msgspec.Struct, frozen=True):
    """`groups` is how many there are, of which `entries` has the first."""

    table: str
    by: list[str]
    value_column: str
    aggregate: str
    unit: str
    total: Number | None
    groups: int
    entries: list[Entry]
    meta: Meta
    notices: list[Notice]


async def top(reader: Reader, question: TopQuestion) -> Top:
    needs = (*question.by, *question.value.columns)
    single = needs_single_rows(question.value, question.aggregate) or by_values(question.by)
    scan = await scan_of(reader, question.scope, needs, single_rows=single)
    found = await ranked(
        scan,
        columns(*question.by),
        question.value,
        question.aggregate,
        n=question.n,
    )
    names = [
        await labels(reader, column, {key[i] for key, _, _ in found.entries})
        for i, column in enumerate(question.by)
    ]
    return Top(
        table=question.scope.category.table,
        by=[column.name for column in question.by],
        value_column=question.value.name,
        aggregate=question.aggregate,
        unit=unit(question.value, question.aggregate),
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
        meta=meta(scan, found.rows),
        notices=[*notices(scan), *quantile_notices(question.aggregate)],
    )


def unit(value: Value, aggregate: str) -> str:
    if aggregate == "count":
        return "events" if value.weight else ROWS_NAME
    return value.unit


def quantile_notices(aggregate: str) -> list[Notice]:
    return [Notice("info", QUANTILE_NOTE)] if aggregate in QUANTILES else []
