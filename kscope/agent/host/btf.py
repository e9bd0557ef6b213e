"""The enums of the running kernel, by name, from its BTF."""

import functools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from kscope.errors import KscopeError, did_you_mean

VMLINUX = Path("/sys/kernel/btf/vmlinux")
_MAGIC = 0xEB9F
_MOST_BYTES = 256 * 1024 * 1024
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_ENUM, _ENUM64 = 6, 19
# The bytes that follow a type, by kind: so many, and so many for each of its members.
_FIXED = {1: 4, 3: 12, 14: 4, 17: 4}
_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_KINDS = 20
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
    at = 0
    while at < len(section):
        name, info, _ = _TYPE.unpack_from(section, at)
        kind, members, signed = info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31)
        if not 0 < kind < _KINDS:
            raise ValueError(f"type {kind} is unknown")
        at += _TYPE.size
        size = _FIXED.get(kind, 0) + _EACH.get(kind, 0) * members
        if kind in {_ENUM, _ENUM64}:
            words = section[at : at + size]
            yield _text(strings, name), _words(words, strings, wide=kind == _ENUM64, signed=signed)
        at += size


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
