"""One interval of a probe: its rows and the losses."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
# A binary, and what is missing in it: a stack that broke there, or a name.
Fault = tuple[str, str]


@dataclass(slots=True)
class LossCounts:
    """The things that one interval could not record, counted by cause."""

    stacks_collided: int = 0
    stacks_full: int = 0
    stacks_other: int = 0
    keys_full: int = 0
    starts_full: int = 0
    events: int = 0
    runs: int = 0
    values: int = 0
    frames: int = 0
    frames_unknown: int = 0
    stacks_truncated: int = 0


@dataclass(slots=True)
class Drained:
    """One interval's rows, in the category's columns."""

    rows: list[Row] = field(default_factory=list)
    loss: LossCounts = field(default_factory=LossCounts)
    faults: Counter[Fault] = field(default_factory=Counter)
