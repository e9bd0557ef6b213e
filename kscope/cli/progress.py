"""How far a long import is, on standard error."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from kscope.readers.importer import Importer

_EVERY = 0.2
_EVERY_IN_A_LOG = 10.0
_CLEAR = "\r\x1b[K"


def _size(file: str) -> int:
    """Return the bytes of a file, 0 if it is none that has a size."""
    with suppress(OSError):
        return Path(file).stat().st_size
    return 0


@dataclass(slots=True)
class Progress:
    """One line that is written again on a terminal; in a log, a line every ten seconds.

    An import reads a file first to see what it holds, and then to send its rows.
    """

    file: str
    importer: Importer | None = None
    _size: int = field(init=False)
    _terminal: bool = field(init=False)
    _shown: float = field(default_factory=time.monotonic)
    _open: bool = False

    def __post_init__(self) -> None:
        self._size = _size(self.file)
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def read(self, position: int) -> None:
        """Write how far the file was read, if the last time is long ago."""
        every = _EVERY if self._terminal else _EVERY_IN_A_LOG
        if time.monotonic() - self._shown < every:
            return
        self._shown = time.monotonic()
        text = f"{self.file}: {self._share(position)}{self._rows()}"
        click.echo(f"{_CLEAR}{text}" if self._terminal else text, nl=not self._terminal, err=True)
        self._open = self._terminal

    def end(self) -> None:
        """Remove the line from the terminal."""
        if self._open:
            click.echo(_CLEAR, nl=False, err=True)
            self._open = False

    def _share(self, position: int) -> str:
        if self._size:
            return f"{min(100, 100 * position // self._size)} % of {_told(self._size)}"
        return f"{_told(position)} so far"

    def _rows(self) -> str:
        if self.importer is None:
            return " read, to find what it holds"
        return f" sent, {self.importer.rows} rows{self.importer.reading.skipped}"


def _told(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
