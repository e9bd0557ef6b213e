"""The work of one commit: batches in, rows, texts and late sums out."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.generate.tables import CategoryTables, Schema
from kscope.store.backends.base import Session
from kscope.store.backends.coded import Coded, chained, distinct
from kscope.store.backends.errors import StaleDeclaration, StoreBusy
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.interning import STACKS, STRINGS, Known, TextKind, store_texts, today
from kscope.store.schema.meta import contradicted, is_current
from kscope.store.sums.grouping import Columns, summed, summed_from
from kscope.store.sums.late import add_late
from kscope.store.write.batch import MEMO, Batch, Stored, TableRows
from kscope.store.write.cardinality import OVER, OVER_STACKS, Grant, bounded, uncounted
from kscope.store.write.twins import Twins

_DAY = 86400 * 1_000_000
# The largest day that the column holds; more than five million years.
_LAST_DAY = 2**31 - 1
# Pieces of so many rows are stored one by one: to join them would copy each value.
_ALONE = 2000
# After every time that a row may have.
_END = 2**63


class Dictionary:
    """The numbers of texts that are known to be stored, as used until `day` or later."""

    def __init__(self) -> None:
        # Of hosts and times, for engines that number rows which are alike.
        self.twins = Twins()
        # Of several commits one at a time looks for texts that are new: they are counted.
        self.turn = asyncio.Lock()
        self.clear()

    def clear(self) -> None:
        self.day = today()
        self.numbers: dict[TextKind, Known[Any, int]] = {
            STACKS: Known(400_000),
            STRINGS: Known(200_000),
        }

    def begin(self) -> None:
        """Forget the texts of another day: that they are used today is not stored yet."""
        if self.day != today():
            self.clear()


@dataclass(eq=False)
class Transaction:
    """The work of one commit. `new` has the numbers of the texts that it stored."""

    _session: Session
    _schema: Schema
    _known: Dictionary
    _next_seq: Callable[[int], range]
    grants: Mapping[TextKind, Grant]
    new: dict[TextKind, Mapping[Any, int]] = field(
        default_factory=lambda: {STACKS: {}, STRINGS: {}}
    )

    async def store(self, batches: list[Batch]) -> list[Stored | StoreBusy]:
        found, fresh = await self._unseen(batches)
        answers: list[Stored | StoreBusy] = [*found]
        fresh, ids = await self._texts(fresh)
        closed = await self._closed()
        for table, pieces in by_table(fresh).items():
            tables = self._tables(table, pieces)
            for run in _runs(pieces):
                count = sum(map(len, run))
                rows = await in_thread(count, merged, run, ids)
                await self._session.insert(tables.rows, {"seq": self._next_seq(count), **rows})
                await self._store_late(tables, rows, closed.get(table, {}))
        for piece in sums_of(fresh):
            tables = self._tables(piece.category.table, [piece])
            rows = await in_thread(len(piece), merged, [piece], ids)
            await self._add_sums(tables, piece.bucket, rows, closed.get(piece.category.table, {}))
        await self._check_types(fresh)
        await self._note(fresh)
        return answers

    async def _unseen(self, batches: list[Batch]) -> tuple[list[Stored], list[Batch]]:
        """Part batches that are stored already, or are twice in this group, from new ones."""
        table = self._schema.dictionaries.batch
        keys = sorted({batch.key for batch in batches if batch.key})
        found = await self._session.look_up(table.c.key, [table.c.key, table.c.answer], keys)
        answers_by_key = {bytes(key): str(answer) for key, answer in found}
        answers, fresh = [], []
        for batch in batches:
            if batch.key and batch.key in answers_by_key:
                answers.append(duplicate(answers_by_key[batch.key]))
                continue
            if batch.key:
                answers_by_key[batch.key] = answer_of(batch)
            answers.append(Stored(counts_of(batch)))
            fresh.append(batch)
        return answers, fresh

    async def _note(self, batches: list[Batch]) -> None:
        keyed = [batch for batch in batches if batch.key]
        if not keyed:
            return
        columns: Columns = {
            "key": [batch.key for batch in keyed],
            "received": [time.time_ns() // 1000] * len(keyed),
            "answer": [answer_of(batch) for batch in keyed],
        }
        await self._session.insert(self._schema.dictionaries.batch, columns)

    async def _texts(self, batches: list[Batch]) -> tuple[list[Batch], Mapping[str, int]]:
        """Store the texts of the batches; return what is left of them and the strings' numbers."""
        self._known.begin()
        batches, _ = await self._intern(batches, STACKS)
        batches, known = await self._intern(batches, STRINGS)
        return batches, {**known, **self.new[STRINGS]}

    async def remember(self, rows: int) -> None:
        """Note that the texts are stored, once they are; they were of so many rows."""
        for kind, grant in self.grants.items():
            grant.commit()
            new, self.new[kind] = self.new[kind], {}
            await in_thread(rows, self._known.numbers[kind].add, new)

    async def _intern(
        self, batches: list[Batch], kind: TextKind
    ) -> tuple[list[Batch], Mapping[Any, int]]:
        """Store the texts of the batches.

        Return the batches, with the limit's text in place of new ones beyond it, and the numbers of
        the texts that were stored before.
        """
        count = sum(map(len, batches))
        texts = await in_thread(count, _texts_of, batches, kind, self._known)
        if texts.new and self.grants[kind].of.limit:
            within = await self._within_limit(batches, kind, texts)
            if within is not batches:
                batches = within
                texts = await in_thread(count, _texts_of, batches, kind, self._known)
        if texts.new:
            self.new[kind] = await self._store_texts(batches, kind, texts)
        return batches, texts.known

    async def _within_limit(
        self, batches: list[Batch], kind: TextKind, texts: "_BatchTexts"
    ) -> list[Batch]:
        count = sum(map(len, batches))
        rest = await in_thread(count, uncounted, batches)
        new = texts.new.items()
        brought = {
            key: value for key, value in new if value not in texts.known and value not in rest
        }
        key = self._schema.metadata.tables[kind.table].c[kind.key]
        stored = {each for (each,) in await self._session.look_up(key, [key], [*brought])}
        unseen = {brought[each] for each in brought.keys() - stored} - {OVER[kind]}
        if not unseen:
            return batches
        return await in_thread(count, bounded, batches, unseen, kind, self.grants[kind])

    async def _store_texts(
        self, batches: Iterable[Batch], kind: TextKind, texts: "_BatchTexts"
    ) -> dict[Any, int]:
        """Return the numbers of the new texts."""
        stacks = {OVER[STACKS]: OVER_STACKS}
        for batch in batches:
            stacks.update(batch.stacks)
        new = {key: stacks[key] if kind is STACKS else text for key, text in texts.new.items()}
        days = [texts.days[value] for value in texts.new.values()]
        numbers = await store_texts(self._session, self._schema, kind, new, days)
        return {value: numbers[key] for key, value in texts.new.items()}

    async def _closed(self) -> dict[str, dict[int, int]]:
        """Category -> bucket -> up to when it is summed.

        Locked against a rollup of another server, which would not see these rows.
        """
        progress = self._schema.dictionaries.progress
        select = sa.select(progress.c.category, progress.c.bucket, progress.c.closed)
        closed: dict[str, dict[int, int]] = {}
        for category, bucket, until in await self._session.fetch(
            select.where(progress.c.bucket > 0).with_for_update(read=True)
        ):
            closed.setdefault(category, {})[bucket] = until
        return closed

    def _tables(self, table: str, pieces: Sequence[TableRows]) -> CategoryTables:
        """Refuse rows that were checked against a declaration that has changed since."""
        tables = self._schema.categories.get(table)
        if tables is None or any(piece.category != tables.category for piece in pieces):
            raise StaleDeclaration(f"the declaration of {table} has just changed: send again")
        return tables

    async def _check_types(self, batches: list[Batch]) -> None:
        """Refuse rows of a table that another server has made again with other types.

        After the rows: from then on the table stays as it is until the commit.
        """
        written = (rows.category for batch in batches for rows in batch.tables)
        if changed := await contradicted(self._session, self._schema, written):
            raise StaleDeclaration(
                f"the declaration of {changed.table} has changed on another server: update the"
                " categories of this one"
            )

    async def _add_sums(
        self, tables: CategoryTables, bucket: int, rows: Columns, closed: Mapping[int, int]
    ) -> None:
        """Add sums to their level, and to the coarser levels that have summed it already."""
        level = next(each.table for each in tables.rollups if each.rollup.bucket == bucket)
        count = len(rows["time"])
        sums = await in_thread(count, summed, tables.category, bucket, rows, _END)
        await add_late(self._session, tables.category, level, sums)
        above = summed_from(tables.category, bucket)
        await self._store_late(tables, rows, {each: closed[each] for each in above & {*closed}})

    async def _store_late(
        self, tables: CategoryTables, rows: Columns, closed: Mapping[int, int]
    ) -> None:
        """Add rows of buckets that are closed to their sums, in the same transaction."""
        if not closed:
            return
        name = tables.category.table
        first = min(distinct(rows["time"]))
        late = {bucket: until for bucket, until in closed.items() if first < until}
        if not late:
            return
        levels = {level.rollup.bucket: level.table for level in tables.rollups}
        knows_all = late.keys() <= levels.keys()
        if not (knows_all and await is_current(self._session, self._schema, tables.category)):
            raise StaleDeclaration(
                f"these rows are late, and another server sums {name} in a way that this one does"
                " not know: bring its categories up to date",
                retry_after=10,
            )
        for bucket, until in late.items():
            count = len(rows["time"])
            sums = await in_thread(count, summed, tables.category, bucket, rows, until)
            await add_late(self._session, tables.category, levels[bucket], sums)


@dataclass(frozen=True, slots=True)
class _BatchTexts:
    """The texts of some batches, and the day until which each is used.

    `known` has the numbers of those that are stored. `new` has, by their hashes, those that are not
    stored yet, or not as used until their day: in one order, so that two servers that store the
    same do not wait for each other.
    """

    days: Mapping[Any, int]
    known: Mapping[Any, int]
    new: Mapping[int, Any]


def _texts_of(batches: Iterable[Batch], kind: TextKind, stored: Dictionary) -> _BatchTexts:
    by_day: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for rows in chain.from_iterable(batch.tables for batch in batches):
        columns = (distinct(rows.columns[place]) for place in rows.places(kind.storage))
        by_day[_used_until(rows)].extend(columns)
    days: dict[Any, int] = {}
    for day in sorted(by_day):
        days.update(dict.fromkeys(chain.from_iterable(by_day[day]), day))
    known = stored.numbers[kind].find(days)
    new = days.keys() - known.keys()
    if max(by_day, default=0) > stored.day:
        new.update(each for each, day in days.items() if day > stored.day)
    return _BatchTexts(days, known, dict(sorted(zip(map(kind.hash, new), new, strict=True))))


def _runs(pieces: Sequence[TableRows]) -> list[list[TableRows]]:
    """Part pieces into those whose rows are stored together, in the order of time."""
    runs = [[piece] for piece in pieces if len(piece) >= _ALONE]
    if small := [piece for piece in pieces if len(piece) < _ALONE]:
        runs.append(small)
    return sorted(runs, key=lambda run: min(piece.columns[0][0] for piece in run))


def merged(pieces: Sequence[TableRows], ids: Mapping[str, int]) -> Columns:
    """Return all rows as they are stored, in the order of time: they go to the end."""
    ordered = sorted(pieces, key=lambda piece: piece.columns[0][0])
    strings = {*pieces[0].places(Storage.STRING_ID)}
    rows: Columns = {}
    for index, name in enumerate(pieces[0].names):
        numbers = ids if index in strings else None
        rows[name] = chained([_stored(piece.columns[index], numbers) for piece in ordered])
    return rows


def _stored(column: Sequence[Any], ids: Mapping[str, int] | None) -> Sequence[Any]:
    """Return the column with the number of each text, if it has texts."""
    if ids is None:
        return column
    if isinstance(column, Coded):
        return column.holding(map(ids.__getitem__, column.distinct))
    return list(map(ids.__getitem__, column))


def _used_until(rows: TableRows) -> int:
    """Return the day until which strings and stacks are used: rows age by their own time."""
    return max(today(), min(max(distinct(rows.columns[0]), default=0) // _DAY, _LAST_DAY))


def answer_of(batch: Batch, more: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the answer that is stored with a batch's key."""
    return json.dumps({**counts_of(batch), **({MEMO: batch.memo} if batch.memo else {}), **more})


def duplicate(answer: str) -> Stored:
    """Return the answer to a batch whose key is stored, with this answer."""
    rows = json.loads(answer)
    memo = rows.pop(MEMO, "")
    return Stored(rows, duplicate=True, memo=memo)


def counts_of(batch: Batch) -> dict[str, int]:
    return {rows.category.table: len(rows) for rows in batch.tables}


def sums_of(batches: Iterable[Batch]) -> list[TableRows]:
    """Return the sums that batches bring."""
    pieces = chain.from_iterable(batch.tables for batch in batches)
    return [piece for piece in pieces if piece.bucket and len(piece)]


def by_table(batches: Iterable[Batch], *, with_sums: bool = False) -> dict[str, list[TableRows]]:
    """Return the rows that batches bring, and their sums as well if asked to."""
    pieces: dict[str, list[TableRows]] = {}
    for rows in chain.from_iterable(batch.tables for batch in batches):
        if len(rows) and (with_sums or not rows.bucket):
            pieces.setdefault(rows.category.table, []).append(rows)
    return pieces
