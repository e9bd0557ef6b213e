"""The files that hold the symbols of a stripped file: found by build id or name, and checked."""

import lzma
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from kscope.elf.contents import FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import Image

DEBUG = PurePosixPath("/usr/lib/debug")
# A check sum is read at about 1 GB/s; a debug file with the right build id needs none.
MAX_CHECKED = 256 * 1024 * 1024
_CHECKED_AT_ONCE = 1024 * 1024
_MAX_LINK = 4096
# It stays in memory, unpacked. The other memory is that of xz while it unpacks.
MAX_MINI = 8 * 1024 * 1024
_MAX_PACKED_MINI = 4 * 1024 * 1024
_MAX_XZ_MEMORY = 32 * 1024 * 1024


def debug_images(image: Image, path: str, root: str) -> Iterator[Image]:
    """Yield debug files that belong to the file, which a process knows by `path`. They are looked
    for in the folder `root`, such as /proc/1/root, then on this machine.
    """
    roots = (root, "") if root else ("",)
    for folder in roots:
        for name in _by_build_id(image.build_id):
            with suppress(ElfError):
                found = Image(FileContents(name, folder))
                if found.build_id == image.build_id:
                    yield found
    link, checksum = _debug_link(image)
    for folder in roots:
        for name in _by_link(link, path):
            with suppress(ElfError):
                found = Image(FileContents(name, folder))
                if _belongs(found, image, checksum):
                    yield found


def mini_images(image: Image) -> Iterator[Image]:
    """Yield the small symbol file that Fedora packs into its files, if there is a sound one."""
    with suppress(ElfError, lzma.LZMAError):
        found = image.find(".gnu_debugdata")
        if found and found.size <= _MAX_PACKED_MINI:
            packed = image.read(found.offset, found.size)
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MAX_XZ_MEMORY)
            yield Image(unpacker.decompress(packed, MAX_MINI))


def _by_build_id(build_id: str) -> Iterator[str]:
    if len(build_id) > 2:
        yield f"{DEBUG}/.build-id/{build_id[:2]}/{build_id[2:]}.debug"


def _by_link(link: str, path: str) -> Iterator[str]:
    folder = PurePosixPath(path).parent
    if link and "/" not in link and folder.is_absolute():
        for place in (folder, folder / ".debug", DEBUG / folder.relative_to("/")):
            if str(place / link) != path:
                yield str(place / link)


def _debug_link(image: Image) -> tuple[str, int]:
    """Return the name and the check sum that .gnu_debuglink has, ("", 0) without."""
    with suppress(ElfError):
        found = image.find(".gnu_debuglink")
        if found and found.size <= _MAX_LINK:
            data = bytes(image.read(found.offset, found.size))
            name, end, _ = data.partition(b"\0")
            if end and len(data) >= len(name) + 5:
                return name.decode("utf-8", "replace"), int.from_bytes(data[-4:], "little")
    return "", 0


def _belongs(found: Image, image: Image, checksum: int) -> bool:
    """Return whether a debug file has the right build id or, where one has none, check sum."""
    if found.build_id and image.build_id:
        return found.build_id == image.build_id
    if len(found.data) > MAX_CHECKED:
        return False
    actual = 0
    for start in range(0, len(found.data), _CHECKED_AT_ONCE):
        actual = zlib.crc32(found.data[start : start + _CHECKED_AT_ONCE], actual)
    return actual == checksum
