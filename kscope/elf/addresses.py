"""Where the variables and functions of given names lie in an ELF file."""

from collections.abc import Collection
from itertools import islice

from kscope.elf.image import Image
from kscope.elf.symbol_table import Symbol, symbol_tables

_MAX_TABLES = 4


def addresses(image: Image, names: Collection[str]) -> dict[str, Symbol]:
    """Return the symbols of the names that a file defines. Raises ElfError.

    `.dynsym` has them in most files, and is smaller; `.symtab` is read for names missing there.
    """
    found: dict[str, Symbol] = {}
    tables = [*islice(symbol_tables(image), _MAX_TABLES)]
    for table in sorted(tables, key=lambda each: each.is_full):
        if missing := [name for name in names if name not in found]:
            found |= table.named(missing)
    return found
