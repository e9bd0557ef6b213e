"""The standard output of every command."""

import io
import sys
from typing import Any

from kscope.errors import KscopeError


class _Output(io.RawIOBase):
    """End the command silently if the reader closes the pipe, as `head` does. A full disk or a
    closed output is an error. Each is reported once.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._ended = False

    def write(self, data: Any, /) -> int | None:
        if self._ended:
            return memoryview(data).nbytes
        if self._raw is None:
            self._ended = True
            raise KscopeError("standard output is closed")
        try:
            written: int | None = self._raw.write(data)
        except BrokenPipeError:
            self._ended = True
            sys.exit(0)
        except OSError as error:
            self._ended = True
            raise KscopeError(f"standard output: {error.strerror}") from None
        return written

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw is not None and bool(self._raw.isatty())

    def fileno(self) -> int:
        return int(self._raw.fileno()) if self._raw is not None else super().fileno()


def guard_output() -> None:
    """Replace sys.stdout with it."""
    given = sys.stdout
    if given is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Output(None)), "utf-8")
    elif isinstance(given, io.TextIOWrapper):
        output = _Output(getattr(given.buffer, "raw", given.buffer))
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(output),
            given.encoding,
            given.errors,
            line_buffering=given.line_buffering,
            write_through=given.write_through,
        )
