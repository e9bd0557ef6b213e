"""How long one request may take to be answered, however many statements that needs."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.store.backends.errors import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Allowance:
    """In seconds. Work done at the same time counts once; the time that a client takes does not."""

    left: float
    _under_way: int = 0
    _since: float = 0.0

    @contextmanager
    def used(self) -> Iterator[float]:
        """Charge the time until the end of the block; yield the seconds that are left for it."""
        if not self._under_way:
            self._since = time.monotonic()
        self._under_way += 1
        try:
            yield self.check()
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.left -= time.monotonic() - self._since

    def check(self) -> float:
        """Return the seconds that are left; raise QueryTimeout if there are none."""
        spent = time.monotonic() - self._since if self._under_way else 0.0
        if self.left - spent <= 0:
            raise QueryTimeout("the question was ended at its deadline")
        return self.left - spent

    def end(self) -> None:
        """Stop threads that still work for the request, at their next check."""
        self.left = -math.inf


_current: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def allow(seconds: float) -> Iterator[Allowance]:
    """Give the block, and the tasks and threads that begin in it, so many seconds together."""
    allowed = Allowance(seconds)
    token = _current.set(allowed)
    try:
        yield allowed
    finally:
        _current.reset(token)


def allowance(otherwise: float) -> Allowance:
    """Return the request's; without a request, a new one."""
    return _current.get() or Allowance(otherwise)


def check_deadline() -> None:
    """Raise QueryTimeout if the request's time is over: long loops call it now and then."""
    allowed = _current.get()
    if allowed is not None:
        allowed.check()
