"""The bytes of a file: decompressed by their content, bounded, and read as often as needed."""

import bz2
import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from kscope.errors import KscopeError
from kscope.readers.reading.base import LONGEST_LINE, Head, Skipped

_MAGIC = 8
_HEAD = 64 * 1024
_CHUNK = 1024 * 1024
_BUFFER = 128 * 1024
_BOM = codecs.BOM_UTF8


# A stream of each kind is opened by the bytes that it starts with.
_Opener = Callable[[BinaryIO], Any]
_COMPRESSED: tuple[tuple[bytes, str, _Opener], ...] = (
    (b"\x1f\x8b", "gzip", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", "bzip2", bz2.BZ2File),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd",
        # Blocks of more memory than this are no recording's.
        lambda file: zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
            file, read_across_frames=True
        ),
    ),
)
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, OSError)


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file at `path`, named `name` in messages. Raises KscopeError for what cannot be read.

    `watch` is called, each time that some of the file was read, with the number of bytes so far.
    """

    path: Path
    name: str
    watch: Callable[[int], object] = lambda _: None

    def lines(self, skipped: Skipped, longest: int = LONGEST_LINE) -> Iterator[tuple[int, str]]:
        """Yield the lines; one that is too long is skipped, and counted."""
        with self._open() as file:
            buffered: Any = io.BufferedReader(file)
            yield from text_lines(buffered, skipped, longest)

    def whole(self, limit: int) -> bytes:
        """Return all bytes. Raises KscopeError if there are more than `limit`."""
        with self._open() as file:
            content = _read_up_to(file, limit + 1)
        if len(content) > limit:
            raise KscopeError(f"{self.name}: has more than {limit >> 20} MiB; split it")
        return content

    def head(self) -> Head:
        """Return the beginning, by which the format is found."""
        with self._open() as file:
            raw, most = _read_up_to(file, _HEAD + 1), _HEAD
            if b"\n" not in raw:
                # The first line of a deep stack is longer.
                raw, most = raw + _read_up_to(file, LONGEST_LINE), LONGEST_LINE
        text = raw[:most].removeprefix(_BOM).decode("utf-8", "replace")
        return Head(raw[:most], text, len(raw) <= most)

    def identity(self) -> str:
        """Return a hash of the bytes, which does not depend on their compression."""
        digest = blake2b(digest_size=16)
        with self._open() as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        try:
            raw = io.BufferedReader(_Watched(self.path, self.watch), _BUFFER)
        except OSError as error:
            raise KscopeError(f"{self.name}: cannot be read: {error.strerror}") from None
        with raw:
            start = raw.peek(_MAGIC)[:_MAGIC]
            found = next((each for each in _COMPRESSED if start.startswith(each[0])), None)
            if found is None and self.path.suffix == ".gz":
                raise KscopeError(
                    f"{self.name}: is not what gzip wrote: it starts with other bytes"
                )
            if found is None:
                yield raw
                return
            _, program, opener = found
            try:
                yield opener(raw)
            except EOFError as error:
                raise KscopeError(f"{self.name}: is cut off: {error}") from None
            except _DAMAGED as error:
                raise KscopeError(f"{self.name}: is not what {program} wrote: {error}") from None


class _Watched(io.FileIO):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, watch: Callable[[int], object]) -> None:
        super().__init__(path)
        self._watch = watch

    def readinto(self, buffer: Any, /) -> int | None:
        read = super().readinto(buffer)
        self._watch(self.tell())
        return read


def _read_up_to(file: BinaryIO, limit: int) -> bytes:
    pieces = []
    while limit > 0 and (piece := file.read(min(limit, _CHUNK))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def text_lines(
    file: BinaryIO, skipped: Skipped, longest: int = LONGEST_LINE
) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line; one that is too long is skipped.

    A symbol that is not UTF-8 is shown with replacement characters, and its row is kept.
    """
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest and not line.endswith(b"\n"):
            skipped.add(number, f"longer than {longest >> 20} MiB")
            while not line.endswith(b"\n") and (line := file.readline(LONGEST_LINE)):
                pass
            continue
        text = line.removeprefix(_BOM) if number == 1 else line
        yield number, text.decode("utf-8", "replace").rstrip("\r\n")
