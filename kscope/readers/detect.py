"""Which format a recording has, by its content."""

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
    ordered = sorted(FORMATS.values(), key=lambda each: each.rank)
    found = next((each for each in ordered if each.matches(head)), None)
    if found is None:
        raise UsageError(f"{file}: name its format with --format {'|'.join(FORMATS)}")
    return found
