"""How far a long import is, on standard error."""

import sys
import time
from dataclasses import dataclass, field

import click

from kscope.readers.importer import Importer

_EVERY = 0.2
_EVERY_IN_A_LOG = 10.0


@dataclass(slots=True)
class Progress:
    """One line that is written again on a terminal; in a log, a line every ten seconds."""

    file: str
    size: int
    _terminal: bool = field(default_factory=sys.stderr.isatty)
    _shown: float = field(default_factory=time.monotonic)
    _open: bool = False

    def show(self, importer: Importer) -> None:
        """Write the rows so far, and the lines that were skipped, if the last time is long ago."""
        every = _EVERY if self._terminal else _EVERY_IN_A_LOG
        if time.monotonic() - self._shown < every:
            return
        self._shown = time.monotonic()
        skipped = importer.reading.skipped.count
        left_out = f", {skipped} lines skipped" if skipped else ""
        text = f"{self.file}: {importer.rows} rows{left_out}, of {self.size / 2**20:.1f} MiB"
        if self._terminal:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            self._open = True
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        if self._open:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._open = False
