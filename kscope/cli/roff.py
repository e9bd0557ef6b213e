"""Manual pages as `man` reads them: escaped text between the macros of man(7)."""

import re
import textwrap
from collections.abc import Iterable, Iterator

# Of a line of the source; mandoc finds fault with longer ones.
_WIDTH = 76
_ESCAPES = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
)
_CODE = re.compile(r"`([^`]+)`")


def header(name: str, section: int, day: str, product: str) -> str:
    return f'.TH {exact(name.upper())} {section} {day} "{product}" "Kernelscope Manual"'


def exact(text: str) -> str:
    """Return the text so that it is shown, and copied, as it is."""
    shown = text.translate(_ESCAPES)
    return rf"\&{shown}" if shown.startswith(".") else shown


def bold(text: str) -> str:
    return rf"\fB{exact(text)}\fR"


def slanted(text: str) -> str:
    return rf"\fI{exact(text)}\fR"


def prose(text: str) -> Iterator[str]:
    """Yield the lines of a paragraph; words in backticks are bold."""
    # A line must not end within code, whose font would go on.
    whole = _CODE.sub(lambda found: found[0].replace(" ", "\0"), " ".join(text.split()))
    for line in textwrap.wrap(whole, _WIDTH, break_long_words=False, break_on_hyphens=False):
        parts = _CODE.split(line.replace("\0", " "))
        shown = [bold(each) if place % 2 else _plain(each) for place, each in enumerate(parts)]
        yield rf"\&{''.join(shown)}" if line.startswith((".", "'")) else "".join(shown)


def _plain(text: str) -> str:
    return text.translate(_ESCAPES)


def example(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that are not wrapped."""
    yield from (".RS 4", ".EX")
    yield from map(exact, lines)
    yield from (".EE", ".RE")


def item(term: str, text: str) -> Iterator[str]:
    """Yield an entry of a list; `term` is escaped already."""
    yield from (".TP", term, *prose(text or "."))
