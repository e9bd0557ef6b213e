"""A change, told once, with every number that its sentence needs."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["place", "load", "lengths", "silent"]
Change = Literal["new", "gone", "more", "less"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference of the window, and how far it is from the usual.

    The place is `hosts`, `process` (a value of the column `by`, None if it is several) and `name`
    (a frame, a threshold or a label's value of `column`, None if it is the process as a whole).
    `kind` is "place" for one place, "load" where everything of the process or the hosts is that
    many times as much, "lengths" where all events are that many times as long, and "silent" for
    hosts that sent nothing in a part of the window. `table` is "" then.

    `before` is the median of the earlier windows, `low` and `high` their usual band: all sums of
    one window, of all hosts together, as the cells have them. `factor` is set where a whole group
    is that many times as much or as long; else it is the caller's `now / before`.
    `z` is the number of usual deviations, `part` the change as a part of all that varies on the
    host in this table, now or before, 0 to 1.

    `lasting` is the part of the window, 0 to 1, in which the change is there: a burst if it is
    small. `note` says why a large change is usual: "so before" if the two windows before had it
    too, "was NAME" or "is now NAME" if it is a new name; `other_name` is the name in it.
    `lengths` is whether the column is a histogram. `path` is the path that changed most of all
    with the place. `evidence` are the findings of the same event, the weightiest first, that this
    one speaks for.
    """

    table: str
    column: str
    kind: Kind
    change: Change
    by: str
    hosts: tuple[str, ...]
    process: str | None
    name: str | None
    before: float
    now: float
    low: float
    high: float
    factor: float | None
    z: float
    part: float
    lasting: float
    unusual: bool
    rank: float
    note: str = ""
    other_name: str = ""
    path: tuple[str, ...] = ()
    lengths: bool = False
    evidence: tuple["Finding", ...] = ()
