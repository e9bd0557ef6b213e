"""The source of answers: a server, or a database. The command line has both."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from kscope.errors import KscopeError
from kscope.query.across.question import QuestionOfAll
from kscope.query.answers.question import Question

Take = Callable[[bytes], object]
Request = Sequence[tuple[str, str]]
Answer = TypeVar("Answer")

# Bytes of an answer's JSON: a flame graph of 200,000 stacks has some ten million.
MOST_JSON = 32 << 20
# For the whole of a tool's call. A server's own deadline is shorter.
SECONDS = 60.0


class Source(Protocol):
    """`page` is the address of the page, or empty. The rest calls `take` with pieces of JSON."""

    @property
    def page(self) -> str: ...
    def ask(self, question: Question, table: str, request: Request, take: Take) -> None: ...
    def ask_of_all(self, question: QuestionOfAll, request: Request, take: Take) -> None: ...
    def categories(self, take: Take) -> None: ...
    def markers(self, request: Request, take: Take) -> None: ...


class _Pieces:
    """The pieces of an answer, up to a size and a moment."""

    def __init__(self, until: float) -> None:
        self.taken = bytearray()
        self._until = until

    def take(self, piece: bytes) -> None:
        if time.monotonic() > self._until:
            raise KscopeError(too_late())
        self.taken += piece
        if len(self.taken) > MOST_JSON:
            raise KscopeError(
                f"the answer has more than {MOST_JSON >> 20} MiB; ask for a shorter range, or"
                " filter by a host or a process"
            )


def too_late() -> str:
    return (
        f"no answer within {SECONDS:.0f} seconds; ask for a shorter range, or filter by a host or"
        " a process"
    )


def received(ask: Callable[[Take], None], kind: type[Answer], until: float) -> Answer:
    """Return the decoded answer. `until` is a moment of `time.monotonic`.

    Raise KscopeError if the answer is too long or too late, or has another shape.
    """
    pieces = _Pieces(until)
    ask(pieces.take)
    try:
        found: Any = msgspec.json.decode(bytes(pieces.taken), type=kind)
    except msgspec.MsgspecError:
        raise KscopeError(
            "that is no answer of Kernelscope's read API: --server names the page's address of"
            " the same version"
        ) from None
    answer: Answer = found
    return answer
