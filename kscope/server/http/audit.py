"""The audit log: refused writes, and acts of administrators, with their tokens and addresses."""

import logging
from dataclasses import dataclass, field

from starlette.types import Scope

from kscope.errors import cut
from kscope.server.http.auth import tokens_of
from kscope.server.http.connections import address_group
from kscope.server.http.log_throttle import ThrottledLog

# A refusal quotes the request, which may be long.
_MOST_CHARACTERS = 300
# Pairs of a status and a token that have a separate line every ten seconds.
_MOST_KINDS = 256

log = logging.getLogger("kscope.audit")


@dataclass
class Audit:
    """The refusals of one listener; those of one status and token share a line, with a number."""

    listener: str
    _logs: dict[tuple[int, str], ThrottledLog] = field(default_factory=dict)

    def refused(self, scope: Scope, status: int, detail: str) -> None:
        """Log a request with a token that was refused. Needs a running event loop.

        Where no tokens are declared, nothing says who has sent it.
        """
        names = _names(scope)
        if not names:
            return
        kind = (status, names)
        if kind not in self._logs and len(self._logs) >= _MOST_KINDS:
            kind = (0, "")
        throttled = self._logs.setdefault(kind, ThrottledLog(log))
        throttled.warning(f"{self._told(scope, names)}: {status}, {cut(detail, _MOST_CHARACTERS)}")

    def done(self, scope: Scope, status: int) -> None:
        """Log an act, each in its own line."""
        log.info("%s: %d", self._told(scope, _names(scope) or "none"), status)

    def _told(self, scope: Scope, names: str) -> str:
        address = address_group((scope.get("client") or ("",))[0])
        # The path as sent: its percent signs keep line breaks out of the log.
        path = cut(scope["raw_path"].decode("latin-1"), _MOST_CHARACTERS)
        return f"{self.listener}: {scope['method']} {path} from {address}, token {names}"


def _names(scope: Scope) -> str:
    return ", ".join(token.name for token in tokens_of(scope))
