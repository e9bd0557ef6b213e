"""A format of answers: its media type, the ending of its files, and its encoder."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kscope.query.answers.compare import Comparison
from kscope.query.answers.stacks import FoldedStacks

Encode = Callable[[Iterable[Sequence[Any]]], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    name: str
    media_type: str
    ending: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFormat(ExportFormat):
    """A format of flame graphs; `answer` is the type of one that is JSON.

    `title` names its files in the page's menu, which leaves out formats without one. `compared`
    encodes a comparison in this format, if it can.
    """

    encode: Callable[[FoldedStacks], bytes]
    compared: Callable[[Comparison], bytes] | None = None
    answer: type | None = None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat(ExportFormat):
    """A format of tables.

    `encoder` returns an encoder of rows, for any number of them at a time, from the columns' names
    and the places of texts that are numbers. `heading` starts the file.
    """

    encoder: Callable[[Sequence[str], frozenset[int]], Encode]
    heading: Callable[[Sequence[str]], bytes] = lambda _: b""


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
