"""Where the variables and functions of given names lie in an ELF file."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kscope.elf.image import Image

# Symbol tables of larger programs are not searched for names.
_MAX_TABLE = 64 * 1024 * 1024
_MAX_PLACES = 64
_SYMBOL = struct.Struct("<IBBHQQ")
_UNDEFINED = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A virtual address, and a size in bytes, which is 0 if the file does not tell it."""

    address: int
    size: int


def addresses(image: Image, names: Collection[str]) -> dict[str, Symbol]:
    """Return the symbols of the names that a 64-bit file defines. Raises ElfError.

    `.dynsym` has them in most files, and is smaller; `.symtab` is read for names missing there.
    """
    found: dict[str, Symbol] = {}
    for table, strings in ((".dynsym", ".dynstr"), (".symtab", ".strtab")):
        missing = [name for name in names if name not in found]
        if missing and image.is_64:
            found |= _in_table(image, table, strings, missing)
    return found


def _in_table(image: Image, table: str, strings: str, names: Collection[str]) -> dict[str, Symbol]:
    sizes = [each.size for each in (image.find(table), image.find(strings)) if each]
    if len(sizes) < 2 or max(sizes) > _MAX_TABLE:
        return {}
    texts = bytes(image.section(strings))
    places = {place: name for name in names for place in _places(texts, name)}
    if not places:
        return {}
    symbols = image.section(table)
    whole = symbols[: len(symbols) // _SYMBOL.size * _SYMBOL.size]
    return {
        places[name]: Symbol(address, size)
        for name, _, _, section, address, size in _SYMBOL.iter_unpack(whole)
        if name in places and section != _UNDEFINED
    }


def _places(texts: bytes, name: str) -> Iterator[int]:
    """Yield where the name is among the strings, at the end of a longer one too, as linkers do."""
    needle, at = name.encode() + b"\0", -1
    for _ in range(_MAX_PLACES):
        at = texts.find(needle, at + 1)
        if at < 0:
            return
        yield at
