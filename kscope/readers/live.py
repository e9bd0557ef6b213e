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

# Lines and characters without a format, such as the first words of a tool and the frames of a deep
# stack, before the format counts as unknown.
_MOST_UNKNOWN, _MOST_CHARACTERS = 300, 64 * 1024

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
        self.reading = Reading(
            self.category, self.pipe, self.options, skipped=self.skipped, live=True
        )

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
        size = 0
        for number, text in self.pipe.lines(self.skipped):
            if not text.strip():
                continue
            if not self.unread:
                refuse_binary(self.pipe.start)
            self.unread.append((number, text))
            if form := self._begun():
                return form
            size += len(text)
            if len(self.unread) >= _MOST_UNKNOWN or size > _MOST_CHARACTERS:
                break
        if self.unread:
            raise UsageError(
                f"standard input is in no format that is known: {self.unread[0][1][:60]!r}; name"
                f" it with --format {'|'.join(LIVE)}"
            )
        return None

    def _begun(self) -> Format | None:
        """Return the format of the last line, or of the last two, and let them be read: with the
        lines before them, if those belong to it.
        """
        texts = [line for _, line in self.unread]
        for last in (1, 2):
            form = format_of_lines(texts[-last:], self.category)
            if form:
                whole = format_of_lines(texts, self.category) is form
                self._begin(0 if whole else len(texts) - last)
                return form
        return None

    def _begin(self, start: int) -> None:
        for number, _ in self.unread[:start]:
            self.skipped.add(number, "before the first one in a format that is known")
        self.pipe.put_back(self.unread[start:])
        self.unread = []
