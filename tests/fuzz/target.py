"""One thing that takes bytes from outside, and what it may do with them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Whether the bytes are JSON or MessagePack, whose values can be changed one by one.
Form = str


@dataclass(frozen=True)
class Target:
    """`open` returns the function that takes the bytes: it raises whatever is a fault of ours.

    `seeds` are right inputs, which the fuzzers change. `forms` say how some of them are encoded.
    """

    name: str
    open: Callable[[], Callable[[bytes], object]]
    seeds: Callable[[], Sequence[bytes]]
    form: Form = ""
    # Words that inputs of this kind are made of.
    words: Sequence[bytes] = field(default=())


class Finding(AssertionError):  # noqa: N818 - not of a library
    """An input whose answer is wrong without an exception, such as HTTP 500."""


def allowing(function: Callable[[Any], object], *kinds: type[Exception]) -> Callable[[Any], object]:
    """Return the function without the errors that it may raise."""

    def run(data: Any) -> None:
        with contextlib.suppress(kinds):
            function(data)

    return run
