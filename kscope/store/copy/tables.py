"""Copy one category: its rows, and the sums of time whose rows no longer exist."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa

from kscope.generate.tables import CategoryTables
from kscope.store.copy.differences import Differences, Values
from kscope.store.copy.journal import Copied, Journal
from kscope.store.copy.memo import Place
from kscope.store.copy.pages import Pages
from kscope.store.copy.source import Source
from kscope.store.copy.spans import Slots, Span, was_removed
from kscope.store.copy.target import Begun, put_progress
from kscope.store.schema.progress import SECOND, Progress, progress_of
from kscope.store.store import Store
from kscope.store.sums.grouping import key_columns, sources, summed_names


@dataclass(frozen=True, slots=True)
class NewSum:
    """A sum to add to the target. One of late rows is a growth; the whole sum is `by_now`, and its
    `place` is the time and the group.
    """

    place: Place
    row: Values
    by_now: Values | None = None


@dataclass(frozen=True)
class TableCopy:
    """The copying of one category. `journals` are by level; 0 is the rows."""

    source: Source
    table: str
    begun: Begun
    journals: Mapping[int, Journal]

    @cached_property
    def tables(self) -> CategoryTables:
        return self.source.schema.categories[self.table]

    @cached_property
    def slots(self) -> Slots:
        return Slots.of(self.tables.category)

    @property
    def rows_copied(self) -> int:
        return sum(self.journals[0].counts.values())

    async def missing(self) -> dict[int, int]:
        """Return the number of rows that were not copied yet, by slot."""
        journal = self.journals[0]
        start = self.begun.division.start
        if self.tables.rollups:
            # Of removed rows the sums are copied; what is left of them is removed soon.
            start = max(start, (await self._progress())[0].removed)
        found = await self.source.slots(self.tables.rows, self.slots, start)
        return {
            slot: count - journal.counts[slot]
            for slot, count in found.items()
            if count > journal.counts[slot]
        }

    async def copy_rows(
        self, target: Store, missing: Mapping[int, int], done: Callable[[int], None]
    ) -> int:
        """Copy the rows of these slots that were not copied yet; return how many."""
        names, pages = self.names(0), self._pages(target, 0, done)
        copied, count = self.journals[0].reading(), 0
        for span in self.slots.stretches(missing):
            async for time, seq, row in self.source.rows(self.tables.rows, names, span):
                await copied.go_to(time)
                place = self.source.place(time, seq, row)
                if not copied.take(place):
                    count += 1
                    await pages.add(place, row)
        await pages.flush()
        return count

    async def copy_sums(self, target: Store, bucket: int, done: Callable[[int], None]) -> int:
        """Copy the sums of a level over time that the target cannot sum; return how many."""
        pages, count = self._pages(target, bucket, done), 0
        async for each in self.new_sums(bucket):
            count += 1
            if each.by_now is None:
                await pages.add(each.place, each.row)
            else:
                await pages.add_late(each.place, each.row, each.by_now)
        await pages.flush()
        return count

    async def new_sums(self, bucket: int) -> AsyncIterator[NewSum]:
        """Yield the sums of a level that were not copied yet, in the order of time."""
        copied = self.journals[bucket].reading()
        for span in await self._spans(bucket):
            late: dict[Place, Values] = {}
            async for time, seq, row in self.source.rows(
                self.table_of(bucket), self.names(bucket), span
            ):
                if late and next(iter(late))[0] != time:
                    async for each in self._grown(late, copied):
                        yield each
                    late = {}
                await copied.go_to(time)
                if seq >= 0:
                    place = self.source.place(time, seq, row)
                    if not copied.take(place):
                        yield NewSum(place, row)
                    continue
                group = row[: 1 + len(key_columns(self.tables.category))]
                before = late.get(group)
                late[group] = row if before is None else self.differences.added(before, row)
            async for each in self._grown(late, copied):
                yield each

    async def _grown(self, late: Mapping[Place, Values], copied: Copied) -> AsyncIterator[NewSum]:
        """Yield the growth of the sums of late rows of one time."""
        for group, row in late.items():
            await copied.go_to(group[0])
            if new := self.differences.since(copied.late(group), row):
                yield NewSum(group, new, row)

    def names(self, bucket: int) -> list[str]:
        """Return the columns of a level that are copied, in the order of its pages."""
        if bucket:
            return ["time", *summed_names(self.tables.category)]
        return [column.name for column in self.tables.category.all_columns]

    def table_of(self, bucket: int) -> sa.Table:
        levels = {level.rollup.bucket: level.table for level in self.tables.rollups}
        return levels.get(bucket, self.tables.rows)

    @cached_property
    def differences(self) -> Differences:
        return Differences(self.tables.category)

    async def _spans(self, bucket: int) -> list[Span]:
        """Return the times of a level whose sums are copied."""
        spans = self.begun.division.spans
        known = [spans[bucket]] if bucket in spans else []
        return known + await self._never_copied(bucket)

    async def _never_copied(self, bucket: int) -> list[Span]:
        """Return buckets whose rows and finer sums were removed before any of them was copied."""
        finer, progress = self._finer(bucket), await self._progress()
        first = self.begun.division.start
        removed = min(progress.get(each, Progress()).removed for each in finer)
        if not was_removed(removed) or removed <= first:
            return []
        table, width = self.table_of(bucket), bucket * SECOND
        within = (table.c.time >= first, table.c.time + width <= removed)
        found = await self.source.fetch(
            sa.select(table.c.time).where(*within).group_by(table.c.time).order_by(table.c.time)
        )
        counts = (slot for each in finer for slot in self.journals[each].counts)
        touched = {slot - slot % width for slot in counts}
        return [(start, start + width) for (start,) in found if start not in touched]

    def _finer(self, bucket: int) -> list[int]:
        """Return the levels that a level is summed from, directly or not."""
        found, above = [], sources(self.tables.category)
        while bucket:
            bucket = above[bucket]
            found.append(bucket)
        return found

    async def note_removed(self, target: Store) -> None:
        """Let questions to the target know which rows were removed before they were copied."""
        levels = [level.rollup.bucket for level in self.tables.rollups]
        if spans := [span for bucket in levels for span in await self._never_copied(bucket)]:
            removed = max(stop for _, stop in spans)
            await put_progress(target, self.table, {0: Progress(removed=removed)})

    async def _progress(self) -> Mapping[int, Progress]:
        found = await progress_of(self.source.fetch, self.source.schema, self.table)
        return {0: Progress()} | found

    def _pages(self, target: Store, bucket: int, done: Callable[[int], None]) -> Pages:
        category = target.schema.categories[self.table].category
        journal, names = self.journals[bucket], self.names(bucket)
        return Pages(self.source, target, journal, category, names, self.slots, done)
