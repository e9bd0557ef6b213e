"""The sums that a rollup keeps of rows: one per bucket and group."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import add, itemgetter
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Category, Column
from kscope.declare.types.base import INT64_MAX, Role, Storage
from kscope.declare.types.histogram import histogram_counts
from kscope.generate.tables import ROLLUP_ROWS
from kscope.store.schema.progress import SECOND
from kscope.store.sums.functions import SLOT, SLOT_EVENTS, sum_of, total, weight, with_slots

Columns = dict[str, list[Any]]


def key_columns(category: Category) -> tuple[Column, ...]:
    return category.with_role(Role.DIMENSION, Role.STACK)


def value_columns(category: Category) -> tuple[Column, ...]:
    return category.with_role(Role.VALUE)


def histogram_columns(category: Category) -> tuple[Column, ...]:
    return category.with_role(Role.HISTOGRAM)


def summed_names(category: Category) -> list[str]:
    """Return a rollup's columns without time and seq, in the order of the sums."""
    names = [column.name for column in (*key_columns(category), *value_columns(category))]
    return [*names, ROLLUP_ROWS, *(column.name for column in histogram_columns(category))]


def summed(category: Category, bucket: int, rows: Columns, until: int) -> Columns:
    """Sum the stored rows before `until` (us): the columns of a rollup, without seq."""
    width = bucket * SECOND
    early = [time < until for time in rows["time"]]
    picked = {name: list(compress(values, early)) for name, values in rows.items()}
    picked["time"] = [time - time % width for time in picked["time"]]
    picked[ROLLUP_ROWS] = [1] * len(picked["time"])
    names = ["time", *summed_names(category)]
    width = 1 + len(key_columns(category))
    adding = [*map(_adder, value_columns(category)), _capped]
    adding += map(_adder, histogram_columns(category))
    groups: dict[tuple[Any, ...], Sequence[Any]] = {}
    for row in zip(*(picked[name] for name in names), strict=True):
        key, values = row[:width], row[width:]
        before = groups.get(key)
        groups[key] = (
            values
            if before is None
            else [each(*pair) for each, *pair in zip(adding, before, values, strict=True)]
        )
    return transposed(names, [(*key, *values) for key, values in groups.items()])


def grouped(category: Category, source: sa.Table, start: int, stop: int) -> sa.Select[Any]:
    """Select the sums of a table of rows, or of finer sums, in the order of `summed_names`.

    Histograms are joined texts; the characters of each are in one more column, see `is_cut`.
    """
    keys = [source.c[column.name] for column in key_columns(category)]
    values = [sum_of(source, column) for column in value_columns(category)]
    texts = [source.c[column.name] for column in histogram_columns(category)]
    joined = [sa.func.group_concat(text) for text in texts]
    lengths = [total(sa.func.length(text) + 1) for text in texts]
    within = (source.c.time >= start, source.c.time < stop)
    return (
        sa.select(*keys, *values, weight(source), *joined, *lengths).where(*within).group_by(*keys)
    )


def is_cut(rows: Iterable[Sequence[Any]], histograms: int) -> bool:
    """Return whether a joined text is not whole: MySQL leaves out the end of a very long one."""
    return any(
        len(row[-2 * histograms + i]) + 1 < row[-histograms + i]
        for row in rows
        for i in range(histograms)
    )


def with_short_texts(rows: Iterable[Sequence[Any]], histograms: int) -> list[tuple[Any, ...]]:
    """Add up the slots of the joined texts, and remove their lengths."""
    if not histograms:
        return [tuple(row) for row in rows]
    return [
        (*row[: -2 * histograms], *map(summed_text, row[-2 * histograms : -histograms]))
        for row in rows
    ]


def grouped_slots(
    category: Category, histogram: Column, source: sa.Table, start: int, stop: int
) -> sa.Select[Any]:
    """Select keys, slot and events of one histogram column, slots in their order."""
    table = with_slots(source, histogram.name)
    keys = [*(table.c[column.name] for column in key_columns(category)), table.c[SLOT]]
    within = (table.c.time >= start, table.c.time < stop)
    statement = sa.select(*keys, total(table.c[SLOT_EVENTS])).where(*within)
    return statement.group_by(*keys).order_by(table.c[SLOT])


def with_slot_texts(
    rows: Iterable[Sequence[Any]], slots: Sequence[Sequence[Sequence[Any]]], keys: int
) -> list[tuple[Any, ...]]:
    """Replace the joined texts and their lengths by texts from the rows of `grouped_slots`."""
    texts = [_texts(each) for each in slots]
    cut = -2 * len(slots)
    return [(*row[:cut], *(each.get(tuple(row[:keys]), "") for each in texts)) for row in rows]


def _texts(rows: Iterable[Sequence[Any]]) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], list[str]] = {}
    for *key, slot, events in rows:
        found.setdefault(tuple(key), []).append(f"{slot}:{events}")
    return {key: ",".join(pairs) for key, pairs in found.items()}


def transposed(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Columns:
    return {name: list(map(itemgetter(index), rows)) for index, name in enumerate(names)}


def _adder(column: Column) -> Callable[[Any, Any], Any]:
    return {Storage.REAL: add, Storage.HISTOGRAM: _joined}.get(column.type.storage, _capped)


def _capped(left: int, right: int) -> int:
    # A sum beyond 64 bits stays at the end of the scale.
    return min(left + right, INT64_MAX)


def _joined(left: str, right: str) -> str:
    return summed_text(f"{left},{right}")


def summed_text(joined: str) -> str:
    """Return the text of a histogram that may have a slot more than once, with each slot once."""
    counts: Mapping[int, int] = histogram_counts(joined)
    return ",".join(f"{slot}:{min(counts[slot], INT64_MAX)}" for slot in sorted(counts))
