"""A recording in one of the formats, read as rows."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from kscope.declare.model import Category
from kscope.errors import KscopeError, UsageError
from kscope.readers.detect import format_of
from kscope.readers.reading.base import Format, Line, Options, ReadError, Reading, Survey
from kscope.readers.reading.content import FileContent

STDIN = "-"
_CHUNK = 64 * 1024


@contextmanager
def content_of(file: str, watch: Callable[[int], object] = lambda _: None) -> Iterator[FileContent]:
    """Yield the content of a file; a pipe, such as standard input, is copied to a file first.

    `watch` is called with the number of bytes that were read so far, in each pass.
    """
    path = Path(file)
    if file == STDIN and sys.stdin is None:
        raise KscopeError("standard input is closed")
    if file != STDIN and not (path.is_fifo() or path.is_char_device()):
        yield FileContent(path, file, watch)
        return
    with tempfile.NamedTemporaryFile() as copy:
        try:
            with nullcontext(sys.stdin.buffer) if file == STDIN else path.open("rb") as pipe:
                _copy(pipe, copy, watch)
        except OSError as error:
            raise KscopeError(
                f"{file}: cannot be copied to {tempfile.gettempdir()}: {error.strerror}"
            ) from None
        yield FileContent(Path(copy.name), file, watch)


def _copy(pipe: IO[bytes], file: IO[bytes], watch: Callable[[int], object]) -> None:
    while chunk := pipe.read(_CHUNK):
        file.write(chunk)
        watch(file.tell())
    file.flush()


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of one format for one category.

    `identity` is a hash of the content: the same recording has the same one, wherever it lies.
    """

    file: str
    content: FileContent
    form: Format
    category: Category
    options: Options
    identity: str
    survey: Survey = field(default=Survey())

    def reading(self) -> Reading:
        """Return a new pass over the recording."""
        notices = [*self.survey.notices]
        return Reading(self.category, self.content, self.options, self.survey, notices=notices)

    def lines(self, reading: Reading) -> Iterator[Line]:
        """Read a row when it is needed, whatever the file's size; KscopeError names the line."""
        with placed(self.file):
            yield from self.form.read(reading)


@contextmanager
def placed(file: str) -> Iterator[None]:
    """Put the file and the line before the message of a ReadError."""
    try:
        yield
    except ReadError as error:
        raise KscopeError(f"{file}:{error.number}: {error}") from None


def opened(
    file: str, content: FileContent, category: Category, options: Options, name: str = ""
) -> Recording:
    """Return the recording in the named format, else in that of its content.

    Raises UsageError for an option that the format does not heed, and KscopeError.
    """
    form = format_of(file, content.head(), category, name)
    check_options(form, options)
    identity = content.identity()
    survey = Survey()
    if form.survey:
        first = Reading(category, content, options)
        with placed(file):
            survey = form.survey(first)
        survey = replace(survey, notices=tuple(first.notices))
    return Recording(file, content, form, category, options, identity, survey)


def check_options(form: Format, options: Options) -> None:
    """Raise UsageError for an option that the format does not heed."""
    for name in options.given():
        if name not in form.options:
            takes = ", ".join(f"--{each}" for each in sorted(form.options)) or "none of them"
            raise UsageError(f"--{name} does not fit the format {form.name}, which takes {takes}")
