"""The figures of a part of the report, when and where they were measured, as kept in JSON."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Measured(msgspec.Struct, frozen=True):
    """The values of all repetitions, in their order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: Measured) -> Measured:
        """Return the ratio within each repetition. Raises ValueError if one has fewer."""
        return Measured(
            tuple(ours / of for ours, of in zip(self.values, other.values, strict=True))
        )

    def minus(self, other: Measured) -> Measured:
        return Measured(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def times(self, factor: float) -> Measured:
        return Measured(tuple(value * factor for value in self.values))

    def __str__(self) -> str:
        """Show the median, and the smallest and the largest if they are written differently."""
        low, high = number(min(self.values)), number(max(self.values))
        return number(self.median) + (f" ({low} to {high})" if low != high else "")


def number(value: float) -> str:
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


Cell = str | Measured


class Table(msgspec.Struct, frozen=True):
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


class Output(msgspec.Struct, frozen=True):
    """The lines that a command printed, for benchmarks that make their tables themselves."""

    command: str
    text: str


class Found(msgspec.Struct, frozen=True):
    """The figures of a part. `facts` are those that the page compares and sums up, by name.

    `failures` are the ways that could not be measured, each with its reason.
    """

    tables: tuple[Table, ...] = ()
    outputs: tuple[Output, ...] = ()
    facts: dict[str, Measured] = {}
    failures: tuple[str, ...] = ()
    engines: dict[str, str] = {}


class Machine(msgspec.Struct, frozen=True):
    cpu: str
    cores: int
    memory: int  # bytes
    system: str
    python: str
    sqlite: str


class Part(msgspec.Struct, frozen=True):
    """A part's figures, and what they are of. `variant` is what a name is measured with, if any.

    `load` is the machine's, before and after; `seconds` how long the part took.
    """

    name: str
    variant: str
    date: str
    commit: str
    repeat: int
    is_quick: bool
    seconds: float
    load: tuple[float, float]
    machine: Machine
    found: Found

    @property
    def key(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


def save(part: Part, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part.key}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(part), indent=1) + b"\n")
    return path


def load(folder: Path) -> list[Part]:
    """Return all parts of a folder, by name and then by the size of their variant."""
    found = [msgspec.json.decode(path.read_bytes(), type=Part) for path in folder.glob("*.json")]
    return sorted(found, key=lambda part: (part.name, len(part.variant), part.variant))
