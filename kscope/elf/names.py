"""Names of functions by virtual address, from all the places where a file can have them."""

import functools
import heapq
import itertools
from collections.abc import Iterator
from contextlib import suppress

from kscope.elf.debug_files import debug_images, mini_images
from kscope.elf.demangle import demangle
from kscope.elf.errors import ElfError
from kscope.elf.function_extents import Extent, FunctionExtents
from kscope.elf.go_functions import Function, GoFunctions
from kscope.elf.image import EXECUTABLE_SECTION, Image
from kscope.elf.symbol_index import SymbolIndex
from kscope.elf.symbol_table import Symbol, SymbolTable, best, symbol_tables

# Symbols of a file whose functions are listed. A browser with all its symbols has 600,000.
MAX_LISTED = 2_000_000


class FunctionNames:
    """The functions of one file. Nothing is read before the first question; damaged parts of the
    file count as missing ones.

    `path` is the file's path in the process, to find its debug file by: in the folder `root`, such
    as /proc/1/root, then on this machine.
    """

    def __init__(self, image: Image, path: str = "", root: str = "") -> None:
        self._image = image
        self._path = path
        self._root = root
        self._extents = FunctionExtents(image)
        self._go = GoFunctions(image, self._extents)
        # The last question and its answer: a name and a start are asked for one after the other.
        self._last: tuple[int, Function | None] = -1, None

    def name(self, address: int) -> str:
        """Return the demangled name of the function that holds the address, empty if unknown."""
        found = self._function(address)
        return demangle(found[2]) if found else ""

    def start(self, address: int) -> int | None:
        """Return where the function that holds the address starts, None if unknown."""
        if found := self._function(address):
            return found[0]
        extent = self._extents.before(address)
        return extent[0] if extent and address < extent[1] else None

    def symbols(self) -> Iterator[Function]:
        """Yield start, size and demangled name of each function, ascending by start.

        The size is 0 if the file does not say it. Raises ElfError if it has more than MAX_LISTED
        symbols.
        """
        index = SymbolIndex(self._tables(), *self._image.code, MAX_LISTED)
        if index.is_cut:
            raise ElfError(f"has more than {MAX_LISTED:,} symbols")
        own = self._go.all() if not index.is_full else iter(())
        for start, size, name in heapq.merge(_listed(index), own, key=lambda each: each[0]):
            yield start, size, demangle(name)

    def _function(self, address: int) -> Function | None:
        last = self._last
        if last[0] != address:
            last = self._last = address, self._found(address)
        return last[1]

    def _found(self, address: int) -> Function | None:
        with suppress(ElfError):
            if found := self._symbol(address) or self._behind(address):
                return found.address, found.size, found.name
        return self._go.function(address)

    def _behind(self, address: int) -> Symbol | None:
        """Return the function that starts at the next address, if its rules start at this one.

        Nothing calls `__restore_rt` of libc: its rules hold for the place of a call in front of it.
        """
        extent = self._extents.before(address)
        found = self._symbol(address + 1) if extent and extent[0] == address else None
        return found if found and found.address == address + 1 else None

    def _symbol(self, address: int) -> Symbol | None:
        """Return the nearest function that holds the address, else the label before it.

        Raises ElfError.
        """
        nearest: list[Symbol] = []
        extent = None
        for symbols in self._index.before(address):
            if covering := [each for each in symbols if each.covers(address)]:
                return best(covering)
            if not nearest:
                nearest, extent = symbols, self._extents.before(address)
            if extent and symbols[0].address < extent[0]:
                break
        return self._unsized(nearest, address, extent)

    def _unsized(self, nearest: list[Symbol], address: int, extent: Extent | None) -> Symbol | None:
        """Return the best of the symbols before an address if all are without a size, as those of
        assembler code, and nothing shows that another function is in between.
        """
        if not nearest or any(each.is_function and each.size for each in nearest):
            return None
        label = best(nearest)
        if not self._in_one_section(label.address, address):
            return None
        if extent and address < extent[1]:
            return label if extent[0] <= label.address else None
        # Tables for the dynamic linker do not have the functions in between.
        behind = extent is None or extent[1] <= label.address
        return label if behind and self._index.is_full else None

    def _in_one_section(self, one: int, other: int) -> bool:
        return any(
            each.address <= min(one, other) and max(one, other) < each.address + each.size
            for each in self._image.sections
            if each.flags & EXECUTABLE_SECTION
        )

    @functools.cached_property
    def _index(self) -> SymbolIndex:
        return SymbolIndex(self._tables(), *self._image.code)

    def _tables(self) -> list[SymbolTable]:
        """Return the file's own tables and, if none has all functions, those of its debug file."""
        found = [*symbol_tables(self._image)]
        if not any(each.is_full for each in found):
            others = debug_images(self._image, self._path, self._root)
            for image in itertools.chain(others, mini_images(self._image)):
                if full := [each for each in symbol_tables(image) if each.is_full]:
                    return found + full
        return found


def _listed(index: SymbolIndex) -> Iterator[Function]:
    """Yield functions, and labels that are in no function."""
    end = 0
    with suppress(ElfError):
        for each in index.by_address():
            if each.is_function or each.address >= end:
                yield each.address, each.size if each.is_function else 0, each.name
                end = max(end, each.address + each.size)
