"""The steps of a copy: categories, then keys, rows and sums until no more come, then a check."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from kscope.store.copy.compare import Comparison, compare
from kscope.store.copy.journal import Journal
from kscope.store.copy.others import copy_keys, copy_symbols, count_keys, missing_symbols
from kscope.store.copy.source import Source
from kscope.store.copy.spans import division
from kscope.store.copy.tables import TableCopy
from kscope.store.copy.target import (
    Begun,
    adopt,
    begin,
    begun_before,
    check_others,
    notes_of,
    sum_up,
)
from kscope.store.copy.unfinished import finish_last
from kscope.store.schema.progress import progress_of
from kscope.store.store import Store

# Rows that arrive while others are copied are copied after them; then it is time to say so.
_PASSES = 4


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of rows and sums of one table that were copied, or would be, now and before."""

    rows: int = 0
    sums: int = 0
    before: int = 0


@dataclass
class Report:
    """The result of a copy; `tables` are by name, `checks` too."""

    tables: dict[str, Tally] = field(default_factory=dict)
    checks: dict[str, Comparison] = field(default_factory=dict)
    keys: int = 0
    symbols: int = 0

    @property
    def differing(self) -> list[str]:
        return [each for check in self.checks.values() for each in check.differing]

    @property
    def doubled(self) -> list[str]:
        return [
            f"{table}: {rows} at {time}"
            for table, check in self.checks.items()
            for time, rows in sorted(check.doubled.items())
        ]

    @property
    def arriving(self) -> int:
        return sum(check.arriving for check in self.checks.values())


# Gets a table, its rows or sums that are copied by now, and those that were found; 0 if unknown.
Tell = Callable[[str, int, int], None]


async def copy_all(source: Source, target: Store, tell: Tell) -> Report:
    """Copy everything that the target is missing, and compare. Raises KscopeError; run it again."""
    notes = await notes_of(target)
    check_others(source.identity, notes)
    await adopt(target, source.schema.catalog)
    report = Report()
    report.symbols = await copy_symbols(source, target)
    copies = [await _begun(source, target, table, notes) for table in source.schema.categories]
    for each in copies:
        report.tables[each.table] = Tally(before=each.rows_copied)
    for _ in range(_PASSES):
        # First: a batch that is sent again to the target must not be stored beside its copy.
        report.keys += await copy_keys(source, target, await notes_of(target))
        if not sum([await _copy_table(each, target, report, tell) for each in copies]):
            break
    counts = Counter[str]()

    def closed(table: str) -> None:
        counts[table] += 1
        tell(f"{table}: stretches of time summed", counts[table], 0)

    await sum_up(target, closed)
    for each in copies:
        report.checks[each.table] = await _checked(each, target)
    return report


async def plan_all(source: Source, target: Store | None) -> Report:
    """Return what a copy would do."""
    notes = await notes_of(target) if target else {}
    check_others(source.identity, notes)
    known = target if notes else None
    report = Report(keys=await count_keys(source))
    report.symbols = len(await missing_symbols(source, known))
    for table in source.schema.categories:
        plan = await _planned(source, known, table, notes)
        missing = await plan.missing()
        sums = 0
        for level in plan.tables.rollups:
            async for _ in plan.new_sums(level.rollup.bucket):
                sums += 1
        report.tables[table] = Tally(sum(missing.values()), sums, plan.rows_copied)
    return report


async def _begun(source: Source, target: Store, table: str, notes: Mapping[str, str]) -> TableCopy:
    begun = await begin(target, source, table, notes)
    found = TableCopy(source, table, begun, await _journals(source, target, table))
    for bucket in found.journals:
        await finish_last(found, target, bucket)
    return found


async def _planned(
    source: Source, target: Store | None, table: str, notes: Mapping[str, str]
) -> TableCopy:
    begun = begun_before(source, table, notes)
    if begun is None:
        category = source.schema.categories[table].category
        progress = await progress_of(source.fetch, source.schema, table)
        begun, target = Begun(0, division(category, progress)), None
    return TableCopy(source, table, begun, await _journals(source, target, table))


async def _journals(source: Source, target: Store | None, table: str) -> dict[int, Journal]:
    backend = target.backend if target else None
    batches = (target or source).schema.dictionaries.batch
    found = {}
    for bucket in (0, *(level.rollup.bucket for level in source.schema.categories[table].rollups)):
        found[bucket] = Journal(source.identity, table, bucket, backend, batches)
        await found[bucket].load()
    return found


async def _copy_table(copy: TableCopy, target: Store, report: Report, tell: Tell) -> int:
    """Copy the rows and sums of a table that are new; return how many."""
    missing = await copy.missing()
    counted = _Counted(copy.table, sum(missing.values()), tell)
    rows = await copy.copy_rows(target, missing, counted.add)
    counted = _Counted(f"{copy.table}: sums", 0, tell)
    levels = [level.rollup.bucket for level in copy.tables.rollups]
    sums = sum([await copy.copy_sums(target, bucket, counted.add) for bucket in levels])
    if sums:
        await copy.note_removed(target)
    before = report.tables[copy.table]
    report.tables[copy.table] = Tally(before.rows + rows, before.sums + sums, before.before)
    return rows + sums


@dataclass
class _Counted:
    name: str
    all: int
    tell: Tell
    done: int = 0

    def add(self, rows: int) -> None:
        self.done += rows
        self.tell(self.name, self.done, max(self.all, self.done) if self.all else 0)


async def _checked(copy: TableCopy, target: Store) -> Comparison:
    found = await compare(copy, target)
    if found.differing and (missing := await copy.missing()):
        # Late rows came to the source between the two questions.
        arriving = sum(missing.values())
        return replace(found, differing=(), others_summed=0, arriving=arriving)
    return found
