"""How long the database may work for one request, however many statements that takes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.store.base import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Allowance:
    """In seconds. What is done at the same time counts once; what the client takes, not at all."""

    left: float
    _under_way: int = 0
    _since: float = 0.0

    @contextmanager
    def used(self) -> Iterator[float]:
        """Count the time until the end of the block; gives what there is left for it."""
        if not self._under_way:
            self._since = time.monotonic()
        self._under_way += 1
        try:
            left = self.left - (time.monotonic() - self._since)
            if left <= 0:
                raise QueryTimeout("the question was ended at its deadline")
            yield left
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.left -= time.monotonic() - self._since


_current: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def allow(seconds: float) -> Iterator[None]:
    """Give what is asked in this block, and by tasks begun in it, so long together."""
    token = _current.set(Allowance(seconds))
    try:
        yield
    finally:
        _current.reset(token)


def allowance(otherwise: float) -> Allowance:
    """Give the request's; where there is none, one for a single statement."""
    return _current.get() or Allowance(otherwise)
