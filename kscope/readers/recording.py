"""A file of one of the formats, as rows."""

from __future__ import annotations

import gzip
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kscope.errors import KscopeError
from kscope.readers.base import target
from kscope.readers.folded import folded
from kscope.readers.ndjson import ndjson
from kscope.readers.perfscript import perf_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kscope.declare.model import Category
    from kscope.readers.base import Line

FORMATS = ("folded", "perf", "ndjson")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Recording:
    """`value` and `root` name columns for stacks, see base.target."""

    file: str
    form: str
    category: Category
    value: str = ""
    root: str | None = None

    def lines(self) -> Iterator[Line]:
        """Read as it is asked for, whatever the file's size; ReadError names the line."""
        with _open(self.file) as text:
            if self.form == "ndjson":
                yield from ndjson(text)
                return
            where = target(self.category, self.value, self.root)
            yield from (folded if self.form == "folded" else perf_script)(text, where)


def _open(file: str) -> IO[str]:
    # What is not UTF-8 in a symbol's name is shown as such, not lost with its row.
    if file == STDIN:
        return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
    try:
        if file.endswith(".gz"):
            return gzip.open(file, "rt", encoding="utf-8", errors="replace")
        return Path(file).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise KscopeError(f"{file}: cannot be read: {error.strerror}") from None
