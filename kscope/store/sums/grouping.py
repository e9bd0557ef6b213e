"""What a rollup keeps of rows: their sums per bucket and group."""

from __future__ import annotations

from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.types.base import INT64_MAX, Role, Storage
from kscope.declare.types.histogram import histogram_counts
from kscope.generate.tables import ROLLUP_ROWS
from kscope.store.schema.progress import SECOND
from kscope.store.sums.functions import total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kscope.declare.model import Category, Column

Columns = dict[str, list[Any]]

_GROUPED = (Role.DIMENSION, Role.STACK)
_SUMMED = (Role.VALUE, Role.HISTOGRAM)


def summed(category: Category, bucket: int, rows: Columns, until: int) -> Columns:
    """Sum the stored rows before `until` (us): the columns of a rollup, without seq."""
    keys = ["time", *(column.name for column in category.with_role(*_GROUPED))]
    values = category.with_role(*_SUMMED)
    width = bucket * SECOND
    early = [time < until for time in rows["time"]]
    picked = {name: list(compress(values_, early)) for name, values_ in rows.items()}
    picked["time"] = [time - time % width for time in picked["time"]]
    groups: dict[tuple[Any, ...], list[Any]] = {}
    adding = [_adder(column) for column in values]
    key_columns = [picked[name] for name in keys]
    value_columns = [picked[column.name] for column in values]
    for key, row in zip(
        zip(*key_columns, strict=True), _rows(value_columns, len(key_columns[0])), strict=True
    ):
        group = groups.get(key)
        if group is None:
            groups[key] = [*row, 1]
            continue
        for index, add in enumerate(adding):
            group[index] = add(group[index], row[index])
        group[-1] += 1
    names = [*keys, *(column.name for column in values), ROLLUP_ROWS]
    return transposed(names, [(*key, *group) for key, group in groups.items()])


def grouped(category: Category, source: sa.Table, start: int, stop: int) -> sa.Select[Any]:
    """Select the same from a table of rows, or of finer sums, in the order of `summed_names`."""
    keys = [source.c[column.name] for column in category.with_role(*_GROUPED)]
    values = [_sum(source, column) for column in category.with_role(*_SUMMED)]
    return (
        sa.select(*keys, *values, weight(source))
        .where(source.c.time >= start, source.c.time < stop)
        .group_by(*keys)
    )


def summed_names(category: Category) -> list[str]:
    columns = (*category.with_role(*_GROUPED), *category.with_role(*_SUMMED))
    return [*(column.name for column in columns), ROLLUP_ROWS]


def weight(source: sa.Table) -> sa.ColumnElement[int]:
    """How many rows of the category: counted, or read from finer sums."""
    if ROLLUP_ROWS in source.c:
        return total(source.c[ROLLUP_ROWS])
    return sa.func.count()


def tidied(category: Category, rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Bring sums as an engine gives them into the form in which they are stored."""
    columns = (*category.with_role(*_GROUPED), *category.with_role(*_SUMMED))
    shapes = [*(_SHAPES.get(column.type.storage, _integer) for column in columns), _integer]
    return [tuple(shape(value) for shape, value in zip(shapes, row, strict=True)) for row in rows]


def transposed(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Columns:
    return {name: list(map(itemgetter(index), rows)) for index, name in enumerate(names)}


def merged(category: Category, rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Add up rows, in the order of `summed_names`, that are sums of the same group."""
    keys = len(category.with_role(*_GROUPED))
    adding = [*map(_adder, category.with_role(*_SUMMED)), _capped]
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        key, values = tuple(row[:keys]), row[keys:]
        before = groups.get(key)
        groups[key] = (
            list(values)
            if before is None
            else [add(*pair) for add, *pair in zip(adding, before, values, strict=True)]
        )
    return [(*key, *values) for key, values in groups.items()]


def _rows(columns: Sequence[list[Any]], count: int) -> Iterable[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else [()] * count


def _sum(source: sa.Table, column: Column) -> sa.ColumnElement[Any]:
    stored = source.c[column.name]
    if column.type.storage is Storage.HISTOGRAM:
        # Texts of counts that are joined are the text of their sum, see histogram_counts.
        return sa.func.group_concat(stored)
    return total(stored) if column.type.storage is Storage.INTEGER else sa.func.sum(stored)


def _integer(value: Any) -> int:
    # A sum beyond 64 bits stays at the end of the scale.
    return min(int(value), INT64_MAX)


def _histogram(value: Any) -> str:
    counts = histogram_counts(value or "")
    return ",".join(f"{slot}:{min(counts[slot], INT64_MAX)}" for slot in sorted(counts))


_SHAPES: Mapping[Storage, Callable[[Any], Any]] = {
    Storage.REAL: float,
    Storage.HISTOGRAM: _histogram,
}


def _adder(column: Column) -> Any:
    match column.type.storage:
        case Storage.HISTOGRAM:
            return lambda left, right: _histogram(f"{left},{right}")
        case Storage.REAL:
            return lambda left, right: left + right
        case _:
            return _capped


def _capped(left: int, right: int) -> int:
    return min(left + right, INT64_MAX)
