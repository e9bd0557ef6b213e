"""The sums that a rollup keeps of rows: one per bucket and group."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import add
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Category, Column
from kscope.declare.types.base import INT64_MAX, Role, Storage
from kscope.declare.types.histogram import histogram_counts
from kscope.generate.tables import ROLLUP_ROWS
from kscope.store.schema.progress import SECOND
from kscope.store.sums.functions import SLOT, SLOT_EVENTS, sum_of, total, weight, with_slots

Columns = dict[str, Sequence[Any]]
Sums = dict[tuple[Any, ...], Sequence[Any]]


def key_columns(category: Category) -> tuple[Column, ...]:
    return category.with_role(Role.DIMENSION, Role.STACK)


def updates(category: Category) -> dict[str, str]:
    """Return the columns that are summed, each with the update of a dialect that adds to it."""
    values, histograms = category.with_role(Role.VALUE), category.with_role(Role.HISTOGRAM)
    return {
        **{each.name: "sum" if each.type.storage is Storage.REAL else "total" for each in values},
        ROLLUP_ROWS: "total",
        **{each.name: "join" for each in histograms},
    }


def summed_names(category: Category) -> list[str]:
    """Return a rollup's columns without time and seq, in the order of the sums."""
    return [*(column.name for column in key_columns(category)), *updates(category)]


def sources(category: Category) -> dict[int, int]:
    """Return, for each level's bucket, that of the level which it is summed from; 0: the rows."""
    found: dict[int, int] = {}
    for bucket in sorted(rollup.bucket for rollup in category.rollup):
        # The coarsest that makes up whole buckets.
        found[bucket] = max((each for each in found if bucket % each == 0), default=0)
    return found


def summed_from(category: Category, bucket: int) -> set[int]:
    """Return the coarser levels that are summed from a level, directly or not."""
    found = {bucket}
    for each, source in sources(category).items():
        if source in found:
            found.add(each)
    return found - {bucket}


def summed(category: Category, bucket: int, rows: Columns, until: int) -> Sums:
    """Sum the stored rows before `until` (us): (time, *keys) -> sums, as in `summed_names`.

    The rows may be sums of a finer level.
    """
    length = bucket * SECOND
    keys = len(key_columns(category))
    adding = [ADDING[update] for update in updates(category).values()]
    columns = {ROLLUP_ROWS: [1] * len(rows["time"])} | rows
    groups: Sums = {}
    for time, *row in zip(
        rows["time"], *(columns[name] for name in summed_names(category)), strict=True
    ):
        if time < until:
            key, values = (time - time % length, *row[:keys]), row[keys:]
            before = groups.get(key)
            groups[key] = (
                values
                if before is None
                else [each(*pair) for each, *pair in zip(adding, before, values, strict=True)]
            )
    return groups


def grouped(category: Category, source: sa.Table, start: int, stop: int) -> sa.Select[Any]:
    """Select the sums of a table of rows, or of finer sums, in the order of `summed_names`.

    Histograms are joined texts; the characters of each are in one more column, see `is_cut`.
    """
    keys = [source.c[column.name] for column in key_columns(category)]
    values = [sum_of(source, column) for column in category.with_role(Role.VALUE)]
    texts = [source.c[column.name] for column in category.with_role(Role.HISTOGRAM)]
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
    rows: Iterable[Sequence[Any]], slots: Sequence[Iterable[Sequence[Any]]], keys: int
) -> list[tuple[Any, ...]]:
    """Replace the joined texts and their lengths by texts from the rows of `grouped_slots`."""
    texts: list[defaultdict[Any, str]] = [defaultdict(str) for _ in slots]
    for found, each in zip(texts, slots, strict=True):
        for *key, slot, events in each:
            found[*key] += f",{slot}:{events}"
    cut = -2 * len(texts)
    return [(*row[:cut], *(found[*row[:keys]][1:] for found in texts)) for row in rows]


def summed_text(joined: str) -> str:
    """Return the text of a histogram that may have a slot more than once, with each slot once."""
    counts: Mapping[int, int] = histogram_counts(joined)
    return ",".join(f"{slot}:{min(counts[slot], INT64_MAX)}" for slot in sorted(counts))


def _capped(left: int, right: int) -> int:
    # A sum beyond 64 bits stays at the end of the scale.
    return min(left + right, INT64_MAX)


def _joined(left: str, right: str) -> str:
    return summed_text(f"{left},{right}")


ADDING: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"sum": add, "total": _capped, "join": _joined}
)
