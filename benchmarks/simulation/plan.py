"""The messages to a process of simulated agents, and from it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The agents of one process. Agent `n` sends to address `n`, which repeat.

    They make `rows` rows every `interval` seconds for `making` seconds; then their spools have
    `drain` seconds to become empty.
    """

    folder: str
    servers: Sequence[str]
    first: int
    count: int
    interval: float
    rows: int
    making: float
    drain: float


@dataclass
class Made:
    """The work of one agent: numbered rows, rows about itself, rows that its spool gave up."""

    host: str
    rows: int = 0
    elapsed: int = 0
    reports: int = 0
    given_up: int = 0
    waiting: int = 0


@dataclass
class Outcome:
    """Seconds are by the monotonic clock; `waiting` counts the bodies in all spools. `sent` are
    the bytes of bodies that were stored.
    """

    made: list[Made]
    sent: int
    failed: dict[int, int]
    reasons: dict[str, int]
    waiting: dict[int, int]
    seconds: list[float]
    empty_after: float
