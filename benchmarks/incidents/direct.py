"""The measure asked directly: a world's sums as the reader of the API would narrow them."""

from __future__ import annotations

from collections import defaultdict
from heapq import nlargest
from operator import add
from typing import TYPE_CHECKING

from benchmarks.incidents.kinds import Line
from benchmarks.incidents.noise import WINDOWS
from benchmarks.incidents.world import DISKS, WAITS
from kscope.query.changes.measure import changes
from kscope.query.changes.reading import Cell, Host, Reading

if TYPE_CHECKING:
    from benchmarks.incidents.world import Source, World
    from kscope.query.changes.finding import Finding

# Cells of a source that differ most, and of each process's largest.
_MOST, _STEADY = 1000, 8


def ask(world: World) -> list[Finding]:
    return changes(readings(world), hosts(world))


def readings(world: World) -> list[Reading]:
    """Return a reading for each source, and one of the whole time of each histogram.

    Waits are a histogram that the API does not have, as their table has stacks.
    """
    found = [_reading(source, _cells(world, source)) for source in world.rows]
    return found + [
        _reading(_whole(source), _totals(world, source))
        for source in world.rows
        if source.kind == "lengths" and source is not WAITS
    ]


def hosts(world: World) -> list[Host]:
    return [
        Host(name, heard=world.lost_after[name], until=world.lost_after[name])
        for name in world.lost_after
    ]


def line(finding: Finding) -> Line:
    return Line(
        finding.table,
        finding.column,
        finding.kind,
        finding.hosts,
        finding.process,
        finding.name,
        finding.change,
    )


def _reading(source: Source, cells: list[Cell]) -> Reading:
    return Reading(
        source.table,
        source.column,
        source.kind,
        _narrowed(cells),
        by=source.by,
        quantum=source.event,
        load=source.table == "profile",
    )


def _cells(world: World, source: Source) -> list[Cell]:
    return [
        Cell(*key, sum(row[WINDOWS:]), tuple(row[:WINDOWS]), tuple(row[WINDOWS:]))
        for key, row in world.rows[source].items()
        if any(row)
    ]


def _whole(source: Source) -> Source:
    """Return the source of the times of a histogram; a disk is a label, as it has processes too."""
    if source is DISKS:
        return source._replace(column="device", kind="label", by="process")
    return source._replace(column="", kind="total")


def _totals(world: World, source: Source) -> list[Cell]:
    """Add up the slots of each host's group."""
    rows: dict[tuple[str, str], list[float]] = {}
    for (host, group, _), row in world.rows[source].items():
        sums = rows.get((host, group))
        rows[host, group] = [*map(add, sums, row)] if sums else row
    return [
        Cell(*_place(source, *place), sum(row[WINDOWS:]), (*row[:WINDOWS],), (*row[WINDOWS:],))
        for place, row in rows.items()
        if any(row)
    ]


def _place(source: Source, host: str, group: str) -> tuple[str, str, tuple[str, ...]]:
    return (host, "", (group,)) if source is DISKS else (host, group, ())


def _narrowed(cells: list[Cell]) -> list[Cell]:
    if len(cells) <= _MOST:
        return cells
    mean = {cell: sum(cell.earlier) / WINDOWS for cell in cells}
    wanted = dict.fromkeys(nlargest(_MOST, cells, key=lambda c: abs(c.now - mean[c])))
    groups: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.host, cell.process].append(cell)
    for group in groups.values():
        wanted |= dict.fromkeys(nlargest(_STEADY, group, key=mean.__getitem__))
    return [*wanted]
