"""Where hosts are heard in a range: a host that stops while others go on is silent."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from kscope.query.across.losses import Loss
from kscope.query.across.readings import TableReading

# Agents send once a minute unless told otherwise: a shorter pause says nothing (us).
PATIENCE = 150 * 10**6
_SHARE = 10


@dataclass(frozen=True, slots=True)
class Heard:
    """`last` is the time (us) of a host's newest row in the range, None if it has none.

    `slices` and `earlier` are the parts in which it has rows: of those in which others have.
    """

    host: str
    last: int | None
    heard: float
    earlier: tuple[float, ...]
    silent: bool


def heard(tables: Iterable[TableReading], start: int, end: int) -> list[Heard]:
    """Return every host of the readings; times are in microseconds."""
    slices: dict[str, list[bool]] = {}
    earlier: dict[str, list[bool]] = {}
    last: dict[str, int] = {}
    for table in tables:
        for host, time in table.last.items():
            last[host] = max(time, last.get(host, time))
        for cell in (each for reading in table.readings for each in reading.cells):
            _note(slices, cell.host, cell.slices)
            # Windows end together: a table with fewer has the newest, and repeats them before.
            own = cell.earlier[-table.looks.windows.count :]
            _note(earlier, cell.host, own, newest_last=True)
    newest = max(last.values(), default=end)
    pause = max(PATIENCE, (end - start) // _SHARE)
    parts = zip_longest(*slices.values(), fillvalue=False)
    expected = [2 * sum(part) >= len(slices) for part in parts]
    return [
        Heard(
            host,
            last.get(host),
            _share(slices.get(host, []), expected),
            tuple(float(part) for part in earlier.get(host, [])[::-1]),
            silent=last.get(host, start) < newest - pause,
        )
        for host in sorted({*slices, *earlier})
    ]


def lost_parts(
    tables: Mapping[str, TableReading], losses: Iterable[Loss]
) -> dict[str, dict[str, float]]:
    """Return by host and table the part of the range's events that its agent lost.

    A table whose number of events is not known has none.
    """
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for each in losses:
        table = tables.get(each.table)
        # The first reading is that of the table's value.
        for reading in table.readings[:1] if table else ():
            if reading.quantum > 0:
                value = sum(cell.now for cell in reading.cells if cell.host == each.host)
                events = value / reading.quantum
                found[each.host][each.table] = each.lost / (each.lost + events)
    return found


def _note(
    found: dict[str, list[bool]], host: str, sums: Sequence[float], *, newest_last: bool = False
) -> None:
    parts = found.setdefault(host, [])
    # Most cells say nothing new.
    if len(parts) >= len(sums) and all(parts):
        return
    parts.extend([False] * (len(sums) - len(parts)))
    for i, each in enumerate(reversed(sums) if newest_last else sums):
        if each:
            parts[i] = True


def _share(parts: Sequence[bool], expected: Sequence[bool]) -> float:
    wanted = [part for part, asked in zip_longest(parts, expected, fillvalue=False) if asked]
    return sum(wanted) / len(wanted) if wanted else 1.0
