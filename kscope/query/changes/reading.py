"""The numbers that the measure takes: sums of one window and of the windows to compare it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# The cells of a reading beyond these are left out before any work, those that differ least first.
MOST_CELLS = 4000
MOST_READINGS = 200
MOST_WINDOWS = 48
MOST_SLICES = 24
MOST_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of one host, process and path, in the table's own unit.

    `path` has the frames, root first. For a histogram it has the thresholds that the slot is
    above, shortest first: slot 3 is `(">= 1 us", ">= 2 us", ">= 4 us", ">= 8 us")`, and the sums
    are the time in the slot. For a label column it is the value alone, and it is empty for a table
    that has neither.

    `earlier` has a sum for each baseline window, oldest first, all scaled to the window's length.
    `slices` are the sums of the window's parts of equal length, which add up to `now`, or are
    empty if they are not known.
    """

    host: str
    process: str
    path: tuple[str, ...]
    now: float
    earlier: tuple[float, ...]
    slices: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The cells of one table, seen along one of its columns.

    A table may have several readings: its stack, its histogram and each of its label columns.

    `by` is the column that a cell's `process` is taken from: a table without processes may have
    `device` or `cpu` there. `column` is the one that the paths are taken from, "" if there is
    none. `quantum` is the mean size of one event in the unit of the sums (1 for counts, the time
    between samples for samples, the mean wait for waits), 0 if it is not known: chance moves a
    sum of few events more. `load` marks a reading whose sums say how busy processes are, such
    as the samples on CPU.
    """

    table: str
    column: str
    kind: Literal["stack", "lengths", "label", "total"]
    cells: Sequence[Cell]
    by: str = "process"
    quantum: float = 0.0
    load: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """How much of each window a host was heard in, 0 to 1: its rows, its agent's reports.

    `heard` is None and `earlier` empty if they are not known; the host's cells tell then. A
    reading with fewer windows than `earlier` has the newest of them. `until` is when the host was
    last heard, as a part of the window, 1 if it still is. `lost` is, by table, the part of the
    window's events that its agent lost.
    """

    name: str
    heard: float | None = None
    earlier: tuple[float, ...] = ()
    until: float = 1.0
    lost: Mapping[str, float] = field(default_factory=dict)
