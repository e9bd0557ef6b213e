"""Errors as data: raised where they are found, put into words once, at the edge."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The type of the problem document for rows that name a table or a column that the server does not
# know, perhaps not yet: senders try again for a while.
UNKNOWN_NAME = "urn:kernelscope:unknown-name"

# A user name and a password before a host, and what is named as a secret in an address.
_USER = re.compile(r"(//|\b[^\s/:@'\"]+:(?!//))[^\s'\"]*@")
_NAMED = re.compile(r"((?:token|password|passwd|pwd|secret|key)=)[^\s&#'\"]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return the text with `...` for passwords in the addresses that it holds."""
    return _NAMED.sub(r"\1...", _USER.sub(r"\1...@", text))


class ValueFaultError(ValueError):
    """A value that is refused. The message starts with the value; `fault` leaves that out, for
    files that hold secrets.
    """

    def __init__(self, value: str, fault: str) -> None:
        self.fault = fault
        super().__init__(f"{value} {fault}")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    `line` counts from 1 and is 0 where the whole file is meant; `path` is the place inside
    the document, as `columns[2].type`.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class KscopeError(Exception):
    """A mistake or a lack that the user can mend: its text is shown without a traceback."""

    exit_code = 1


class UsageError(KscopeError):
    """A command, an option or an argument that is wrong."""

    exit_code = 2


class ProgramError(KscopeError):
    """A BPF program or a script of the user's that cannot run."""

    exit_code = 2


class DeclarationError(KscopeError):
    """Everything that is wrong with the declarations that were read, sorted by file and line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
