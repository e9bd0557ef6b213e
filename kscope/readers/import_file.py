"""A file of one of the formats, as rows."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kscope.errors import KscopeError
from kscope.readers.base import ReadError, target
from kscope.readers.folded import folded
from kscope.readers.ndjson import ndjson
from kscope.readers.perf_script import perf_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kscope.declare.model import Category
    from kscope.readers.base import Line

FORMATS = ("folded", "perf", "ndjson")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class ImportFile:
    """`value` and `root` name columns for stacks, see base.target."""

    file: str
    form: str
    category: Category
    value: str = ""
    root: str | None = None
    copy: Path | None = None

    @contextmanager
    def kept(self) -> Iterator[ImportFile]:
        """The same, to be read twice: standard input is copied to a file where it must be."""
        if self.file != STDIN or self.form != "perf":
            yield self
            return
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield replace(self, copy=Path(copy.name))

    def lines(self) -> Iterator[Line]:
        """Read as it is asked for, whatever the file's size; KscopeError names file and line."""
        try:
            with self._open() as text:
                if self.form == "ndjson":
                    yield from ndjson(text)
                    return
                where = target(self.category, self.value, self.root)
                yield from (folded if self.form == "folded" else perf_script)(text, where)
        except ReadError as error:
            raise KscopeError(f"{self.file}:{error.number}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = "is cut off" if isinstance(error, EOFError) else "is not what gzip wrote"
            raise KscopeError(f"{self.file}: {said}: {error}") from None

    def length(self) -> float:
        """Seconds from the first row to the last; 0 where rows have no times of their own."""
        if self.form != "perf":
            return 0.0
        return max((line.at for line in self.lines()), default=0.0)

    def _open(self) -> IO[str]:
        # What is not UTF-8 in a symbol's name is shown as such, not lost with its row.
        if self.file == STDIN and self.copy is None:
            return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
        try:
            if self.copy is None and self.file.endswith(".gz"):
                return gzip.open(self.file, "rt", encoding="utf-8", errors="replace")
            return (self.copy or Path(self.file)).open(encoding="utf-8", errors="replace")
        except OSError as error:
            raise KscopeError(f"{self.file}: cannot be read: {error.strerror}") from None
