"""The functions of a file as pages of a table: one page names the functions from an address on.

A look-up reads the page that an address is in, not the whole file: the names of a browser take
60 MB, those of a page 20 kB.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import zstandard

from kscope.errors import KscopeError, cut

# Address, size in bytes (0: unknown), name.
Function = tuple[int, int, str]

# Of one file. The largest browsers have 600,000.
MAX_FUNCTIONS = 2_000_000
# Of one file, before they are compressed; they are in memory together.
MAX_NAMES = 256 << 20
# Compressed, of one file.
MAX_BYTES = 64 << 20
_PER_PAGE = 256
_LEVEL = 6
_PAGE_BYTES = 48 * 1024
_MAX_NAME = 1000
_LARGEST = 2**32 - 1
_LAST_ADDRESS = 2**63 - 1
# Of a page when it is unpacked.
_MAX_PAGE = 1 << 20
# A function as it is packed, its name in UTF-8.
_Named = tuple[int, int, bytes]
# Frames of one text are joined with `;`.
_UNSAFE = str.maketrans({";": ":", **{chr(code): " " for code in (*range(32), 127)}})
_HEAD = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Page:
    """Functions from the address `first` on, packed."""

    first: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Symbols:
    """The functions of one file. `build` is its build id in hexadecimal."""

    build: str
    file: str
    functions: int
    pages: Sequence[Page]

    @property
    def bytes(self) -> int:
        return sum(len(page.content) for page in self.pages)


def packed(build: str, file: str, functions: Iterable[Function]) -> Symbols:
    """Pack the functions of a file, in any order.

    Raises KscopeError if there are more than MAX_FUNCTIONS, if their names have more than MAX_NAMES
    bytes, or if they take more than MAX_BYTES.
    """
    ordered = _ordered(functions)
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    pages: list[Page] = []
    size = 0
    for page in _cut(ordered):
        content = compressor.compress(_content(page))
        pages.append(Page(page[0][0], content))
        size += len(content)
        if size > MAX_BYTES:
            raise KscopeError(f"its names take more than {MAX_BYTES >> 20} MiB")
    return Symbols(build, file, len(ordered), pages)


def names(content: bytes, addresses: Iterable[int], first: int) -> list[str]:
    """Return the name of the function that each address is in, or an empty text.

    A function without a size has only its first address. Rules of code that nothing calls begin one
    byte before it: the address in front of a function is taken for its first one if it is in no
    other. Raises KscopeError for a damaged page.
    """
    try:
        is_whole = zstandard.frame_content_size(content) <= _MAX_PAGE
        raw = zstandard.ZstdDecompressor().decompress(content) if is_whole else b""
        (count,) = _HEAD.unpack_from(raw)
        starts, sizes, lengths = (_numbers(raw, 4 + 4 * count * part, count) for part in range(3))
        ends = [*accumulate(lengths)]
        text = memoryview(raw)[4 + 12 * count :]
        found = [_at(address - first, starts, sizes) for address in addresses]
        return [
            "" if at is None else str(text[ends[at - 1] if at else 0 : ends[at]], "utf-8")
            for at in found
        ]
    except (zstandard.ZstdError, struct.error, ValueError, IndexError):
        raise KscopeError("a page of the symbol table is damaged: add its file again") from None


def _at(offset: int, starts: Sequence[int], sizes: Sequence[int]) -> int | None:
    place = bisect_right(starts, offset) - 1
    if place >= 0 and offset - starts[place] < max(sizes[place], 1):
        return place
    is_in_front = place + 1 < len(starts) and starts[place + 1] == offset + 1
    return place + 1 if is_in_front else None


def _ordered(functions: Iterable[Function]) -> list[_Named]:
    """Sort by address. Of several names of one address the first with the largest size stays."""
    chosen: dict[int, _Named] = {}
    held = 0
    for address, size, given in functions:
        name = cut(given.translate(_UNSAFE).strip(), _MAX_NAME)
        if not name or not 0 <= address <= _LAST_ADDRESS:
            continue
        before = chosen.get(address)
        if before is None or min(size, _LARGEST) > before[1]:
            text = name.encode(errors="replace")
            chosen[address] = (address, max(0, min(size, _LARGEST)), text)
            held += len(text) - (len(before[2]) if before else 0)
        if len(chosen) > MAX_FUNCTIONS:
            raise KscopeError(f"it has more than {MAX_FUNCTIONS:,} functions")
        if held > MAX_NAMES:
            raise KscopeError(f"its names have more than {MAX_NAMES >> 20} MiB")
    return [chosen[address] for address in sorted(chosen)]


def _cut(ordered: Sequence[_Named]) -> Iterator[list[_Named]]:
    page: list[_Named] = []
    size = 0
    for function in ordered:
        length = len(function[2])
        is_full = len(page) == _PER_PAGE or size + length > _PAGE_BYTES
        if page and (is_full or function[0] - page[0][0] > _LARGEST):
            yield page
            page, size = [], 0
        page.append(function)
        size += length
    if page:
        yield page


def _content(page: Sequence[_Named]) -> bytes:
    first = page[0][0]
    numbers = array("I", [address - first for address, _, _ in page])
    numbers.extend(size for _, size, _ in page)
    texts = [name for _, _, name in page]
    numbers.extend(map(len, texts))
    return _HEAD.pack(len(page)) + _little_endian(numbers).tobytes() + b"".join(texts)


def _numbers(raw: bytes, start: int, count: int) -> Sequence[int]:
    numbers = array("I")
    numbers.frombytes(raw[start : start + 4 * count])
    return _little_endian(numbers)


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
