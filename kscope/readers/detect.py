"""Which format a recording has, by its content."""

from collections.abc import Sequence

from kscope.errors import KscopeError, UsageError
from kscope.readers.formats import FORMATS
from kscope.readers.reading.base import Format, Head

# Files that are not read, by their first bytes, and what to do with them.
_OTHERS = (
    (b"PERFILE2", "is perf's own file: run `perf script -i FILE` and import its output"),
    (b"FLR\0", "is a Java Flight Recorder file: convert it to pprof or folded text first"),
    (b"\x7fELF", "is a program"),
    (b"<?xml", "is XML, perhaps a picture: import the recording that it was drawn from"),
    (b"<svg", "is a picture: import the folded text that it was drawn from"),
)
# Compressed data, which a pipe is read without.
_PACKED = (
    (b"\x1f\x8b", "is compressed: decompress it before, as in zcat FILE | kscope log TABLE"),
    (b"BZh", "is compressed: decompress it before, as in bzcat FILE | kscope log TABLE"),
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed: decompress it before, as in zstdcat FILE | kscope log TABLE",
    ),
)
_BLANK = "is empty: there is nothing to import"


def format_of(file: str, head: Head, name: str = "") -> Format:
    """Return the named format, else the first one that the content fits.

    Raises KscopeError for an empty recording, or one that is known not to be read; UsageError if
    no format fits.
    """
    if not head.raw.strip():
        raise KscopeError(f"{file}: {_BLANK}")
    for magic, advice in _OTHERS:
        if head.raw.startswith(magic):
            raise KscopeError(f"{file}: {advice}")
    if name:
        return FORMATS[name]
    found = _first(head)
    if found is None:
        raise UsageError(f"{file}: name its format with --format {'|'.join(FORMATS)}")
    return found


def format_of_lines(lines: Sequence[str]) -> Format | None:
    """Return the first format that these whole lines fit, or None.

    Raises UsageError if its recordings cannot be read before their end.
    """
    text = "".join(f"{line}\n" for line in lines)
    # Without bytes: text does not fit a format of binary recordings.
    found = _first(Head(b"", text, whole=True))
    if found and not found.live:
        raise UsageError(
            f"the format {found.name} is read as a whole, not line by line: write it into a file, "
            "and send that with `kscope import`"
        )
    return found


def refuse_binary(start: bytes) -> None:
    """Raise KscopeError if a pipe starts with something that has no lines."""
    for magic, advice in (*_OTHERS, *_PACKED):
        if start.startswith(magic):
            raise KscopeError(f"standard input {advice}")


def _first(head: Head) -> Format | None:
    ordered = sorted(FORMATS.values(), key=lambda each: each.rank)
    return next((each for each in ordered if each.matches(head)), None)
