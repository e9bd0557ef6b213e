"""Rows from a pipe, while another program writes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from kscope.declare.model import Category
from kscope.errors import UsageError
from kscope.readers.detect import format_of_lines, refuse_binary
from kscope.readers.formats import FORMATS
from kscope.readers.reading.base import Format, Line, Options, ReadError, Reading, Skipped
from kscope.readers.reading.pipe import Pipe
from kscope.readers.recording import check_options

# Lines without a format, such as the first words of a tool, before the format counts as unknown.
_MOST_UNKNOWN = 20

LIVE = {name: each for name, each in FORMATS.items() if each.live}


@dataclass(slots=True)
class LiveRows:
    """The rows of a pipe in the format named `name`, else in the one that its first lines have.

    `form` is known from the first row on, and `unread` has the lines that fit no format so far.
    """

    pipe: Pipe
    category: Category
    options: Options
    name: str = ""
    skipped: Skipped = field(default_factory=Skipped)
    form: Format | None = None
    reading: Reading = field(init=False)
    unread: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reading = Reading(self.category, self.pipe, self.options, skipped=self.skipped)

    def rows(self) -> Iterator[Line]:
        """Yield each row when its line arrives; lines that have none are skipped and counted.

        Raises UsageError if the format is not known or does not heed an option, and KscopeError if
        the category has no columns for it.
        """
        self.form = LIVE[self.name] if self.name else self._found()
        if self.form is None:
            return
        check_options(self.form, self.options)
        while True:
            before = self.pipe.taken
            try:
                yield from self.form.read(self.reading)
            except ReadError as error:
                self.skipped.add(error.number, str(error))
                # A reader that wants more than there is must not be asked again and again.
                if self.pipe.taken == before:
                    return
            else:
                return

    def _found(self) -> Format | None:
        """Read until the lines have a format, and put them back. Return None if there are none."""
        for number, text in self.pipe.lines(self.skipped):
            if not text.strip():
                continue
            if not self.unread:
                refuse_binary(self.pipe.start)
            self.unread.append((number, text))
            for start in {0, len(self.unread) - 1}:
                if form := format_of_lines([line for _, line in self.unread[start:]]):
                    self._begin(start)
                    return form
            if len(self.unread) >= _MOST_UNKNOWN:
                break
        if self.unread:
            raise UsageError(
                f"standard input is in no format that is known: {self.unread[0][1][:60]!r}; name"
                f" it with --format {'|'.join(LIVE)}"
            )
        return None

    def _begin(self, start: int) -> None:
        """Leave out the lines before `start`, and let the others be read."""
        for number, _ in self.unread[:start]:
            self.skipped.add(number, "before the first one in a format that is known")
        self.pipe.put_back(self.unread[start:])
        self.unread = []
