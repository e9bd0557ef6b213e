"""Sums that a batch brings from another database, on an engine that only appends.

They are marked as late for their level, which the engine does not sum again, and for the coarser
levels that are closed: what closes a level later sums those that are not late for it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from kscope.generate.clickhouse.tables import COMMIT, LATE
from kscope.generate.tables import CategoryTables
from kscope.store.backends.base import Session
from kscope.store.schema.closing import Closing, marks_of
from kscope.store.sums.grouping import Columns, summed, summed_from
from kscope.store.write.late_rows import DAY, EVER, Group, LateSums, commit_of


@dataclass(frozen=True, slots=True)
class Brought:
    """The stored `rows` of sums of one level, from the batch with this key."""

    key: bytes
    tables: CategoryTables
    bucket: int
    rows: Columns
    closing: Mapping[int, Closing]

    async def add_to(self, sums: LateSums, session: Session, *, is_new: bool) -> None:
        """Add them to their level and to coarser ones, except those of an earlier try."""
        there = {} if is_new else await self._there(session)
        above = summed_from(self.tables.category, self.bucket) & self.closing.keys()
        for (day, mark), part in self._parts(there.get(self.bucket, {})).items():
            commit = self._commit(day)
            chosen = (each for each in above if self.closing[each].mark & mark)
            for bucket in (self.bucket, *sorted(chosen)):
                if commit not in there.get(bucket, {}):
                    found = summed(self.tables.category, bucket, part, EVER)
                    sums.add(self.tables, bucket, [Group(commit, mark, found)])

    def _parts(self, marked: Mapping[int, Mapping[int, int]]) -> dict[tuple[int, int], Columns]:
        """Return the rows of each day and mark; rows that are there keep their mark."""
        above = summed_from(self.tables.category, self.bucket)
        levels = {bucket: each for bucket, each in self.closing.items() if bucket in above}
        places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place, time in enumerate(self.rows["time"]):
            known = marked.get(self._commit(time // DAY), {}).get(time)
            own = self.closing[self.bucket].mark
            mark = own | marks_of(levels, time) if known is None else known
            places[time // DAY, mark].append(place)
        return {
            part: {name: [column[place] for place in chosen] for name, column in self.rows.items()}
            for part, chosen in places.items()
        }

    async def _there(self, session: Session) -> dict[int, dict[int, dict[int, int]]]:
        """Return what is there: level -> commit -> time -> mark."""
        commits = sorted({self._commit(time // DAY) for time in self.rows["time"]})
        found: dict[int, dict[int, dict[int, int]]] = {}
        for level in self.tables.rollups:
            name = str(level.table.name)
            marks: defaultdict[int, dict[int, int]] = defaultdict(dict)
            for commit, time, mark in await session.rows(
                f"SELECT DISTINCT {COMMIT}, time, {LATE} FROM `{name}`"  # noqa: S608 - declared
                f" WHERE {COMMIT} IN {{commits:Array(Int64)}}",
                {"commits": commits},
            ):
                marks[int(commit)][int(time)] = int(mark)
            found[level.rollup.bucket] = marks
        return found

    def _commit(self, day: int) -> int:
        return commit_of(self.key, f"{self.tables.category.table} {self.bucket}", day)
