"""The mistakes of a question, all in one error, each with its parameter."""

from collections.abc import Iterable
from dataclasses import dataclass

from kscope.errors import KscopeError, did_you_mean

# An answer to a mistake is small, whatever the mistake was.
MOST_COMPLAINTS = 100
_MOST_LISTED = 50
_LONGEST_NAME = 200
_LONGEST_DETAIL = 2000
_LONGEST_GUESSED = 80


@dataclass(frozen=True, slots=True)
class Complaint:
    """`parameter` is a query parameter's name, or a JSON pointer into a posted question."""

    parameter: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameter", _cut(self.parameter, _LONGEST_NAME))
        object.__setattr__(self, "detail", _cut(self.detail, _LONGEST_DETAIL))

    def __str__(self) -> str:
        return f"{self.parameter}: {self.detail}" if self.parameter else self.detail


class QueryError(KscopeError):
    """The question cannot be answered as it is put."""

    exit_code = 2
    status = 400

    def __init__(self, *complaints: Complaint) -> None:
        self.complaints = complaints[:MOST_COMPLAINTS]
        super().__init__("\n".join(str(complaint) for complaint in self.complaints))


class UnknownTable(QueryError):  # noqa: N818 - named for what it tells
    status = 404


def complain(parameter: str, detail: str) -> QueryError:
    return QueryError(Complaint(parameter, detail))


def one_of(what: str, given: str, allowed: Iterable[str]) -> str:
    """Say what was given and what is allowed, with the likeliest correction."""
    names = list(allowed)
    given = given[:_LONGEST_GUESSED]
    hint = did_you_mean(given, names, listed=False) or "."
    listed = ", ".join(names[:_MOST_LISTED]) or "none"
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return f"unknown {what} {given!r}{hint} Allowed: {listed}{more}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
