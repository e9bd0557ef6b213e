"""The keys of a map's entry, which bpftrace joins without escapes, and the columns they fill."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.errors import KscopeError, UsageError
from kscope.profiles.frames import UNKNOWN
from kscope.readers.tools.frames import is_kernel, kernel, marked, named, without_tracer

# An indented line is a frame.
_STACK = re.compile(r"(\n(?:[ \t]+[^\n]*(?:\n|\Z))+)")
# As ustack(perf) prints it: address, name, file.
_PERF = re.compile(r"(?P<address>[0-9a-f]+) (?P<name>.+) \((?P<file>.*)\)", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-f]+", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
_MOST_KEYS = 50
_NONE = "-"
# Names of keys in scripts, and the columns.
_ALIASES = {"comm": "process", "execname": "process", "kstack": "", "ustack": "", "stack": ""}


class KeysError(KscopeError):
    """The keys of an entry do not fit the columns."""


@dataclass(frozen=True, slots=True)
class Part:
    """One key: the frames of a stack, the innermost first, or a text."""

    text: str = ""
    frames: tuple[str, ...] | None = None

    @property
    def whole(self) -> bool:
        return self.frames is None and _INTEGER.fullmatch(self.text) is not None

    @property
    def empty(self) -> bool:
        return self.frames is None and not self.text


@dataclass(slots=True)
class Filled:
    """The columns that the keys of an entry fill; `frames` have the innermost first."""

    frames: list[str] = field(default_factory=list)
    has_stack: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    # The column of each key, for the user.
    names: list[str] = field(default_factory=list)


def parts_of(keys: str | None, separator: str) -> list[Part]:
    """Divide joined keys: stacks are whole, other keys are divided at each separator."""
    if keys is None:
        return []
    pieces = _STACK.split(keys)
    found: list[Part] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            found.append(Part(frames=tuple(_frame(line) for line in piece.split("\n") if line)))
        else:
            sides = place > 0, place + 1 < len(pieces)
            found += map(Part, _without_brackets(_texts(piece, separator, sides)))
    return found


def _without_brackets(texts: list[str]) -> list[str]:
    """Return keys without the brackets of a tuple: `(read` and `bash)`. A name may have both."""
    opened = -1
    for place, text in enumerate(texts):
        more = text.count("(") - text.count(")")
        if text.startswith("(") and more > 0:
            opened = place
        elif opened >= 0 and text.endswith(")") and more < 0:
            texts[opened], texts[place] = texts[opened][1:], text[:-1]
            opened = -1
    return texts


def _texts(piece: str, separator: str, sides: tuple[bool, bool]) -> list[str]:
    """Return the texts of a piece, which is behind a stack, before one, or both."""
    joint, (behind, before) = separator.strip(), sides
    if not piece.strip() and (behind or before):
        return []
    if behind and before and piece.strip() == joint:
        return []
    if behind:
        piece = piece.strip("\n").removeprefix(joint).removeprefix(separator[len(joint) :])
    if before:
        piece = piece.rstrip(" ").removesuffix(joint)
    return piece.split(separator)


def _frame(line: str) -> str:
    perf = _PERF.fullmatch(line.strip())
    name = named(perf["name"] if perf else line)
    name = UNKNOWN if _ADDRESS.fullmatch(name) else name
    return kernel(name) if perf and perf["file"].startswith("[kernel") else name


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The columns for the keys of the maps. `given` are those that a user named."""

    category: Category
    given: tuple[str, ...] = ()

    def filled(self, parts: Sequence[Part], separator: str) -> Filled:
        """Return the columns that an entry's keys fill. Raises KeysError."""
        if len(parts) > _MOST_KEYS:
            raise KeysError(f"has more than {_MOST_KEYS} keys")
        if self.given:
            return self._by_names(_joined(parts, len(self.given), separator))
        return self._by_kinds(parts)

    @property
    def stack(self) -> Column | None:
        return next(iter(self.category.with_role(Role.STACK)), None)

    def _by_names(self, parts: Sequence[Part]) -> Filled:
        filled, stacks = Filled(names=[*self.given]), []
        for name, part in zip(self.given, parts, strict=True):
            column = None if name == _NONE else named_column(self.category, name)
            if column and column.type.role is Role.STACK:
                frames = part.frames or ()
                stacks.append(_kernel_if(frames, whole=name == "kstack"))
            elif column:
                filled.values[column.name] = _value(column, part)
        filled.has_stack = bool(stacks)
        filled.frames = [frame for each in stacks for frame in without_tracer(each)]
        return filled

    def _by_kinds(self, parts: Sequence[Part]) -> Filled:
        filled = Filled()
        texts, numbers = _free(self.category)
        stacks: list[tuple[str, ...]] = []
        for part in parts:
            if part.frames is not None or (part.empty and self.stack):
                stacks.append(part.frames or ())
                filled.names.append("stack")
                continue
            free = numbers if part.whole and numbers else texts
            if not free:
                raise KeysError(
                    f"{_shown(part)} fits no column of {self.category.table}: name the column of "
                    "each key with --keys, - for none"
                )
            column = free.pop(0)
            filled.names.append(column.name)
            filled.values[column.name] = _value(column, part)
        filled.has_stack = bool(stacks)
        filled.frames = _in_order(stacks)
        return filled


def _joined(parts: Sequence[Part], wanted: int, separator: str) -> Sequence[Part]:
    """Put parts together that are one text with a separator, if only one can be. Or raise."""
    more = len(parts) - wanted
    if more == 0:
        return parts
    runs = [
        place
        for place in range(wanted)
        if more > 0
        and not any(each.frames or each.whole for each in parts[place : place + more + 1])
    ]
    if len(runs) != 1:
        raise KeysError(
            f"has {len(parts)} keys, and --keys names {wanted}: name each, - for none; a text that "
            f"holds {separator.strip()!r} is divided like two"
        )
    at = runs[0]
    whole = separator.join(each.text for each in parts[at : at + more + 1])
    return [*parts[:at], Part(whole), *parts[at + more + 1 :]]


def _free(category: Category) -> tuple[list[Column], list[Column]]:
    """Return the columns for texts and for numbers, in the order that they are filled in."""
    known = [each for each in category.columns if each.type.role in (Role.DIMENSION, Role.IDENTITY)]
    numbers = [each for each in known if each.type.storage is Storage.INTEGER]
    texts = [each for each in known if each.type.json["type"] == "string"]
    return _first(texts, ("process",)), _first(numbers, ("pid", "tid"))


def _first(columns: Iterable[Column], names: tuple[str, ...]) -> list[Column]:
    places = {name: place for place, name in enumerate(names)}
    return sorted(columns, key=lambda each: places.get(each.name, len(places)))


def _value(column: Column, part: Part) -> Any:
    text = part.text if part.frames is None else ";".join(reversed(part.frames))
    if column.type.storage is not Storage.INTEGER:
        return text
    if not _INTEGER.fullmatch(text):
        raise KeysError(f"{text[:40]!r} is not a number, as {column.name} is")
    return int(text)


def _in_order(stacks: list[tuple[str, ...]]) -> list[str]:
    """Return the frames of a kernel's stack before those of a program, in whichever order."""
    if len(stacks) == 2:
        first, second = stacks
        if is_kernel(second) and not is_kernel(first):
            first, second = second, first
        return [*without_tracer([*map(kernel, first)]), *second]
    return [
        frame
        for each in stacks
        for frame in without_tracer(_kernel_if(each, whole=is_kernel(each)))
    ]


def _kernel_if(frames: Sequence[str], *, whole: bool) -> Sequence[str]:
    return [*map(kernel, frames)] if whole else marked(frames)


def _shown(part: Part) -> str:
    return "a stack" if part.frames is not None else f"the key {part.text[:40]!r}"


def named_column(category: Category, name: str) -> Column:
    """Return the column of a name, or of a key as scripts call it. Raises UsageError."""
    wanted = _ALIASES.get(name, name)
    found = category.column(wanted) if wanted else next(iter(category.with_role(Role.STACK)), None)
    usable = (Role.DIMENSION, Role.IDENTITY, Role.STACK)
    if found is None or found.type.role not in usable:
        names = ", ".join(each.name for each in category.columns if each.type.role in usable)
        raise UsageError(f"--keys {name}: {category.table} has no such column; it has {names}")
    return found


def key_columns(category: Category, given: str) -> KeyColumns:
    """Return the columns that `--keys comm,pid,kstack` names. Raises UsageError."""
    names = tuple(each.strip() for each in given.split(",")) if given else ()
    known = [named_column(category, name) for name in names if name != _NONE]
    single = [each.name for each in known if each.type.role is not Role.STACK]
    if len(single) != len(set(single)):
        raise UsageError(f"--keys {given}: names a column twice")
    return KeyColumns(category, names)
