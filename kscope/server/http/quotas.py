"""Rows and bytes that a token may bring in a minute."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from starlette.types import Scope

from kscope.config import Token
from kscope.server.http.auth import tokens_of
from kscope.server.http.problems import HttpProblem

_MINUTE = 60.0
# Tokens that have used some of a quota, also those that are gone: more than a file may list.
_MOST = 10_000


class Of(Enum):
    """The things that are counted, by the name of the setting."""

    ROWS = "rows_per_minute"
    BYTES = "bytes_per_minute"


@dataclass
class Quotas:
    """The quotas of the tokens that come to one process, which has a `share` of the requests.

    A token's quota of a minute is there at once, and grows again all the time. A body may use more
    than is left, so that one that is larger than the quota can pass; the next ones wait for that.
    """

    share: float = 1.0
    # By the name of the token and of the quota.
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    # The amount that was left, and when.
    _left: dict[tuple[str, Of], tuple[float, float]] = field(default_factory=dict)

    def check(self, scope: Scope, of: Of) -> None:
        """Raise HttpProblem 429 if nothing is left to the request's token."""
        for token, limit in _limits(scope, of):
            left = self._now(token, of, limit)
            if left <= 0:
                self.refused[token.name, of.value] += 1
                wait = math.ceil((1 - left) * _MINUTE / limit)
                detail = f"the quota of this token is used up: {of.value} is {limit:,.0f}"
                raise HttpProblem(429, detail, headers={"Retry-After": str(wait)})

    def use(self, scope: Scope, of: Of, amount: int) -> None:
        for token, limit in _limits(scope, of):
            left = self._now(token, of, limit)
            if len(self._left) >= _MOST:
                self._left.clear()
            self._left[token.name, of] = left - amount / self.share, time.monotonic()

    def _now(self, token: Token, of: Of, limit: float) -> float:
        now = time.monotonic()
        left, since = self._left.get((token.name, of), (limit, now))
        return min(limit, left + (now - since) * limit / _MINUTE)


def _limits(scope: Scope, of: Of) -> list[tuple[Token, float]]:
    """Return the token whose quota counts, with it: none if one without a quota is as good."""
    found = [(token, getattr(token, of.value)) for token in tokens_of(scope)]
    return [] if any(limit is None for _, limit in found) else found[:1]
