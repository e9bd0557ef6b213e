"""The enums and structs of the running kernel, by name, from its BTF."""

import functools
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kscope.errors import KscopeError, did_you_mean

VMLINUX = Path("/sys/kernel/btf/vmlinux")
_MAGIC = 0xEB9F
_MOST_BYTES = 256 * 1024 * 1024
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_ENUM, _ENUM64 = 6, 19
_STRUCT, _UNION = 4, 5
_FUNCTION = 12
_MEMBER = struct.Struct("=III")
_NAMES_ANOTHER = frozenset({8, 9, 10, 11})  # typedef, volatile, const, restrict
# The bytes that follow a type, by kind: so many, and so many for each of its members.
_FIXED = {1: 4, 3: 12, 14: 4, 17: 4}
_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_KINDS = 20
_DEEPEST = 16
# How many letters of a mistyped name are taken to be right: a kernel has thousands of enums.
_ALIKE = 2


@functools.lru_cache(64)
def enum_words(name: str) -> Mapping[int, str]:
    """Return an enum's words by number; KscopeError if this kernel does not have the enum.

    The modules that are loaded are looked through if the kernel itself does not have it.
    """
    known, strings = _enums(VMLINUX)
    modules = sorted(set(VMLINUX.parent.iterdir()) - {VMLINUX})
    while name not in known and modules:
        known = _enums(modules.pop(0), strings)[0] | known
    if name not in known:
        similar = [each for each in known if each[:_ALIKE] == name[:_ALIKE]]
        hint = did_you_mean(name, similar)
        raise KscopeError(
            f"neither this kernel nor a loaded module has an enum '{name}'{hint}"
            + ("" if hint else ". List the words under names instead, or load its module.")
        )
    return known[name]


def _enums(path: Path, base: bytes = b"") -> tuple[dict[str, Mapping[int, str]], bytes]:
    """Return the words of each enum, and the strings of the file, which continue `base`."""
    found: dict[str, Mapping[int, str]] = {}
    try:
        types, strings = _sections(path.read_bytes())
        for name, words in _walk(types, base + strings):
            if name:
                found.setdefault(name, words)
    except OSError as error:
        why = f"enums are read from the kernel's BTF, and {path} cannot be read ({error.strerror})"
    except (struct.error, ValueError) as error:
        why = f"{path} is not BTF ({error})"
    else:
        return found, strings
    raise KscopeError(f"{why}; list the words under names instead")


def _sections(data: bytes) -> tuple[memoryview, bytes]:
    """Return the types and the strings."""
    if len(data) > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
    magic, _, _, length, types, types_length, texts, texts_length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("it starts with other bytes")
    section = memoryview(data)[length + types : length + types + types_length]
    return section, data[length + texts : length + texts + texts_length]


def _walk(section: memoryview, strings: bytes) -> Iterator[tuple[str, Mapping[int, str]]]:
    for name, info, at, end in _types(section):
        kind = info >> 24 & 0x1F
        if not 0 < kind < _KINDS:
            raise ValueError(f"type {kind} is unknown")
        if kind in {_ENUM, _ENUM64}:
            words, signed = section[at + _TYPE.size : end], bool(info >> 31)
            yield _text(strings, name), _words(words, strings, wide=kind == _ENUM64, signed=signed)


def _words(members: memoryview, strings: bytes, *, wide: bool, signed: bool) -> dict[int, str]:
    """Return the words; a number whose highest bit is set has its word under both signs.

    Kernels before 6.0 do not say whether an enum is signed, and a field may have the other sign.
    """
    bits = 64 if wide else 32
    shape = f"={'II' if wide else 'I'}{'i' if signed else 'I'}"
    words: dict[int, str] = {}
    for name, *halves in struct.iter_unpack(shape, members):
        number = sum(half << 32 * place for place, half in enumerate(halves))
        words[_other_sign(number, bits)] = words[number] = _text(strings, name)
    return words


def _other_sign(number: int, bits: int) -> int:
    if number < 0:
        return number + (1 << bits)
    return number - (1 << bits) if number >> (bits - 1) else number


def _text(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    return strings[at : end if end >= 0 else len(strings)].decode("utf-8", "replace")


def function_id(name: str) -> int:
    """Return the number of a function's type; 0 if the kernel has no such function, or no BTF."""
    try:
        types, strings = _sections(VMLINUX.read_bytes())
        wanted = strings.find(b"\0" + name.encode() + b"\0") + 1
        for number, (text, info, _, _) in enumerate(_types(types), 1):
            if info >> 24 & 0x1F == _FUNCTION and text == wanted > 0:
                return number
    except (OSError, struct.error, ValueError):
        return 0
    return 0


def _types(section: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield, for each type by its number: place of the name, info, first byte, and end."""
    at = 0
    while at < len(section):
        name, info, _ = _TYPE.unpack_from(section, at)
        kind = info >> 24 & 0x1F
        end = at + _TYPE.size + _FIXED.get(kind, 0) + _EACH.get(kind, 0) * (info & 0xFFFF)
        yield name, info, at, end
        at = end


def member_offsets(paths: Iterable[str]) -> dict[str, int]:
    """Return the offsets in bytes of members such as `mm_struct.context.vdso`, by path.

    Paths of members that this kernel does not have are left out. Raises KscopeError without BTF.
    """
    try:
        types, strings = _sections(VMLINUX.read_bytes())
        structs = _Structs(types, strings, {path.partition(".")[0] for path in paths})
        found = {path: structs.offset(path) for path in paths}
    except OSError as error:
        raise KscopeError(f"{VMLINUX} cannot be read ({error.strerror})") from None
    except (struct.error, ValueError, IndexError) as error:
        raise KscopeError(f"{VMLINUX} is not BTF ({error})") from None
    return {path: offset for path, offset in found.items() if offset is not None}


class _Structs:
    """Structs by name; `places` has the position of each type, by its number."""

    def __init__(self, section: memoryview, strings: bytes, wanted: set[str]) -> None:
        self._section, self._strings = section, strings
        places = {strings.find(b"\0" + name.encode() + b"\0"): name for name in wanted}
        # At -1 is a name that no type has; 0 would be that of every anonymous struct.
        names = {place + 1: name for place, name in places.items() if place >= 0}
        self._places = array("I", [0])
        self._named: dict[str, int] = {}
        for name, info, at, _ in _types(section):
            self._places.append(at)
            if info >> 24 & 0x1F == _STRUCT and name in names:
                self._named.setdefault(names[name], at)

    def offset(self, path: str) -> int | None:
        name, *members = path.split(".")
        place, total = self._named.get(name), 0
        for member in members:
            found = self._member(place, member) if place is not None else None
            if found is None:
                return None
            offset, kind = found
            total, place = total + offset, self._struct(kind)
        return total

    def _member(self, place: int, wanted: str, depth: int = 0) -> tuple[int, int] | None:
        """Return offset and type number of a member, also of one in an anonymous struct."""
        _, info, _ = _TYPE.unpack_from(self._section, place)
        for n in range(info & 0xFFFF):
            at = place + _TYPE.size + n * _MEMBER.size
            name, kind, bits = _MEMBER.unpack_from(self._section, at)
            offset = (bits & 0xFFFFFF if info >> 31 else bits) // 8
            if name and _text(self._strings, name) == wanted:
                return offset, kind
            inner = None if name or depth > _DEEPEST else self._struct(kind)
            if inner is not None and (found := self._member(inner, wanted, depth + 1)):
                return offset + found[0], found[1]
        return None

    def _struct(self, number: int) -> int | None:
        """Return the position of the struct or union that a type is, also by another name."""
        for _ in range(_DEEPEST):
            place = self._places[number]
            _, info, number = _TYPE.unpack_from(self._section, place)
            kind = info >> 24 & 0x1F
            if kind in {_STRUCT, _UNION}:
                return place
            if kind not in _NAMES_ANOTHER:
                return None
        return None
