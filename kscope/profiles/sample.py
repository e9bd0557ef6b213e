"""A sample of any profiler, and the units of its amounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from kscope.declare.quantities import UNITS, Quantity, Unit, unit_of

__all__ = ["UNITS", "Amount", "Quantity", "Sample", "Unit", "unit_of"]


@dataclass(frozen=True, slots=True)
class Amount:
    """The amount of one thing in a sample: 10000000 `nanoseconds` of `cpu`."""

    kind: str
    unit: str
    value: int | float | Fraction


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack, root first, and its amounts. An empty process and a pid of None are unknown.

    `labels` are the profiler's own, such as a thread's name.
    """

    stack: tuple[str, ...]
    amounts: tuple[Amount, ...]
    process: str = ""
    pid: int | None = None
    tid: int | None = None
    labels: Mapping[str, str | int] = field(default_factory=dict)
