"""Which profiles of other senders a category takes, and which of their labels fill its columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kscope.declare.quantities import Quantity, unit_of

# By their names in `receive:` of a category and of kernelscope.yaml.
PROTOCOLS: Mapping[str, str] = {
    "otlp": "profiles of OpenTelemetry, as its Collector and its eBPF profiler send them",
    "pyroscope": "profiles of Pyroscope's clients",
}
_PART = "[^/:\\s\\x00-\\x1f]{1,100}"
SAMPLE_TYPE = f"^({_PART}:)?{_PART}/{_PART}( every {_PART}/{_PART})?$"
SAMPLE_TYPE_IS = "a sample type such as cpu/nanoseconds or samples/count every cpu/nanoseconds"
_PARTS = re.compile(
    f"(?:(?P<name>{_PART}):)?(?P<kind>{_PART})/(?P<unit>{_PART})"
    f"(?: every (?P<period>{_PART})/(?P<period_unit>{_PART}))?"
)


@dataclass(frozen=True, slots=True)
class SampleType:
    """A kind of samples, such as `cpu/nanoseconds`, as a profile names its own.

    `name` is that of the profile and `period` what lies between two samples, with its unit;
    both are empty if they are not known, or do not matter.
    """

    kind: str
    unit: str
    name: str = ""
    period: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, text: str) -> "SampleType":
        """Read `mutex:delay/nanoseconds` or `samples/count every cpu/nanoseconds`.

        Raises ValueError.
        """
        found = _PARTS.fullmatch(text)
        if not found:
            raise ValueError(f"{text[:60]!r} is not {SAMPLE_TYPE_IS}")
        period = (found["period"] or "", found["period_unit"] or "")
        return cls(found["kind"], found["unit"], found["name"] or "", period)

    def takes(self, other: "SampleType") -> bool:
        """Return whether a profile's type is this one. A part that one does not have is equal."""
        return (
            self.kind == other.kind
            and _same_unit(self.unit, other.unit)
            and (not self.name or not other.name or self.name == other.name)
            and (not all(self.period) or not all(other.period) or _same(self.period, other.period))
        )

    def __str__(self) -> str:
        name = f"{self.name}:" if self.name else ""
        period = f" every {'/'.join(self.period)}" if any(self.period) else ""
        return f"{name}{self.kind}/{self.unit}{period}"


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] and _same_unit(one[1], other[1])


def _same_unit(one: str, other: str) -> bool:
    """Return whether one can be converted into the other."""
    quantity = unit_of(one).quantity
    return one == other or (quantity is unit_of(other).quantity and quantity is not Quantity.OTHER)


@dataclass(frozen=True, slots=True)
class Receive:
    """The profiles of one protocol that a category takes.

    `types` has the value column of each. `columns` has the labels that fill a column: the first
    that a sample has.
    """

    protocol: str
    types: tuple[tuple[SampleType, str], ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
