"""Speedscope's JSON, as py-spy, rbspy and our own export write it.

https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources
"""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from kscope.profiles.frames import UNKNOWN
from kscope.profiles.sample import Quantity, Sample, unit_of
from kscope.readers.reading.base import Format, Head, Line, ReadError, Reading
from kscope.readers.reading.jsontext import NotJsonError, decoded

_MOST_BYTES = 128 * 1024 * 1024
_DEEPEST = 10_000
_OURS = "kernelscope"
_SCHEMA = re.compile(
    r'\s*\{.*("https?://www\.speedscope\.app/file-format-schema\.json"'
    r'|"shared"\s*:\s*\{\s*"frames"|"profiles"\s*:\s*\[\s*\{)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Event:
    """A frame begins or ends at a moment."""

    begins: bool
    frame: int
    at: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """Stacks, the outermost frame first, and their weights."""

    name: str
    unit: str
    samples: list[list[int]]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Evented:
    """Frames that begin and end."""

    name: str
    unit: str
    events: list[Event]


@dataclass(frozen=True, slots=True)
class File:
    """A file of profiles, often one per thread; `frames` are the names that all refer to."""

    frames: list[str]
    profiles: list[Sampled | Evented]
    exporter: str
    active: int


class _Shape:
    """Reads the parts of an object of the file, each of a kind. Raises ReadError."""

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(place, "an object")
        self._value, self._place = value, place

    def text(self, key: str, default: str | None = None) -> str:
        return cast("str", self._part(key, (str,), "a text", default))

    def whole(self, key: str, default: int | None = None) -> int:
        return cast("int", self._part(key, (int,), "a whole number", default))

    def number(self, key: str) -> float:
        return cast("float", self._part(key, (int, float), "a number"))

    def listed(self, key: str, default: list[Any] | None = None) -> list[Any]:
        return cast("list[Any]", self._part(key, (list,), "a list", default))

    def numbers(self, key: str) -> list[float]:
        return _all_are(self.listed(key, []), (int, float), f"{self._place}.{key}", "numbers")

    def inner(self, key: str) -> "_Shape":
        return _Shape(self._value.get(key), f"{self._place}.{key}")

    def _part(self, key: str, kinds: tuple[type, ...], noun: str, default: Any = None) -> Any:
        value = self._value.get(key)
        value = default if value is None else value
        # Not isinstance: true is no number.
        if type(value) not in kinds:
            raise _wrong(f"{self._place}.{key}", noun)
        return value


def _all_are(values: list[Any], kinds: Iterable[type], place: str, noun: str) -> list[Any]:
    if not set(map(type, values)) <= {*kinds}:
        raise _wrong(place, f"a list of {noun}")
    return values


def _wrong(place: str, noun: str) -> ReadError:
    return ReadError(1, f"is not speedscope's JSON: {place} is not {noun}")


def _file(value: Any) -> File:
    """Return a file whose parts have the right types. Raises ReadError."""
    whole = _Shape(value, "$")
    frames = whole.inner("shared").listed("frames")
    return File(
        frames=[_Shape(each, "$.shared.frames[]").text("name") for each in frames],
        profiles=[_profile(_Shape(each, "$.profiles[]")) for each in whole.listed("profiles")],
        exporter=whole.text("exporter", ""),
        active=whole.whole("activeProfileIndex", 0),
    )


def _profile(shape: _Shape) -> Sampled | Evented:
    name, unit = shape.text("name"), shape.text("unit")
    match shape.text("type"):
        case "evented":
            events = (_Shape(each, "$.profiles[].events[]") for each in shape.listed("events"))
            return Evented(name, unit, [*map(_event, events)])
        case "sampled":
            place = "$.profiles[].samples[]"
            stacks = _all_are(shape.listed("samples"), (list,), place, "lists")
            samples = [_all_are(stack, (int,), place, "whole numbers") for stack in stacks]
            return Sampled(name, unit, samples, shape.numbers("weights"))
        case other:
            raise _wrong("$.profiles[].type", f"sampled or evented, but {other[:40]!r}")


def _event(shape: _Shape) -> Event:
    kind = shape.text("type")
    if kind not in ("O", "C"):
        raise _wrong("$.profiles[].events[].type", "O or C")
    return Event(kind == "O", shape.whole("frame"), shape.number("at"))


@dataclass(slots=True)
class _Tree:
    """Stacks as a tree: the place of a frame below another one, and its weight alone."""

    frames: Sequence[str]
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    parents: list[tuple[int, int]] = field(default_factory=lambda: [(-1, -1)])
    depths: list[int] = field(default_factory=lambda: [0])
    weights: defaultdict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    def below(self, place: int, frame: int) -> int:
        """Return the place of a frame below a place. Raises ReadError."""
        if not 0 <= frame < len(self.frames):
            raise ReadError(1, f"refers to frame {frame} of {len(self.frames)}")
        found = self.places.setdefault((place, frame), len(self.parents))
        if found == len(self.parents):
            if self.depths[place] >= _DEEPEST:
                raise ReadError(1, f"has a stack of more than {_DEEPEST} frames")
            self.parents.append((place, frame))
            self.depths.append(self.depths[place] + 1)
        return found

    def add(self, place: int, weight: float) -> None:
        """Add a weight. Raises ReadError if it is below 0."""
        if weight < 0:
            raise ReadError(1, f"has a weight below 0: {weight}")
        self.weights[place] += _exact(weight)

    def stack(self, place: int) -> list[str]:
        """Return the names of the frames, the outermost first."""
        names = []
        while place:
            place, frame = self.parents[place]
            names.append(self.frames[frame] or UNKNOWN)
        return names[::-1]


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row for each stack of each profile."""
    file = _decoded(reading)
    first = reading.options.root is not None or file.exporter == _OURS
    number = 0
    for profile in _chosen(reading, file):
        tree = _Tree(file.frames)
        if isinstance(profile, Sampled):
            _add_samples(tree, profile)
        else:
            _add_events(tree, profile)
        unit = "" if unit_of(profile.unit).quantity is Quantity.OTHER else profile.unit
        for place, weight in tree.weights.items():
            number += 1
            stack = tree.stack(place)
            process = stack.pop(0) if first and reading.columns.root and stack else ""
            sample = Sample(tuple(stack), (reading.number(weight, unit),), process)
            if weight:
                yield reading.line(number, sample)


def _decoded(reading: Reading) -> File:
    try:
        value = decoded(reading.content.whole(_MOST_BYTES).removeprefix(codecs.BOM_UTF8))
    except NotJsonError as error:
        raise ReadError(1, f"is not speedscope's JSON: {error}") from None
    return _file(value)


def _chosen(reading: Reading, file: File) -> Sequence[Sampled | Evented]:
    """Return the named profile, else all that have the unit of the one that is shown first."""
    wanted, names = reading.options.event, [each.name for each in file.profiles]
    if wanted:
        found = [each for each in file.profiles if each.name == wanted]
        if not found:
            shown = ", ".join(names[:20]) or "none"
            raise ReadError(1, f"has no profile {wanted!r}; it has {shown}")
        return found
    if not file.profiles:
        return ()
    shown_first = file.profiles[file.active if 0 <= file.active < len(names) else 0]
    found = [each for each in file.profiles if each.unit == shown_first.unit]
    left = [each.name for each in file.profiles if each.unit != shown_first.unit]
    if left:
        reading.notice(
            f"profiles in other units than {shown_first.unit} are left out: {', '.join(left[:20])};"
            " choose one with --event NAME"
        )
    return found


def _exact(number: float) -> Fraction:
    """Return a number as the file has it: 0.01 is a hundredth."""
    return Fraction(str(number))


def _add_samples(tree: _Tree, profile: Sampled) -> None:
    if profile.weights and len(profile.weights) != len(profile.samples):
        raise ReadError(1, f"has {len(profile.samples)} samples and {len(profile.weights)} weights")
    for sample, weight in zip(
        profile.samples, profile.weights or [1] * len(profile.samples), strict=True
    ):
        place = 0
        for frame in sample:
            place = tree.below(place, frame)
        tree.add(place, weight)


def _add_events(tree: _Tree, profile: Evented) -> None:
    place, before = 0, Fraction()
    for event in profile.events:
        at = _exact(event.at)
        if place:
            if at < before:
                raise ReadError(1, f"has events whose times fall, at {event.at}")
            tree.weights[place] += at - before
        before = at
        if event.begins:
            place = tree.below(place, event.frame)
            continue
        parent, frame = tree.parents[place]
        if frame != event.frame:
            raise ReadError(1, f"ends frame {event.frame} at {event.at} where another one runs")
        place = parent


def _matches(head: Head) -> bool:
    return _SCHEMA.match(head.text) is not None


FORMATS = (
    Format(
        name="speedscope",
        help="speedscope's JSON, sampled or evented, of py-spy, rbspy and our own export",
        example="kscope import profile app.speedscope.json --set process=app",
        matches=_matches,
        read=_read,
        rank=10,
        options=frozenset({"value", "root", "event", "frequency", "unit", "scale"}),
    ),
)
