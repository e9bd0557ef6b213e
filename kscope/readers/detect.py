"""Which format a recording has, by its content."""

import re
from collections.abc import Sequence

from kscope.declare.model import Category
from kscope.errors import KscopeError, UsageError, printable
from kscope.readers.formats import FORMATS
from kscope.readers.reading.base import Format, Head
from kscope.readers.tools.headers import has_own_header

_CONVERT = "convert it to UTF-8 before, as iconv does"
_BY_SPEEDSCOPE = "open it in https://www.speedscope.app, and import what that exports"
# Files that are not read, by their first bytes, and what to do with them.
_OTHERS = (
    (b"PERFILE2", "is perf's own file: run `perf script -i FILE` and import its output"),
    (b"FLR\0", "is a Java Flight Recorder file: convert it to pprof or folded text first"),
    (b"\x7fELF", "is a program"),
    (b"<?xml", "is XML, perhaps a picture: import the recording that it was drawn from"),
    (b"<svg", "is a picture: import the folded text that it was drawn from"),
    (b"PK\x03\x04", "is a zip archive: extract it, and import its files"),
    (b"7z\xbc\xaf", "is a 7z archive: extract it, and import its files"),
    (b"\xfd7zXZ", "is compressed by xz: decompress it before, as xzcat does"),
    (b"\x04\x22\x4d\x18", "is compressed by lz4: decompress it before, as lz4cat does"),
    (b"\xff\xfe", f"is UTF-16: {_CONVERT}"),
    (b"\xfe\xff", f"is UTF-16: {_CONVERT}"),
)
# JSON that has no rows, and what looks like it.
_OBJECTS = (
    (r'"(?:traceEvents|displayTimeUnit)"', "is a trace of Chrome or Perfetto, which is not read"),
    (r'"nodes"\s*:\s*\[', f"is a profile of Chrome or Node: {_BY_SPEEDSCOPE}"),
    (r'"meta"\s*:\s*\{', f"is a profile of Firefox: {_BY_SPEEDSCOPE}"),
    (r"'ts'\s*:", "is what bcc's tools print with -j: import their output without -j"),
)
# A table has its header within so many lines.
_HEADER_WITHIN = 20
_TAR = (257, b"ustar")
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


def format_of(file: str, head: Head, category: Category, name: str = "") -> Format:
    """Return the named format, else the first one that the content fits; a table may have the
    category's columns.

    Raises KscopeError for an empty recording, or one that is known not to be read; UsageError if
    no format fits.
    """
    if not head.raw.strip():
        raise KscopeError(f"{file}: {_BLANK}")
    for magic, advice in _OTHERS:
        if head.raw.startswith(magic):
            raise KscopeError(f"{file}: {advice}")
    if head.raw.startswith(_TAR[1], _TAR[0]):
        raise KscopeError(f"{file}: is a tar archive: extract it, and import its files")
    if any(head.raw.startswith(magic) for magic, _ in _PACKED):
        raise KscopeError(f"{file}: is compressed twice: decompress it once before")
    if name:
        return FORMATS[name]
    for start, advice in _OBJECTS:
        if re.match(rf"\s*\{{\s*{start}", head.text):
            raise KscopeError(f"{file}: {advice}")
    return _found(file, head, category)


def _found(file: str, head: Head, category: Category) -> Format:
    found = _first(head, category)
    if found is None:
        binary = b"\0" in head.raw
        what = "it has bytes of 0, as binary files and UTF-16 have" if binary else _begins(head)
        raise UsageError(
            f"{file}: is in no format that is known, {what}; name its format with --format "
            f"{'|'.join(FORMATS)}"
        )
    return found


def _begins(head: Head) -> str:
    first = head.text.strip().partition("\n")[0].strip()
    return f"it begins with '{printable(first)}'"


def format_of_lines(lines: Sequence[str], category: Category) -> Format | None:
    """Return the first format that these whole lines fit, or None.

    Raises UsageError if its recordings cannot be read before their end.
    """
    text = "".join(f"{line}\n" for line in lines)
    # Without bytes: text does not fit a format of binary recordings.
    found = _first(Head(b"", text, whole=True), category)
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


def _first(head: Head, category: Category) -> Format | None:
    ordered = sorted(FORMATS.values(), key=lambda each: each.rank)
    found = next((each for each in ordered if each.matches(head)), None)
    if found is None and has_own_header(head.lines()[:_HEADER_WITHIN], category):
        return FORMATS["table"]
    return found
