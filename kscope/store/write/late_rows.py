"""The sums of rows that are late, on an engine that only appends: further rows of each level.

Sums of one batch and day have one `kscope_commit`, a hash of both: so it shows whether they are
there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from kscope.declare.model import Category
from kscope.generate.clickhouse.tables import COMMIT, LATE
from kscope.generate.tables import CategoryTables
from kscope.store.schema.closing import Closing, marks_of
from kscope.store.sums.grouping import Columns, Sums, summed, summed_names
from kscope.store.write.batch import Batch
from kscope.store.write.transaction import merged

DAY = 86400 * 1_000_000
EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Group:
    """Sums of one batch and day, of rows that have these marks of levels; see closing.py."""

    commit: int
    late: int
    sums: Sums


@dataclass(eq=False)
class LateSums:
    """The sums to store, by table and level."""

    _found: dict[tuple[str, int], tuple[CategoryTables, list[Group]]] = field(default_factory=dict)

    def add(self, tables: CategoryTables, bucket: int, groups: list[Group]) -> None:
        key = (tables.category.table, bucket)
        self._found.setdefault(key, (tables, []))[1].extend(groups)

    def by_level(self) -> Iterator[tuple[CategoryTables, int, list[Group]]]:
        for (_, bucket), (tables, groups) in self._found.items():
            yield tables, bucket, groups

    @staticmethod
    def of_rows(
        key: bytes,
        category: Category,
        rows: Columns,
        late: list[int],
        levels: Mapping[int, Closing],
    ) -> dict[int, dict[int, list[Group]]]:
        """Return the sums of late rows: bucket -> commit -> groups."""
        found: dict[int, dict[int, list[Group]]] = {}
        places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place, mark in enumerate(late):
            if mark:
                places[rows["time"][place] // DAY, mark].append(place)
        for (day, mark), chosen in places.items():
            part: Columns = {
                name: [column[place] for place in chosen] for name, column in rows.items()
            }
            commit = commit_of(key, category.table, day)
            for bucket, level in sorted(levels.items()):
                if level.mark & mark:
                    group = Group(commit, mark, summed(category, bucket, part, EVER))
                    found.setdefault(bucket, {}).setdefault(commit, []).append(group)
        return found


def late_sums(
    batch: Batch,
    ids: Mapping[str, int],
    closing: Callable[[str], Mapping[int, Closing]],
    sums: LateSums,
    tables_of: Callable[[str], CategoryTables],
) -> None:
    """Add the sums of a batch's late rows."""
    for piece in batch.tables:
        levels = closing(piece.category.table)
        last = max((each.stop for each in levels.values()), default=None)
        if piece.bucket or not len(piece) or last is None or min(piece.columns[0]) >= last:
            continue
        tables = tables_of(piece.category.table)
        # As lists: their values are picked by place.
        rows: Columns = {name: [*column] for name, column in merged([piece], ids).items()}
        late = [marks_of(levels, time) for time in rows["time"]]
        for bucket, by_commit in sums.of_rows(
            batch.key, piece.category, rows, late, levels
        ).items():
            for groups in by_commit.values():
                sums.add(tables, bucket, groups)


def sums_columns(category: Category, groups: list[Group]) -> Columns:
    """Return sums as columns of their table."""
    names = ["time", *summed_names(category), LATE, COMMIT]
    rows: list[tuple[Any, ...]] = [
        (*key, *values, group.late, group.commit)
        for group in groups
        for key, values in group.sums.items()
    ]
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def commit_of(key: bytes, table: str, day: int) -> int:
    """Return the hash of a batch's rows of one table and day; without a key no retry needs it."""
    digest = blake2b(key + f" {table} {day}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 or 1
