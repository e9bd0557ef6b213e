"""What is wrong with a question: every complaint at once, each with the parameter it is about."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Complaint:
    """`parameter` is a query parameter's name, or a JSON pointer into a posted question."""

    parameter: str
    detail: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.detail}" if self.parameter else self.detail


class QueryError(KscopeError):
    """The question cannot be answered as it is put."""

    exit_code = 2
    status = 400

    def __init__(self, *complaints: Complaint) -> None:
        self.complaints = complaints
        super().__init__("\n".join(str(complaint) for complaint in complaints))


class UnknownTable(QueryError):  # noqa: N818 - named for what it tells
    status = 404


def complain(parameter: str, detail: str) -> QueryError:
    return QueryError(Complaint(parameter, detail))


def one_of(what: str, given: str, allowed: Iterable[str]) -> str:
    """Say what was given and what is allowed, with the likeliest correction."""
    names = list(allowed)
    close = difflib.get_close_matches(given, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {given[:80]!r}.{hint} Allowed: {', '.join(names) or 'none'}"
