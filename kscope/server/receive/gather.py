"""Profiles -> bodies of our own ingest, one for each host and key.

The bodies are then checked and stored as those of every other sender.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kscope.declare.model import Catalog
from kscope.declare.quantities import Quantity, unit_of
from kscope.declare.receive import SampleType
from kscope.errors import KscopeError, printable
from kscope.profiles.frames import UNKNOWN
from kscope.query.parse.timerange import iso
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.receive.takers import Filled, Labels, Taker, takers

Room = Callable[[int], None]

# Values by the labels, the time and the stack of samples.
Sums = dict[tuple[Filled, int | None, tuple[str, ...]], list[int]]

# Of one request.
_MOST_BODIES = 1000
# Bytes that a row uses beside its stack while rows of the same labels are added up.
_ROW = 500
# Frames that one step handles; a sample takes as long as so many.
_STEP, _SAMPLE = 10_000, 100


@dataclass(frozen=True, slots=True)
class Pushed:
    """One sample: its stack, root first, its values, and its time in microseconds if it has one."""

    stack: tuple[str, ...]
    values: Sequence[int]
    labels: Labels
    time: int | None = None


@dataclass(frozen=True, slots=True)
class PushedProfile:
    """A profile as its sender names things.

    Each category that takes it has a pass over its `samples`. `time` is the end of its span, in
    microseconds.

    `frequency` is in samples a second, None if it is not known. `key` is empty if the sender does
    not name the profile in a way that it repeats when it sends it again.
    """

    types: Sequence[SampleType]
    samples: Callable[[], Iterable[Pushed]]
    labels: Labels
    time: int
    frequency: float | None = None
    key: str = ""
    count: int = 0


@dataclass(slots=True)
class _Pace:
    """Counts the frames of samples since the last step ended."""

    _done: int = 0

    def is_due(self, frames: int) -> bool:
        """Return whether a step ends with this sample."""
        self._done += _SAMPLE + frames
        if self._done <= _STEP:
            return False
        self._done = 0
        return True


@dataclass(slots=True)
class Body:
    """The rows of one host, as JSON, under construction."""

    hostname: str
    key: str
    room: Room
    _tables: dict[str, bytearray] = field(default_factory=dict)
    _stacks: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, stack: str, row: dict[str, Any]) -> None:
        """Add a row; its column `stack` becomes a place in the list of stacks."""
        text = row[stack]
        if text not in self._stacks:
            self.room(len(text) + 200)
        row[stack] = self._stacks.setdefault(text, len(self._stacks))
        encoded = msgspec.json.encode(row)
        self.room(len(encoded) + 1)
        rows = self._tables.setdefault(table, bytearray())
        rows += b"," if rows else b""
        rows += encoded

    def text(self) -> bytearray:
        """Return the body of a request."""
        text = bytearray(b'{"hostname":') + msgspec.json.encode(self.hostname)
        text += b',"stacks":' + msgspec.json.encode([*self._stacks])
        for table, rows in self._tables.items():
            text += b"," + msgspec.json.encode(table) + b":["
            text += rows
            text += b"]"
        text += b"}"
        return text


@dataclass(slots=True)
class Gathered:
    """The bodies of one request; `untaken` counts the profiles of types that no category takes.

    `old` has a sentence for each table with rows that retention soon removes.
    """

    protocol: str
    catalog: Catalog
    other_host: str
    room: Room
    sender: str = ""
    bodies: dict[tuple[str, str], Body] = field(default_factory=dict)
    untaken: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    taken: int = 0
    samples: int = 0
    old: Sequence[str] = ()

    def add(self, profile: PushedProfile) -> Steps[None]:
        """Add the rows of a profile, in steps. Raises HttpProblem."""
        found, others = takers(self.catalog, self.protocol, profile.types)
        for each in others:
            name = printable(f"{each.kind}/{each.unit}")
            self.untaken[name] = self.untaken.get(name, 0) + 1
        self.taken += bool(found)
        self.refused += not found
        self.samples += profile.count if found else 0
        if not found:
            yield from _checked(profile)
        for taker in found:
            try:
                yield from self._rows(taker, profile)
            except KscopeError as error:
                raise HttpProblem(422, f"a sample {error}") from None

    def _rows(self, taker: Taker, profile: PushedProfile) -> Steps[None]:
        """Add rows up over labels that fill no column."""
        filler = taker.filler(profile.labels, self.other_host)
        sums: Sums = {}
        pace = _Pace()
        for each in profile.samples():
            if pace.is_due(len(each.stack)):
                yield Lane.GOOD
            values = [each.values[place] for place, _ in taker.wanted]
            if not any(values):
                continue
            key = (filler.filled(each.labels), each.time, each.stack or (UNKNOWN,))
            known = sums.get(key)
            if known is None:
                self.room(_ROW + 8 * len(each.stack))
                sums[key] = values
            else:
                sums[key] = [one + other for one, other in zip(known, values, strict=True)]
        yield from self._written(taker, profile, sums)

    def _written(self, taker: Taker, profile: PushedProfile, sums: Sums) -> Steps[None]:
        columns = taker.columns(profile.frequency)
        units = [each.unit for each in profile.types]
        pace = _Pace()
        for ((host, labels), time, stack), values in sums.items():
            if pace.is_due(len(stack)):
                yield Lane.GOOD
            moment = profile.time if time is None else time
            row = dict(taker.blank) | columns.row(taker.sample(stack, values, units))
            row |= dict(labels)
            row["time"] = iso(moment)
            self._body(host, profile.key).add(taker.category.table, columns.stack.name, row)

    def _body(self, host: str, key: str) -> Body:
        body = self.bodies.get((host, key))
        if body is None:
            if len(self.bodies) >= _MOST_BODIES:
                raise HttpProblem(
                    413, f"more than {_MOST_BODIES} profiles, or hosts: send fewer at a time"
                )
            body = self.bodies[host, key] = Body(host, key, self.room)
            self.room(_ROW)
        return body

    def why_untaken(self) -> str:
        """Say which types no category takes, and how to declare one; empty if there are none."""
        if not self.untaken:
            return ""
        types = ", ".join(sorted(self.untaken)[:10])
        example = min(self.untaken)
        return (
            f"no category takes {types}: declare one with `receive: {{{self.protocol}: {{types:"
            f" {{{example}: COLUMN}}}}}}`, see docs/receivers.md"
        )


def _checked(profile: PushedProfile) -> Steps[None]:
    """Look at all samples, so that a damaged profile is refused whatever its type."""
    pace = _Pace()
    for each in profile.samples():
        if pace.is_due(len(each.stack)):
            yield Lane.GOOD


def frequency_of(period_type: tuple[str, str], period: int) -> float | None:
    """Return samples a second of a period that is a time; None if it is none."""
    unit = unit_of(period_type[1])
    if unit.quantity is not Quantity.TIME or period <= 0:
        return None
    return float(10**6 / (period * unit.factor))
