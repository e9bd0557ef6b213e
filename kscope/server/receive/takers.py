"""The categories that take a profile, and the values of their columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import HOSTNAME, Catalog, Category, Column
from kscope.declare.receive import Receive, SampleType
from kscope.declare.types.base import INT64_MAX
from kscope.profiles.columns import SampleColumns, Wanted, sample_columns, unknown_values
from kscope.profiles.sample import Amount, Sample

Labels = Mapping[str, str | int]
# The labels that name the host, if the category does not list others.
_HOSTS: Mapping[str, tuple[str, ...]] = {
    "otlp": ("host.name", "k8s.node.name"),
    "pyroscope": ("hostname", "host"),
}
# Different labels of samples whose columns are kept.
_KEPT = 1000


@dataclass(frozen=True)
class Taker:
    """A category that takes some of a profile's sample types.

    `wanted` has the places of those types, and the value column of each. `blank` are the values of
    columns that no label fills.
    """

    category: Category
    receive: Receive
    wanted: tuple[tuple[int, str], ...]
    blank: Mapping[str, Any] = field(default_factory=dict)

    def columns(self, frequency: float | None) -> SampleColumns:
        """Return the columns of rows, which have no root: labels fill it."""
        return sample_columns(self.category, Wanted(self.wanted[0][1], "", frequency))

    def sample(self, stack: tuple[str, ...], values: Sequence[int], units: Sequence[str]) -> Sample:
        """Return a sample of the wanted values, each with its column's name."""
        amounts = (
            Amount(name, units[place], value)
            for (place, name), value in zip(self.wanted, values, strict=True)
        )
        return Sample(stack, tuple(amounts))

    def filler(self, shared: Labels, other_host: str) -> "Filler":
        """Return what fills columns; `shared` are the labels of all samples of a profile."""
        return Filler(self, shared, other_host)


# The host, and the columns that labels fill.
Filled = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass
class Filler:
    """Fills columns from labels. Samples often have the same ones: their columns are kept."""

    taker: Taker
    shared: Labels
    other_host: str
    _known: dict[tuple[tuple[str, str | int], ...], Filled] = field(default_factory=dict)

    def filled(self, own: Labels) -> Filled:
        """Return the host, or the other one, and the columns of a sample's own labels."""
        key = tuple(own.items())
        found = self._known.get(key)
        if found is None:
            found = self._host(own), self._columns(own)
            if len(self._known) < _KEPT:
                self._known[key] = found
        return found

    def _columns(self, own: Labels) -> tuple[tuple[str, Any], ...]:
        found = []
        for name, labels in self.taker.receive.columns.items():
            value = first_of(labels, own, self.shared)
            column = self.taker.category.column(name)
            if value is not None and name != HOSTNAME.name and column is not None:
                read = _read(column, value)
                if read is not None:
                    found.append((name, read))
        return tuple(found)

    def _host(self, own: Labels) -> str:
        receive = self.taker.receive
        default = _HOSTS.get(receive.protocol, ())
        value = first_of(receive.columns.get(HOSTNAME.name, default), own, self.shared)
        text = "".join(filter(str.isprintable, str("" if value is None else value)[:255])).strip()
        return text or self.other_host


def first_of(labels: Sequence[str], own: Labels, shared: Labels) -> str | int | None:
    """Return the value of the first label that either has, and is not empty."""
    for label in labels:
        for known in (own, shared):
            if (value := known.get(label, "")) != "":
                return value
    return None


def _read(column: Column, value: str | int) -> Any:
    """Return the value as the column takes it; None if it cannot be one."""
    if column.type.json.get("type") == "string":
        return str(value)[: column.type.json.get("maxLength", 255)].replace("\0", "")
    try:
        found = column.type.parse(str(value)[:40])
    except ValueError:
        return None
    # Others are judged by the category's own check.
    return None if isinstance(found, int) and abs(found) > INT64_MAX else found


def takers(
    catalog: Catalog, protocol: str, types: Sequence[SampleType]
) -> tuple[list[Taker], list[SampleType]]:
    """Return the categories that take some of these types, and the types that none takes."""
    found: list[Taker] = []
    taken: set[int] = set()
    for category in catalog.stored:
        for receive in category.receive:
            if receive.protocol != protocol:
                continue
            wanted = tuple(_wanted(receive, types))
            taken.update(place for place, _ in wanted)
            if wanted:
                blank = unknown_values(category, [name for _, name in wanted])
                found.append(Taker(category, receive, wanted, blank))
    return found, [each for place, each in enumerate(types) if place not in taken]


def _wanted(receive: Receive, types: Sequence[SampleType]) -> list[tuple[int, str]]:
    """Return the first type of the profile for each column."""
    found: dict[str, int] = {}
    for own, name in receive.types:
        for place, each in enumerate(types):
            if own.takes(each):
                found.setdefault(name, place)
    return [(place, name) for name, place in found.items()]
