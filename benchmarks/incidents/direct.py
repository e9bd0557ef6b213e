"""The measure asked directly: a world's sums as the reader of the API would narrow them."""

from __future__ import annotations

from collections import defaultdict
from heapq import nlargest
from typing import TYPE_CHECKING

from benchmarks.incidents.kinds import Line
from benchmarks.incidents.noise import WINDOWS
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
    return [_reading(source, _cells(world, source)) for source in world.rows]


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
