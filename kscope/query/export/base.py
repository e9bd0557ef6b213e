"""A format of answers: its media type, the ending of its files, and its encoder."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kscope.query.answers.compare import Comparison
from kscope.query.answers.question import TableColumn
from kscope.query.answers.stacks import FoldedStacks


class Encoder(Protocol):
    """Writes one table. Its calls come one after the other, from any thread."""

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        """Take more rows; return the bytes that are ready, which may be none."""

    def end(self) -> bytes:
        """Return the rest of the file."""

    def close(self) -> None:
        """Free what is held; it is called in any case, also if the file is not complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """A format. `lacking` says what must be installed for it, or nothing.

    `answer` is the type of one that is JSON. If the JSON is `listed`, it is that of each item,
    which without one is an object of any keys.
    """

    name: str
    media_type: str
    ending: str
    help: str
    lacking: Callable[[], str] = lambda: ""
    answer: type | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFormat(ExportFormat):
    """A format of flame graphs.

    `title` names its files in the page's menu, which leaves out formats without one. `compared`
    encodes a comparison in this format, if it can.
    """

    encode: Callable[[FoldedStacks], bytes]
    compared: Callable[[Comparison], bytes] | None = None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat(ExportFormat):
    """A format of tables; `encoder` returns an encoder of a table with these columns.

    `most` limits one that takes only rows of a category, and so many of them. `title` names its
    files on the page.
    """

    encoder: Callable[[Sequence[TableColumn]], Encoder]
    most: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonFormat(ExportFormat):
    """A format of comparisons."""

    encode: Callable[[Comparison], bytes]


JSON = ExportFormat(
    name="json", media_type="application/json", ending="json", help="the answer as described here"
)


def of_comparisons(form: ExportFormat) -> ComparisonFormat | None:
    """Return the format as one of comparisons, if it can encode them."""
    if not isinstance(form, StackFormat) or form.compared is None:
        return form if isinstance(form, ComparisonFormat) else None
    return ComparisonFormat(
        name=form.name,
        media_type=form.media_type,
        ending=form.ending,
        help=form.help,
        encode=form.compared,
    )
