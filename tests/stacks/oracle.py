"""Which functions a file has: by binutils, which share no code with the agent."""

from __future__ import annotations

import bisect
import mmap
import re
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_DEBUG = Path("/usr/lib/debug/.build-id")
# The letters of nm for functions.
_CODE = "tTwWiuVv"
_PLACE = re.compile(rf"^([0-9a-f]+) [{_CODE}] (.+)$", re.MULTILINE)
_MAPPED = re.compile(r"(\w+)-(\w+) ..x. \S+ \S+ [1-9]\d* +(/.*?)(?: \(deleted\))?")


def plain(name: str) -> str:
    """Return a function's name without what tools and aliases add to it.

    `__GI___poll`, `poll@@GLIBC_2.2.5` and `poll` are one function; arguments, return types and
    the hashes of Rust are left out.
    """
    name = re.sub(r"@.*$|::h[0-9a-f]{16}(?=\.|$)|\[[0-9a-f]{6,}\]|\[clone .*?\]", "", name).strip()
    name = name.replace("(anonymous namespace)", "{anonymous}")
    if ".(" not in name and not name.startswith("<"):
        name = name.partition("(")[0]
        name = re.sub(r"^.* (?=[^ <>]+(<.*>)?$)", "", name)
    name = re.sub(r"\.(constprop|isra|part|cold|lto_priv|llvm|abi0)\b.*$", "", name)
    return re.sub(r"^_*(GI_)?_*", "", name).replace(" ", "")


def has_function(path: Path, name: str) -> bool:
    """Return whether a file or its debug file, if that is installed, has such a function."""
    try:
        return _has_function(_File(path), name)
    except OSError:
        return False


class _File:
    """A file, which is the same by whatever path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        status = path.stat()
        self._key = status.st_dev, status.st_ino

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _File) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@cache
def _has_function(file: _File, name: str) -> bool:
    texts = _names(file)
    ends = "\n(@ "
    if any(f" {name}{end}" in text for text in texts for end in ends):
        return True
    # Under another of its names. Only what holds the last word of the name is made plain: there
    # are files with 200,000 symbols.
    word = (re.findall(r"\w{2,}", plain(name)) or [name])[-1]
    return any(plain(line) == plain(name) for text in texts for line in _lines(text, word))


def _lines(text: str, word: str) -> Iterator[str]:
    """Yield the names, in the output of nm, that hold a word."""
    at = text.find(word)
    while at >= 0:
        end = text.find("\n", at)
        found = _PLACE.fullmatch(text[text.rfind("\n", 0, at) + 1 : end])
        if found:
            yield found[2]
        at = text.find(word, end) if end >= 0 else -1


@cache
def _names(file: _File) -> list[str]:
    debug = _debug_file(file.path)
    texts = [_nm(file.path, "-C"), _nm(file.path, "-D", "-C")]
    return [*texts, _nm(debug, "-C")] if debug else texts


def starts(path: Path) -> dict[int, str]:
    """Return the plain name of each function of a file that has symbols, by its address."""
    return {int(address, 16): plain(name) for address, name in _PLACE.findall(_nm(path, "-C"))}


def may_start(path: Path, address: int) -> bool:
    """Return whether a function may start at an address: `.eh_frame` has it at the start of one, or
    nowhere.
    """
    try:
        starts, sizes = _ranges(_File(path))
    except OSError:
        return True
    i = bisect.bisect_right(starts, address) - 1
    return i < 0 or address == starts[i] or address >= starts[i] + sizes[i]


@cache
def _ranges(file: _File) -> tuple[list[int], list[int]]:
    """Return the start and size of each function by the search table of `.eh_frame`, in order."""
    said = _asked("readelf", "-SW", str(file.path))
    found = re.search(r" \.eh_frame_hdr +PROGBITS +([0-9a-f]+) +([0-9a-f]+) +([0-9a-f]+)", said)
    if not found:
        return [], []
    address, offset, length = (int(number, 16) for number in found.groups())
    with file.path.open("rb") as data, mmap.mmap(data.fileno(), 0, prot=mmap.PROT_READ) as all_:
        # As all linkers write it: places are four bytes, beside the section's own address.
        assert all_[offset : offset + 4] == b"\x01\x1b\x03\x3b"
        places = list(struct.iter_unpack("<ii", all_[offset + 12 : offset + length // 8 * 8 + 4]))
        entries = (offset + entry for _, entry in places)
        sizes = [struct.unpack_from("<I", all_, entry + 12)[0] for entry in entries]
    return [address + start for start, _ in places], sizes


def entry(path: Path) -> int:
    """Return the address at which the program in a file starts."""
    return _entry(_File(path))


@cache
def _entry(file: _File) -> int:
    said = _asked("readelf", "-hW", str(file.path))
    found = re.search(r"Entry point address: +0x([0-9a-f]+)", said)
    return int(found[1], 16) if found else 0


def files(pid: int) -> dict[str, Path]:
    """Return the files whose code a process has mapped, by the last part of their names."""
    found = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            mapped = _MAPPED.fullmatch(line)
            if mapped:
                start, end = (number.lstrip("0") for number in mapped.group(1, 2))
                found[Path(mapped[3]).name] = Path(f"/proc/{pid}/map_files/{start}-{end}")
    return found


def _nm(path: Path, *options: str) -> str:
    return _asked("nm", "--defined-only", *options, str(path))


def _debug_file(path: Path) -> Path | None:
    found = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", _asked("readelf", "-nW", str(path)))
    debug = _DEBUG / found[1] / f"{found[2]}.debug" if found else None
    return debug if debug and debug.is_file() and debug != path else None


def _asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode(errors="replace")
