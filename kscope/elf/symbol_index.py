"""Symbols of several tables by address: 8 bytes of memory for each, the rest stays in the files."""

import itertools
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress

from kscope.elf.errors import ElfError
from kscope.elf.symbol_table import ADDRESS_SHIFT, Symbol, SymbolTable, best

# A key has 32 bits of address, above the start of the code, 2 of table and 30 of place in it.
_TABLE_SHIFT = 30
_PLACE = (1 << _TABLE_SHIFT) - 1
_MAX_TABLES = 4
# They take 8 MB. Node's and MariaDB's tables have 153,000 and 21,000.
MAX_SYMBOLS = 1_000_000
MAX_CODE = 1 << ADDRESS_SHIFT
# Every so many keys are a sample, and the keys between so many samples are sorted at once.
_SAMPLED, _SORTED_SAMPLES = 1024, 32
# Assembler code has functions in functions, and a linker that folds equal functions leaves many
# names at one address: so many symbols before an address are read.
MOST_BEFORE = 64


class SymbolIndex:
    """The symbols between two addresses. `is_full` says that the local functions are among them,
    `is_cut` that there are more symbols than were read.
    """

    def __init__(
        self, tables: Sequence[SymbolTable], start: int, end: int, most: int = MAX_SYMBOLS
    ) -> None:
        """Read four tables, and `most` symbols, at most. Damaged ones count as missing."""
        self._tables = tables[:_MAX_TABLES]
        self._most = most
        self.is_full = False
        self.is_cut = False
        self._start = start
        self._keys = _merged(self._read(min(end, start + MAX_CODE)))

    def before(self, address: int) -> Iterator[list[Symbol]]:
        """Yield the symbols at one address at or before this one, then those at the one before
        them, and so on. Raises ElfError.
        """
        key = (address - self._start + 1) << ADDRESS_SHIFT
        last = bisect_left(self._keys, key) if key > 0 else 0
        symbols = map(self._symbol, reversed(self._keys[max(last - MOST_BEFORE, 0) : last]))
        for _, group in itertools.groupby(symbols, lambda symbol: symbol.address):
            yield [*group]

    def by_address(self) -> Iterator[Symbol]:
        """Yield the best symbol at each address, ascending. Raises ElfError."""
        groups = itertools.groupby(map(self._symbol, self._keys), lambda symbol: symbol.address)
        for _, group in groups:
            yield best([*itertools.islice(group, MOST_BEFORE)])

    def _symbol(self, key: int) -> Symbol:
        return self._tables[key >> _TABLE_SHIFT & _MAX_TABLES - 1].symbol(key & _PLACE)

    def _read(self, end: int) -> list["array[int]"]:
        """Return the keys in sorted parts. Sets `is_full` and `is_cut`."""
        parts: list[array[int]] = []
        left = self._most
        for number, table in enumerate(self._tables):
            with suppress(ElfError):
                for keys in table.keys(self._start, end, number << _TABLE_SHIFT):
                    parts.append(array("Q", sorted(keys[:left])))
                    if len(keys) > left:
                        self.is_cut = True
                        return parts
                    left -= len(keys)
                self.is_full |= table.is_full
                self.is_cut |= table.is_cut
        return parts


def _merged(parts: Sequence["array[int]"]) -> "array[int]":
    """Return all keys of sorted parts in one sorted array. Only some of them are in a list at once,
    since a list takes five times the memory.
    """
    samples = sorted(itertools.chain.from_iterable(part[::_SAMPLED] for part in parts))
    merged = array("Q")
    for low, high in itertools.pairwise([*samples[::_SORTED_SAMPLES], 1 << 64]):
        within = (part[bisect_left(part, low) : bisect_left(part, high)] for part in parts)
        merged.extend(sorted(itertools.chain.from_iterable(within)))
    return merged
