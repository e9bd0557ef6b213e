"""Sums over a range of time: a question is a list of segments, each summed by one statement."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.generate.dialects import DIALECTS
from kscope.query.parse.errors import Complaint, QueryError
from kscope.query.scan.freed_memory import consumed, discard
from kscope.query.scan.measures import Expressions, Measure
from kscope.query.scan.parallel import together
from kscope.query.scan.scan import Scan
from kscope.query.sql.conditions import conditions
from kscope.query.sql.expressions import as_text, ids
from kscope.store.backends.statements import GROUPS_ALONE
from kscope.store.reader import Reader
from kscope.store.schema.progress import SECOND
from kscope.store.sums.planner import Segment

Merge = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
# Key -> measures.
Groups = dict[tuple[Any, ...], Sequence[Any]]

# The groups of an answer are kept in memory: this number takes some hundred megabytes.
MOST_GROUPS = 200_000


class TooManyGroups(QueryError):  # noqa: N818 - named for what it tells
    """There are more groups than a question may have."""

    def __init__(self, most: int) -> None:
        text = f"too many groups (over {most:,}): filter, group by less or ask for less time"
        super().__init__(Complaint("by", text))


# In microseconds of rows, and in buckets of sums: below, a second connection takes longer to ask,
# and two answers longer to merge, than is saved.
_WORTH_SHARING = 300 * 1_000_000
_BUCKETS_WORTH_SHARING = 6


async def summed(
    scan: Scan,
    keys: Expressions,
    measures: Sequence[Measure],
    most: int | None = None,
) -> Groups:
    """Return the groups over all segments; a measure without values is None.

    Raise TooManyGroups if there are more keys than `most`, or than an answer may have.
    """
    most = MOST_GROUPS if most is None else most
    answers = await answered(scan, keys, measures, most)
    merge = merger(measures)
    merged = await consumed(lambda *answers: _merged(answers, len(measures), merge), *answers)
    if len(merged) > most:
        discard(merged)
        raise TooManyGroups(most)
    return merged


async def in_columns(
    scan: Scan, keys: Expressions, measures: Sequence[Measure], most: int
) -> list[Sequence[Any]]:
    """Return the groups of each segment as columns, keys before measures: a key may be in several.

    Raise TooManyGroups if there are more than `most`. It takes a third of the time of `summed`.
    """
    answers = await in_rows(scan, keys, measures, most)
    return await consumed(lambda *answers: _turned(answers, len(measures)), *answers)


async def in_rows(
    scan: Scan, keys: Expressions, measures: Sequence[Measure], most: int, *, whole: bool = False
) -> list[Sequence[Sequence[Any]]]:
    """Return the groups of each segment as the database does, texts of keys as bytes.

    If they are `whole`, all keys and measures are whole numbers. Raise TooManyGroups if there are
    more than `most`.
    """
    packed = whole and DIALECTS[scan.reader.dialect].sorts_groups
    answers = await (_packed if packed else answered)(scan, keys, measures, most)
    if sum(map(len, answers)) > most:
        discard(*answers)
        raise TooManyGroups(most)
    return answers


def _turned(answers: Sequence[Sequence[Sequence[Any]]], measures: int) -> list[Sequence[Any]]:
    columns: list[Sequence[Any]] = [*zip(*chain.from_iterable(answers), strict=True)]
    for at, column in enumerate(columns[:-measures]):
        if _has_exact_texts(column[0]):
            columns[at] = [*map(as_text, column)]
    return columns


async def answered(
    scan: Scan, keys: Expressions, measures: Sequence[Measure], most: int
) -> list[Sequence[Sequence[Any]]]:
    """Return the rows of each statement, keys before measures: a key may be in several.

    One with more than `most` rows has one more.
    """
    await _note_replayed(scan)
    shares = await _shared_out(scan)
    statements = (grouped(scan, share, keys, measures).limit(most + 1) for share in shares)
    return await together(*map(scan.reader.fetch, statements))


async def _packed(
    scan: Scan, keys: Expressions, measures: Sequence[Measure], most: int
) -> list[Sequence[Sequence[Any]]]:
    """Return the same of whole numbers, which are read as one JSON array for each column.

    Python's driver of SQLite gives the interpreter's lock away for each row: two connections that
    fetch at the same time would take twice as long.
    """
    await _note_replayed(scan)
    statements = []
    for share in await _shared_out(scan):
        groups = grouped(scan, share, keys, measures).limit(most + 1).subquery()
        statements.append(sa.select(*map(sa.func.json_group_array, groups.c)))
    found = await together(*map(scan.reader.fetch, statements))
    return [await asyncio.to_thread(_unpacked, *rows) for rows in found]


def _unpacked(columns: Sequence[str]) -> list[tuple[int | None, ...]]:
    return list(zip(*map(_WHOLE.decode, columns), strict=True))


_WHOLE = msgspec.json.Decoder(list[int | None])


async def _note_replayed(scan: Scan) -> None:
    """Note whether there are rows of a host that replayed a recording: asked once."""
    if not scan.replayed_hosts:
        return
    for segment in scan.segments:
        replayed = ids(segment.table.c.hostname, scan.replayed_hosts)
        one: sa.Select[Any] = (
            sa.select(sa.literal_column("1")).where(scan.inside(segment), replayed).limit(1)
        )
        if await scan.reader.fetch(one):
            scan.saw_replayed = True
            break
    scan.replayed_hosts = ()


async def _shared_out(scan: Scan) -> list[Segment]:
    """Cut long stretches of rows in two: databases read them over two connections at a time."""
    if DIALECTS[scan.reader.dialect].reads_in_parallel:
        return [*scan.segments]
    shares: list[Segment] = []
    for segment in scan.segments:
        middle = await _middle(scan.reader, segment)
        if middle is None:
            shares.append(segment)
        elif (
            scan.stack
            and segment.bucket
            and not any(conditions(scan.where))
            and (DIALECTS[scan.reader.dialect].sorts_groups)
        ):
            # To sort takes longer than to read, and halves without a key in common are less to
            # fetch and nothing to merge. The id is a hash.
            odd = segment.table.c[scan.stack.name].bitwise_and(1)
            shares += [replace(segment, part=odd == half) for half in (0, 1)]
        else:
            shares += [replace(segment, stop=middle), replace(segment, start=middle)]
    return shares


async def _middle(reader: Reader, segment: Segment) -> int | None:
    """Return a time with rows on both sides; None if sharing them saves no time."""
    if not segment.cut:
        return None
    width = segment.bucket * SECOND or 1
    worth = _BUCKETS_WORTH_SHARING * width if segment.bucket else _WORTH_SHARING
    if segment.stop - segment.start < worth:
        return None
    # The rows of a table are in the order of time: its ends are found at once.
    time = segment.table.c.time
    first, last = (
        sa.select(time).where(segment.within).order_by(order).limit(1).scalar_subquery()
        for order in (time.asc(), time.desc())
    )
    ((start, end),) = await reader.fetch(sa.select(first, last))
    if start is None or end + width - start < worth:
        return None
    middle = (int(start) + int(end) + width) // 2
    return middle - middle % width


def grouped(
    scan: Scan, segment: Segment, keys: Expressions, measures: Sequence[Measure]
) -> sa.Select[Any]:
    by = [key.label(f"key_{i}") for i, key in enumerate(keys(segment))]
    found = [each.of(segment).label(f"measure_{i}") for i, each in enumerate(measures)]
    statement = sa.select(*by, *found).where(scan.inside(segment))
    if not by:
        return statement
    # To sort takes a fifth less if the column with the most values is compared first.
    stack = scan.stack and segment.table.c.get(scan.stack.name)
    ordered = sorted(by, key=lambda each: each.element is not stack)
    return statement.group_by(*ordered).execution_options(**{GROUPS_ALONE: True})


def _merged(answers: Sequence[Sequence[Sequence[Any]]], measures: int, merge: Merge) -> Groups:
    merged: Groups = {}
    for answer in filter(None, answers):
        width = len(answer[0]) - measures
        keys = _keys(answer, width)
        if not merged:  # no key comes twice in one answer
            merged = {key: row[width:] for key, row in zip(keys, answer, strict=True)}
            continue
        for key, row in zip(keys, answer, strict=True):
            before = merged.get(key)
            merged[key] = row[width:] if before is None else merge(before, row[width:])
    return merged


def _keys(answer: Sequence[Sequence[Any]], width: int) -> Iterator[tuple[Any, ...]]:
    keys = (tuple(row[:width]) for row in answer)
    if any(map(_has_exact_texts, answer[0][:width])):
        return (tuple(map(as_text, key)) for key in keys)
    return keys


def _has_exact_texts(first: Any) -> bool:
    """Return whether a key's values are: bytes in every row, except those without a text."""
    return first is None or isinstance(first, bytes)


def merger(measures: Sequence[Measure]) -> Merge:
    """Return the function that merges the measures of two segments."""
    merges = [measure.kind.merge for measure in measures]
    return lambda before, found: [
        merge(a, b) for merge, a, b in zip(merges, before, found, strict=True)
    ]
