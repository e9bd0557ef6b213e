"""A file in one of the formats is read as rows."""

import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from kscope.declare.model import Category
from kscope.errors import KscopeError, UsageError
from kscope.readers.base import ImportColumns, Line, ReadError, import_columns
from kscope.readers.folded import folded
from kscope.readers.ndjson import ndjson
from kscope.readers.perf_script import perf_script

STDIN = "-"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format. `timed`: its rows have times, counted from the first row.

    `stacks`: a row is a stack, which fills the ImportColumns that `read` receives, and no others.
    """

    name: str
    endings: tuple[str, ...]
    read: Callable[[Iterable[str], Any], Iterator[Line]]
    timed: bool = False
    stacks: bool = True


FORMATS = {
    each.name: each
    for each in (
        FileFormat("folded", (".folded", ".txt"), folded),
        FileFormat("perf", (".perf", ".script"), perf_script, timed=True),
        FileFormat("ndjson", (".ndjson", ".jsonl"), ndjson, stacks=False),
    )
}


def format_of(file: str) -> FileFormat:
    """Return the format by the file's ending. Raises UsageError."""
    ending = Path(file.removesuffix(".gz")).suffix
    found = next((each for each in FORMATS.values() if ending in each.endings), None)
    if found is None:
        raise UsageError(f"{file}: name its format with --format {'|'.join(FORMATS)}")
    return found


@dataclass(frozen=True, slots=True)
class ImportFile:
    """`value` and `root` name columns for stacks, see base.import_columns."""

    file: str
    form: FileFormat
    category: Category
    value: str = ""
    root: str | None = None
    copy: Path | None = None

    @contextmanager
    def kept(self) -> "Iterator[ImportFile]":
        """Yield a file that can be read twice: standard input is copied if it must be."""
        if self.file != STDIN or not self.form.timed:
            yield self
            return
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield replace(self, copy=Path(copy.name))

    def lines(self) -> Iterator[Line]:
        """Read a row when it is needed, whatever the file's size; KscopeError names the line."""
        try:
            with self._open() as text:
                yield from self.form.read(text, self._columns())
        except ReadError as error:
            raise KscopeError(f"{self.file}:{error.number}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = "is cut off" if isinstance(error, EOFError) else "is not what gzip wrote"
            raise KscopeError(f"{self.file}: {said}: {error}") from None

    def length(self) -> float:
        """Return the seconds from the first row to the last; 0 if the format has no times."""
        return max((line.at for line in self.lines()), default=0.0) if self.form.timed else 0.0

    def _columns(self) -> ImportColumns | None:
        if not self.form.stacks:
            return None
        return import_columns(self.category, self.value, self.root)

    def _open(self) -> IO[str]:
        # A symbol that is not UTF-8 is shown with replacement characters, and its row is kept.
        if self.file == STDIN and self.copy is None:
            return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
        try:
            if self.copy is None and self.file.endswith(".gz"):
                return gzip.open(self.file, "rt", encoding="utf-8", errors="replace")
            return (self.copy or Path(self.file)).open(encoding="utf-8", errors="replace")
        except OSError as error:
            raise KscopeError(f"{self.file}: cannot be read: {error.strerror}") from None
