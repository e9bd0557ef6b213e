"""Errors as data: raised where they are found, put into words once, at the edge."""

import difflib
import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# The type of the problem document for rows with a table or a column that the server does not know
# yet: senders retry for a while.
UNKNOWN_NAME = "urn:kernelscope:unknown-name"

# A user name and a password before a host, and secrets that an address names.
_USER = re.compile(r"(//|\b[^\s/:@'\"]+:(?!//))[^\s'\"]*@")
_NAMED = re.compile(r"((?:token|password|passwd|pwd|secret|key)=)[^\s&#'\"]+", re.IGNORECASE)
QUOTE = "; put it in quotes"
_MAX_PART = 60
# To look for a similar name among more of them costs too much for a hint.
_MOST_NAMES = 300
_COMPARED = 8
_MOST_LISTED = 40


def cut(text: str, most: int) -> str:
    """Return the text, of at most `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def printable(text: str) -> str:
    """Return one line of at most 60 characters: control characters are written as escapes."""
    shown = cut(text[: _MAX_PART + 1], _MAX_PART)
    return shown if shown.isprintable() else cut(repr(shown)[1:-1], _MAX_PART)


def shown(value: Any) -> str:
    """Write a value as a file has it, in one line of at most 60 characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    return cut(re.sub(r"\s+", " ", text[:1000]), _MAX_PART)


def kind_of(value: Any) -> str:
    """Name the value if it is one of few, or else its kind."""
    if value is None or isinstance(value, bool):
        return shown(value)
    kinds = ((str, "text" if value else "an empty text"), (list, "a list"), (dict, "a mapping"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")


def did_you_mean(wrong: object, known: Iterable[str], *, listed: bool = True) -> str:
    """Return `. Did you mean 'string'?`, else the known names if they are `listed` and few, or ''.

    Only the few names that start and end most like `wrong` are compared in full.
    """
    names = sorted(known)
    text = str(wrong)[:_MAX_PART] if isinstance(wrong, str) else shown(wrong)
    likely = heapq.nlargest(_COMPARED, names[:_MOST_NAMES], key=lambda name: _alike(text, name))
    if near := difflib.get_close_matches(text, likely, n=1):
        return f". Did you mean '{near[0]}'?"
    few = listed and 0 < len(names) <= _MOST_LISTED
    return f". Known are: {', '.join(names)}." if few else ""


def _alike(one: str, other: str) -> int:
    """Return how many characters the two share at the start and at the end."""
    return _shared(one, other) + _shared(one[::-1], other[::-1])


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def without_secrets(text: str) -> str:
    """Return the text with `...` in place of the passwords of its addresses."""
    return _NAMED.sub(r"\1...", _USER.sub(r"\1...@", text))


class ValueFaultError(ValueError):
    """A value that is refused. The message starts with the value; `fault` leaves it out, for files
    with secrets. `cure` is empty, or QUOTE.
    """

    def __init__(self, value: str, fault: str, cure: str = "") -> None:
        self.fault = fault
        self.cure = cure
        self.message = f"{value} {fault}"
        super().__init__(f"{self.message}{cure}")


def quoted(value: Any) -> str:
    """Return the cure of a value that must be text: quotes, if it is a number, true or false."""
    return QUOTE if isinstance(value, bool | int | float) else ""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    `line` counts from 1; 0 means the whole file. `path` is the place inside the document, such as
    `columns[2].type`.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class KscopeError(Exception):
    """A problem that the user can fix: its text is shown without a traceback."""

    exit_code = 1


class UsageError(KscopeError):
    """A command, an option or an argument that is wrong."""

    exit_code = 2


class ProgramError(KscopeError):
    """A BPF program or a script of the user's that cannot run."""

    exit_code = 2


class DeclarationError(KscopeError):
    """All problems of the declarations that were read, sorted by file and line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
