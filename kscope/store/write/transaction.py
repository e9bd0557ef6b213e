"""The work of one commit: batches in, rows, texts and late sums out."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.generate.tables import CategoryTables, Schema
from kscope.store.backends.base import Session
from kscope.store.backends.errors import StaleDeclaration
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.interning import Known, text_hash, today
from kscope.store.schema.meta import contradicted, is_current
from kscope.store.sums.grouping import Columns, summed
from kscope.store.sums.late import add_late
from kscope.store.write.batch import Batch, Stored, TableRows
from kscope.store.write.cardinality import STACKS, STRINGS, NewTextLimits, bounded, used

_KNOWN_STRINGS = 200_000
_KNOWN_STACKS = 400_000
_DAY = 86400 * 1_000_000
_NEVER = -1
# The largest day that the column holds; more than five million years.
_LAST_DAY = 2**31 - 1

Key = TypeVar("Key", int, str)


@dataclass
class Dictionary:
    """Texts that are known to be stored, and the day until which they are used.

    Text -> (id, day), stack id -> day.
    """

    strings: Known[str, tuple[int, int]] = field(default_factory=lambda: Known(_KNOWN_STRINGS))
    stacks: Known[int, int] = field(default_factory=lambda: Known(_KNOWN_STACKS))

    def clear(self) -> None:
        self.strings.clear()
        self.stacks.clear()


class Transaction:
    """The work of one commit."""

    def __init__(
        self,
        session: Session,
        schema: Schema,
        known: Dictionary,
        next_seq: Callable[[int], range],
        limits: NewTextLimits,
    ) -> None:
        self._session = session
        self._schema = schema
        self._known = known
        self._next_seq = next_seq
        self.new_strings: dict[str, tuple[int, int]] = {}
        self.new_stacks: dict[int, int] = {}
        self.stack_grant, self.string_grant = limits.stacks.start(), limits.strings.start()

    async def store(self, batches: list[Batch]) -> list[Stored]:
        answers, fresh = await self._unseen(batches)
        fresh = await self._store_stacks(fresh)
        fresh, ids = await self._store_strings(fresh)
        closed = await self._closed()
        for table, pieces in _by_table(fresh).items():
            tables = self._tables(table, pieces)
            rows = await in_thread(sum(map(len, pieces)), _merged, tables, pieces, ids)
            await self._store_rows(tables.rows, rows)
            await self._store_late(tables, rows, closed)
        await self._check_types(fresh)
        await self._note(fresh)
        return answers

    async def _unseen(self, batches: list[Batch]) -> tuple[list[Stored], list[Batch]]:
        """Part batches that are stored already, or are twice in this group, from new ones."""
        keys = {batch.key for batch in batches if batch.key}
        answers_by_key = await self._stored_answers(keys)
        answers, fresh = [], []
        for batch in batches:
            if batch.key and batch.key in answers_by_key:
                answers.append(Stored(answers_by_key[batch.key], duplicate=True))
                continue
            counts = _counts(batch)
            if batch.key:
                answers_by_key[batch.key] = counts
            answers.append(Stored(counts))
            fresh.append(batch)
        return answers, fresh

    async def _stored_answers(self, keys: Iterable[bytes]) -> dict[bytes, Mapping[str, int]]:
        table = self._schema.dictionaries.batch
        columns = [table.c.key, table.c.answer]
        found = await self._session.look_up(table.c.key, columns, sorted(keys))
        return {bytes(key): json.loads(answer) for key, answer in found}

    async def _note(self, batches: list[Batch]) -> None:
        keyed = [batch for batch in batches if batch.key]
        if not keyed:
            return
        columns: Columns = {
            "key": [batch.key for batch in keyed],
            "received": [time.time_ns() // 1000] * len(keyed),
            "answer": [json.dumps(_counts(batch)) for batch in keyed],
        }
        await self._session.insert(self._schema.dictionaries.batch, columns)

    async def _store_stacks(self, batches: list[Batch]) -> list[Batch]:
        """Return the batches, with the limit's stack in place of new ones beyond it."""
        count = sum(map(len, batches))
        new = await in_thread(count, _new_stacks, batches, self._known.stacks)
        if new.ids and self.stack_grant.of.limit:
            within = await self._within_stack_limit(batches, new.ids)
            if within is not batches:
                batches = within
                new = await in_thread(count, _new_stacks, batches, self._known.stacks)
        if new.ids:
            columns = {"id": new.ids, "day": new.days, "frames": new.texts}
            await self._session.insert(self._schema.dictionaries.stack, columns, {"day": "max"})
            self.new_stacks = dict(zip(new.ids, new.days, strict=True))
        return batches

    async def _within_stack_limit(self, batches: list[Batch], ids: Sequence[int]) -> list[Batch]:
        id_ = self._schema.dictionaries.stack.c.id
        stored = {key for (key,) in await self._session.look_up(id_, [id_], ids)}
        new = set(ids) - stored - {STACKS.over}
        if not new:
            return batches
        count = sum(map(len, batches))
        return await in_thread(count, bounded, batches, new, STACKS, self.stack_grant)

    async def _store_strings(self, batches: list[Batch]) -> tuple[list[Batch], dict[str, int]]:
        """Return the batches, with the limit's text in place of new ones beyond it, and numbers."""
        count = sum(map(len, batches))
        strings = await in_thread(count, _strings_of, batches, self._known.strings)
        if strings.new.ids and self.string_grant.of.limit:
            within = await self._within_string_limit(batches, strings)
            if within is not batches:
                batches = within
                strings = await in_thread(count, _strings_of, batches, self._known.strings)
        return batches, await self._string_ids(strings)

    async def _within_string_limit(self, batches: list[Batch], strings: "_Strings") -> list[Batch]:
        count = sum(map(len, batches))
        counted = await in_thread(count, used, batches, STRINGS)
        by_hash = {
            key: text
            for key, text in zip(strings.new.ids, strings.new.texts, strict=True)
            if text in counted and text not in strings.known
        }
        hash_ = self._schema.dictionaries.string.c.hash
        stored = {key for (key,) in await self._session.look_up(hash_, [hash_], sorted(by_hash))}
        new = {by_hash[key] for key in by_hash.keys() - stored} - {STRINGS.over}
        if not new:
            return batches
        return await in_thread(count, bounded, batches, new, STRINGS, self.string_grant)

    async def _string_ids(self, strings: "_Strings") -> dict[str, int]:
        known, new = strings.known, strings.new
        if new.ids:
            table = self._schema.dictionaries.string
            columns = {"hash": new.ids, "day": new.days, "text": new.texts}
            await self._session.insert(table, columns, {"day": "max"})
            uses = dict(zip(new.ids, zip(new.texts, new.days, strict=True), strict=True))
            numbered = [table.c.hash, table.c.id]
            for key, number in await self._session.look_up(table.c.hash, numbered, new.ids):
                text, day = uses[key]
                self.new_strings[text] = (number, day)
        return await in_thread(len(known), _numbers, {**known, **self.new_strings})

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
        written = {rows.category.table: rows.category for b in batches for rows in b.tables}
        if written and (
            changed := await contradicted(self._session, self._schema, written.values())
        ):
            raise StaleDeclaration(
                f"the declaration of {changed.table} has changed on another server: update the"
                " categories of this one"
            )

    async def _store_rows(self, table: sa.Table, rows: Columns) -> None:
        count = len(next(iter(rows.values())))
        await self._session.insert(table, {"seq": self._next_seq(count), **rows})

    async def _store_late(
        self, tables: CategoryTables, rows: Columns, closed: Mapping[str, Mapping[int, int]]
    ) -> None:
        """Add rows of buckets that are closed to their sums, in the same transaction."""
        name = tables.category.table
        first = min(rows["time"])
        late = {bucket: until for bucket, until in closed.get(name, {}).items() if first < until}
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
class _New:
    """Texts that are not stored yet, or not as used until their day; in the order of their ids.

    In one order, so that two servers that store the same do not wait for each other.
    """

    ids: Sequence[int]
    days: Sequence[int]
    texts: Sequence[str]


def _new_stacks(batches: Sequence[Batch], stored: Known[int, int]) -> _New:
    stacks: dict[int, str] = {}
    needed: dict[int, int] = {}
    for batch in batches:
        stacks.update(batch.stacks)
        _need(needed, batch.stacks, _used_until(batch.tables))
    known = stored.find(needed)
    ids = sorted(key for key, day in needed.items() if known.get(key, _NEVER) < day)
    return _New(ids, [needed[key] for key in ids], [stacks[key] for key in ids])


@dataclass(frozen=True, slots=True)
class _Strings:
    """The strings of some batches. `known`: those that are stored, with number and day."""

    known: Mapping[str, tuple[int, int]]
    new: _New


def _strings_of(batches: Sequence[Batch], stored: Known[str, tuple[int, int]]) -> _Strings:
    needed: dict[str, int] = {}
    for batch in batches:
        for rows in batch.tables:
            day = _used_until([rows])
            for column, values in zip(rows.category.all_columns, rows.columns, strict=True):
                if column.type.storage is Storage.STRING_ID:
                    _need(needed, set(values), day)
    known = stored.find(needed)
    missing = [text for text, day in needed.items() if text not in known or known[text][1] < day]
    texts = dict(sorted((text_hash(text), text) for text in missing))
    days = [needed[text] for text in texts.values()]
    return _Strings(known, _New([*texts], days, [*texts.values()]))


def _numbers(strings: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    return {text: number for text, (number, _) in strings.items()}


def _merged(tables: CategoryTables, pieces: Sequence[TableRows], ids: Mapping[str, int]) -> Columns:
    """Return all rows as they are stored, in the order of time: they go to the end."""
    ordered = sorted(pieces, key=lambda piece: piece.columns[0][0])
    rows: Columns = {}
    for index, column in enumerate(tables.category.all_columns):
        values = list(chain.from_iterable(piece.columns[index] for piece in ordered))
        if column.type.storage is Storage.STRING_ID:
            values = list(map(ids.__getitem__, values))
        rows[column.name] = values
    return rows


def _used_until(tables: Iterable[TableRows]) -> int:
    """Return the day until which strings and stacks are used: rows age by their own time."""
    newest = max((max(rows.columns[0]) for rows in tables if len(rows)), default=0)
    return max(today(), min(newest // _DAY, _LAST_DAY))


def _need(days: dict[Key, int], keys: Iterable[Key], day: int) -> None:
    for key in keys:
        days[key] = max(days.get(key, _NEVER), day)


def _counts(batch: Batch) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rows in batch.tables:
        counts[rows.category.table] = counts.get(rows.category.table, 0) + len(rows)
    return counts


def _by_table(batches: Iterable[Batch]) -> dict[str, list[TableRows]]:
    pieces: dict[str, list[TableRows]] = {}
    for batch in batches:
        for rows in batch.tables:
            if len(rows):
                pieces.setdefault(rows.category.table, []).append(rows)
    return pieces
