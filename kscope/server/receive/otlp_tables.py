"""The dictionary of OpenTelemetry's profiles, each reference checked, as stacks and attributes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from kscope.profiles.frames import KERNEL, TRUNCATED, UNKNOWN, clean, marked, without_name
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.receive.gather import Room
from kscope.server.receive.otlp_messages import (
    AnyValue,
    Attribute,
    Dictionary,
    KeyValue,
    Location,
    Mapping_,
)

T = TypeVar("T")
Value = str | int

# Frames of one stack, and of all.
_DEEPEST, _FRAMES = 4096, 10_000_000
_LINES = 1000
_STEP = 1000
_LABEL = 1024
_FRAME_TYPE, _BUILD_ID = "profile.frame.type", "process.executable.build_id.gnu"
_LONGEST_BUILD_ID = 128


@dataclass
class Tables:
    """The tables that samples refer to. An attribute of None is not set; stacks are root first."""

    strings: Sequence[str]
    attributes: list[tuple[str, Value] | None] = field(default_factory=list)
    stacks: list[tuple[str, ...]] = field(default_factory=list)
    links: int = 0

    def string(self, place: int) -> str:
        return at(self.strings, place, "string_table", "a name") if place else ""

    def labels(self, places: Iterable[int], where: str) -> dict[str, Value]:
        """Return the attributes at these places. Raises HttpProblem."""
        found = (at(self.attributes, place, "attribute_table", where) for place in places if place)
        return dict(each for each in found if each)

    def named(self, attributes: Iterable[KeyValue]) -> dict[str, Value]:
        """Return the attributes of a resource or a scope."""
        found = {}
        for each in attributes:
            key = each.key or self.string(each.key_strindex)
            value = self.value(each.value)
            if key and value is not None:
                found[key] = value
        return found

    def value(self, value: AnyValue | None) -> Value | None:
        """Return a text or a number; None for lists and other values."""
        if value is None:
            return None
        if value.string_value_strindex:
            return self.string(value.string_value_strindex)[:_LABEL]
        for found in (value.string_value, value.int_value, value.bool_value, value.double_value):
            if not isinstance(found, msgspec.UnsetType):
                return found[:_LABEL] if isinstance(found, str) else _number(found)
        return None


def _number(value: float) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int) else str(value)


def at(table: Sequence[T], place: int, name: str, where: str) -> T:
    """Return the entry of a table. Raises HttpProblem if it has none there."""
    if not 0 <= place < len(table):
        raise HttpProblem(
            400,
            f"{where} refers to entry {place} of {name}, which has {len(table)}. Is it of another"
            " release of the protocol?",
        )
    return table[place]


def tables(dictionary: Dictionary, room: Room) -> Steps[Tables]:
    """Return the checked tables, in steps. Raises HttpProblem."""
    if dictionary.string_table[:1] not in ([], [""]):
        raise HttpProblem(400, "string_table does not begin with an empty text")
    found = Tables(dictionary.string_table, links=len(dictionary.link_table))
    for number, each in enumerate(dictionary.attribute_table):
        found.attributes.append(_attribute(found, each))
        if number % _STEP == 0:
            yield Lane.GOOD
    files = [_file(found, each) for each in dictionary.mapping_table]
    functions = [
        found.string(each.name_strindex) or found.string(each.system_name_strindex)
        for each in dictionary.function_table
    ]
    locations = []
    for number, location in enumerate(dictionary.location_table):
        locations.append(_frames(found, files, functions, location, number))
        if number % _STEP == 0:
            yield Lane.GOOD
    left = _FRAMES
    for number, stack in enumerate(dictionary.stack_table):
        frames = _stack(locations, stack.location_indices, number)
        left -= len(frames)
        if left < 0:
            raise HttpProblem(413, f"more than {_FRAMES} frames in all stacks: send fewer samples")
        room(8 * len(frames))
        found.stacks.append(frames)
        if left % 64 == 0 or len(frames) > _STEP or number % _STEP == 0:
            yield Lane.GOOD
    return found


def _attribute(found: Tables, each: Attribute) -> tuple[str, Value] | None:
    key, value = found.string(each.key_strindex), found.value(each.value)
    return (key, value) if key and value is not None else None


def _file(found: Tables, mapping: Mapping_) -> tuple[str, str]:
    """Return the path of a mapped file, and its build id, which may be empty."""
    labels: Mapping[str, Any] = found.labels(mapping.attribute_indices, "a mapping")
    build = str(labels.get(_BUILD_ID, ""))[:_LONGEST_BUILD_ID].lower()
    is_hex = len(build) % 2 == 0 and not build.strip("0123456789abcdef")
    return found.string(mapping.filename_strindex), build if is_hex else ""


def _frames(
    found: Tables,
    files: Sequence[tuple[str, str]],
    functions: Sequence[str],
    location: Location,
    number: int,
) -> tuple[str, ...]:
    """Return the frames of a location, the innermost first."""
    where = f"location {number}"
    place = location.mapping_index
    file, build = at(files, place, "mapping_table", where) if place else ("", "")
    if len(location.lines) > _LINES:
        raise HttpProblem(400, f"{where} has more than {_LINES} lines")
    is_kernel = found.labels(location.attribute_indices, where).get(_FRAME_TYPE) == "kernel"
    names = [
        at(functions, line.function_index, "function_table", where) if line.function_index else ""
        for line in location.lines
    ]
    if any(names):
        frames = [
            marked(clean(name or UNKNOWN), "[kernel]" if is_kernel else file) for name in names
        ]
    else:
        frame = clean(without_name(file, location.address))
        named_later = build and location.address and file and not is_kernel
        frames = [f"{frame}@{build}" if named_later else frame + (KERNEL if is_kernel else "")]
    return tuple(frames)


def _stack(
    locations: Sequence[tuple[str, ...]], places: Sequence[int], number: int
) -> tuple[str, ...]:
    frames: list[str] = []
    for place in places:
        frames.extend(at(locations, place, "location_table", f"stack {number}"))
        if len(frames) > _DEEPEST:
            frames[_DEEPEST - 1 :] = [TRUNCATED]
            break
    return tuple(reversed(frames))
