"""The tables of a pprof profile, and its samples as they refer to them."""

from collections.abc import Callable, Container, Generator, Iterator
from dataclasses import dataclass, field

from kscope.errors import KscopeError
from kscope.profiles.frames import TRUNCATED, UNKNOWN, clean, file_name, marked, without_name
from kscope.profiles.wire import BYTES, VARINT, Content, Field, fields, numbers, signed, text

Labels = dict[str, str | int]
# A sample's stack, root first, its values and its labels.
Raw = tuple[tuple[str, ...], list[int], Labels]

# Of one profile; the largest of a busy program have a tenth of these.
_MOST = {
    "sample types": 100,
    "samples": 500_000,
    "mappings": 100_000,
    "locations": 250_000,
    "functions": 250_000,
    "strings": 500_000,
    "lines": 1_000_000,
}
_LINES, _COMMENTS = 1000, 100
# Labels of one sample, and its locations and values if they are not packed.
_PARTS = 20_000
# Frames of one stack, and of all; what is nearer to the root is left out.
_DEEPEST, _FRAMES = 4096, 10_000_000
_LOCATIONS = 16_384
_FIELDS = 2_000_000
# Characters of a name, and of a label.
_NAME, _LABEL = 4096, 1024
# Bytes that an entry of a table uses beside its text.
_ENTRY = 150
_STEP = 5000
# An address below is that of a program that is not moved when it is loaded.
_FIXED = 2**32

_KINDS = {1: "sample types", 2: "samples", 3: "mappings", 4: "locations", 5: "functions",
          6: "strings"}  # fmt: skip


class PprofError(KscopeError):
    """A profile that cannot be read. The message is the fault, without the file's name."""


@dataclass(slots=True)
class Tables:
    """The tables of a profile, filled in this order: strings, mappings, functions, locations.

    `locations` holds the frames of each by its id, leaf first.
    """

    strings: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    sample_types: tuple[tuple[str, str], ...] = ()
    period_type: tuple[str, str] = ("", "")
    comments: tuple[str, ...] = ()
    mappings: dict[int, tuple[int, int, int, str]] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)
    locations: dict[int, tuple[str, ...]] = field(default_factory=dict)
    program: str = ""
    lines: int = 0

    def number(self, name: int) -> int:
        """Return a whole number of the profile itself by its field, 0 without it."""
        return signed(self.numbers.get(name, 0))

    def string(self, place: int) -> str:
        if place >= len(self.strings):
            raise PprofError(f"names string {place}, and has {len(self.strings)}")
        return self.strings[place]

    def text_at(self, name: int) -> str:
        place = self.numbers.get(name, 0)
        return self.string(place) if place else ""


def table_steps(content: Content, room: Callable[[int], None]) -> Generator[None, None, Tables]:
    """Return the tables, in steps. Raises PprofError or WireError."""
    found: dict[int, list[Field]] = {number: [] for number in (1, 3, 4, 5, 11, 13)}
    counts = dict.fromkeys(_KINDS, 0)
    tables = Tables()
    for done, each in enumerate(fields(content), 1):
        number, kind, start, end = each
        if done % _STEP == 0:
            yield
        if done > _FIELDS:
            raise PprofError(f"has more than {_FIELDS} fields")
        if number in counts:
            counts[number] += 1
            _check(counts[number], _KINDS[number])
        if number == 6:
            room(_ENTRY + end - start)
            tables.strings.append(text(content, each, _NAME))
        elif number in found:
            room(_ENTRY)
            found[number].append(each)
        elif kind == VARINT:
            tables.numbers[number] = start
    _check_start(tables, counts)
    yield from _fill(content, tables, found)
    return tables


def _check(count: int, kind: str) -> None:
    if count > _MOST[kind]:
        raise PprofError(f"has more than {_MOST[kind]} {kind}")


def _check_start(tables: Tables, counts: dict[int, int]) -> None:
    if not counts[1]:
        raise PprofError("has no sample types: it is not a pprof profile, or an empty one")
    if tables.strings[:1] != [""]:
        raise PprofError("has a table of strings that does not begin with an empty one")


def _fill(
    content: Content, tables: Tables, found: dict[int, list[Field]]
) -> Generator[None, None, None]:
    tables.sample_types = tuple(_value_type(content, tables, each) for each in found[1])
    for each in found[11]:
        tables.period_type = _value_type(content, tables, each)
    comments = [place for each in found[13] for place in numbers(content, each, _COMMENTS)]
    tables.comments = tuple(map(tables.string, comments[:_COMMENTS]))
    readers = ((3, _add_mapping), (5, _add_function), (4, _add_location))
    for number, add in readers:
        for done, each in enumerate(found[number], 1):
            add(content, tables, each)
            if done % _STEP == 0:
                yield
        found[number].clear()


def _message(content: Content, each: Field) -> Iterator[Field]:
    number, kind, start, end = each
    if kind != BYTES:
        raise PprofError(f"has a number in place of field {number}, at byte {end}")
    return fields(content, start, end)


def _members(content: Content, each: Field) -> dict[int, int]:
    """Return the numbers of a message without parts, by field."""
    return {number: value for number, kind, value, _ in _message(content, each) if kind == VARINT}


def _value_type(content: Content, tables: Tables, each: Field) -> tuple[str, str]:
    members = _members(content, each)
    return tables.string(members.get(1, 0)), tables.string(members.get(2, 0))


def _new_id(members: dict[int, int], known: Container[int], what: str) -> int:
    own = members.get(1, 0)
    if not own or own in known:
        raise PprofError(f"has two {what}s with id {own}" if own else f"has a {what} without an id")
    return own


def _add_mapping(content: Content, tables: Tables, each: Field) -> None:
    members = _members(content, each)
    own = _new_id(members, tables.mappings, "mapping")
    file = tables.string(members.get(5, 0))
    if not tables.mappings:
        tables.program = file_name(file)
    places = members.get(2, 0), members.get(3, 0), members.get(4, 0)
    tables.mappings[own] = (*places, file)


def _add_function(content: Content, tables: Tables, each: Field) -> None:
    members = _members(content, each)
    own = _new_id(members, tables.functions, "function")
    # The name as people read it, or else as the linker does.
    name = tables.string(members.get(2, 0)) or tables.string(members.get(3, 0))
    tables.functions[own] = clean(name) if name else ""


def _add_location(content: Content, tables: Tables, each: Field) -> None:
    members: dict[int, int] = {}
    names: list[str] = []
    for part in _message(content, each):
        number, kind, value, _ = part
        if number == 4:
            names.append(_line(content, tables, part))
        elif kind == VARINT:
            members[number] = value
        if len(names) > _LINES:
            raise PprofError(f"has a location with more than {_LINES} lines")
    own = _new_id(members, tables.locations, "location")
    tables.lines += len(names)
    _check(tables.lines, "lines")
    mapping = members.get(2, 0)
    if mapping and mapping not in tables.mappings:
        raise PprofError(f"has location {own} in mapping {mapping}, which is missing")
    start, limit, offset, file = tables.mappings.get(mapping, (0, 0, 0, ""))
    if any(names):
        frames = [marked(name or UNKNOWN, file, tables.program) for name in names]
    else:
        address = members.get(3, 0)
        moved = start >= _FIXED and start <= address < max(limit, start + 1)
        frames = [clean(without_name(file, address - start + offset if moved else address))]
    # The first line is the function that the compiler put into the others.
    tables.locations[own] = tuple(frames)


def _line(content: Content, tables: Tables, part: Field) -> str:
    function = _members(content, part).get(1, 0)
    if function and function not in tables.functions:
        raise PprofError(f"has a line of function {function}, which is missing")
    return tables.functions.get(function, "")


def samples_of(content: Content, tables: Tables) -> Iterator[Raw]:
    """Yield each sample. Raises PprofError or WireError."""
    room = _FRAMES
    for each in fields(content):
        if each[0] == 2:
            sample = _sample(content, tables, each)
            room -= len(sample[0])
            if room < 0:
                raise PprofError(f"has more than {_FRAMES} frames in all its stacks")
            yield sample


def _sample(content: Content, tables: Tables, each: Field) -> Raw:
    places: list[int] = []
    values: list[int] = []
    labels: Labels = {}
    for number, part in enumerate(_message(content, each)):
        if part[0] == 1:
            places += numbers(content, part, _LOCATIONS)
        elif part[0] == 2:
            values += numbers(content, part, _MOST["sample types"])
        elif part[0] == 3:
            _add_label(content, tables, part, labels)
        if number > _PARTS or len(places) > _LOCATIONS:
            raise PprofError(f"has a sample with more than {_LOCATIONS} locations, or many parts")
    if len(values) != len(tables.sample_types):
        types = len(tables.sample_types)
        raise PprofError(f"has a sample with {len(values)} values for {types} sample types")
    return _stack(tables, places), [signed(value) for value in values], labels


def _stack(tables: Tables, places: list[int]) -> tuple[str, ...]:
    frames: list[str] = []
    try:
        for place in places:
            frames.extend(tables.locations[place])
            if len(frames) > _DEEPEST:
                frames[_DEEPEST - 1 :] = [TRUNCATED]
                break
    except KeyError as error:
        raise PprofError(f"has a sample at location {error}, which is missing") from None
    return tuple(reversed(frames))


def _add_label(content: Content, tables: Tables, part: Field, labels: Labels) -> None:
    members = _members(content, part)
    name = tables.string(members.get(1, 0))[:_LABEL]
    if name:
        word = tables.string(members.get(2, 0))[:_LABEL]
        labels[name] = word or signed(members.get(3, 0))
