"""Speedscope's JSON, as py-spy, rbspy and our own export write it.

https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources
"""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import msgspec

from kscope.profiles.frames import UNKNOWN
from kscope.profiles.sample import Quantity, Sample, unit_of
from kscope.readers.reading.base import Format, Head, Line, ReadError, Reading

_MOST_BYTES = 128 * 1024 * 1024
_DEEPEST = 10_000
_OURS = "kernelscope"
_SCHEMA = re.compile(
    r'\s*\{.*("https?://www\.speedscope\.app/file-format-schema\.json"'
    r'|"shared"\s*:\s*\{\s*"frames"|"profiles"\s*:\s*\[\s*\{)',
    re.DOTALL,
)


class Frame(msgspec.Struct, frozen=True):
    """A frame; its file and line are left out, as other tools' frames are."""

    name: str


class Shared(msgspec.Struct, frozen=True):
    """The frames that all profiles refer to."""

    frames: list[Frame]


class Event(msgspec.Struct, frozen=True):
    """A frame begins (O) or ends (C) at a moment."""

    type: Literal["O", "C"]
    frame: int
    at: int | float


class Sampled(msgspec.Struct, frozen=True, tag="sampled"):
    """Stacks, the outermost frame first, and their weights."""

    name: str
    unit: str
    samples: list[list[int]]
    weights: list[int | float] = []


class Evented(msgspec.Struct, frozen=True, tag="evented"):
    """Frames that begin and end."""

    name: str
    unit: str
    events: list[Event]


class File(msgspec.Struct, frozen=True):
    """A file of profiles, often one per thread."""

    shared: Shared
    profiles: list[Sampled | Evented]
    exporter: str = ""
    activeProfileIndex: int | None = None  # noqa: N815 - speedscope's name


_FILE = msgspec.json.Decoder(File)


@dataclass(slots=True)
class _Tree:
    """Stacks as a tree: the place of a frame below another one, and its weight alone."""

    frames: Sequence[Frame]
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
            names.append(self.frames[frame].name or UNKNOWN)
        return names[::-1]


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row for each stack of each profile."""
    file = _decoded(reading)
    first = reading.options.root is not None or file.exporter == _OURS
    number = 0
    for profile in _chosen(reading, file):
        tree = _Tree(file.shared.frames)
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
        return _FILE.decode(reading.content.whole(_MOST_BYTES).removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ReadError(1, f"is not speedscope's JSON: {error}") from None


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
    active = file.activeProfileIndex or 0
    shown_first = file.profiles[active if 0 <= active < len(names) else 0]
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
        if event.type == "O":
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
