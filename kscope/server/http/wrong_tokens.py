"""Wrong tokens: counted per address, logged without their text, and refused with 429."""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from kscope.server.http.log_throttle import ThrottledLog

PERIOD_SECONDS = 60
# A host may start many agents with the same outdated token.
ALLOWED = 20
# Addresses in the table: the oldest makes room for a new one.
_MOST_ADDRESSES = 4096

log = logging.getLogger("kscope.audit")


@dataclass
class WrongTokens:
    """The wrong tokens of one listener. `allowed` is the number from one address in a minute."""

    listener: str
    allowed: int = ALLOWED
    wrong: int = 0
    throttled: int = 0
    expired: int = 0
    _seen: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    _throttled: ThrottledLog = field(default_factory=lambda: ThrottledLog(log))
    _throttled_expired: ThrottledLog = field(default_factory=lambda: ThrottledLog(log))
    _throttled_scopes: ThrottledLog = field(default_factory=lambda: ThrottledLog(log))

    def add(self, address: str) -> bool:
        """Count a wrong token. Return whether this address sent too many in the last minute."""
        self.wrong += 1
        self._throttled.warning(f"{self.listener}: wrong token from {address}")
        now = time.monotonic()
        since, count = self._seen.get(address, (now, 0))
        if now - since > PERIOD_SECONDS:
            self._seen.pop(address)
            since, count = now, 0
        self._seen[address] = since, count + 1
        if len(self._seen) > _MOST_ADDRESSES:
            self._seen.popitem(last=False)
        too_many = count >= self.allowed
        self.throttled += too_many
        return too_many

    def note_expired(self, name: str, address: str) -> None:
        """Count a token that was right until it expired."""
        self.expired += 1
        text = f"{self.listener}: the token {name} has expired, from {address}"
        self._throttled_expired.warning(text)

    def note_scope(self, name: str, address: str) -> None:
        """Log a token that is right elsewhere."""
        text = f"{self.listener}: the token {name} has not this scope, from {address}"
        self._throttled_scopes.warning(text)
