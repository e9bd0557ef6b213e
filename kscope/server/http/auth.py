"""Access: requests with a token of the scope, and with a name of this server."""

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kscope.config import Token
from kscope.errors import shown
from kscope.log_fields import add_field
from kscope.server.http.connections import address_group
from kscope.server.http.problems import OPEN_PATHS, HttpProblem, problem
from kscope.server.http.refusals import Refusals
from kscope.server.http.tokens import Tokens, has_expired
from kscope.server.http.wrong_tokens import PERIOD_SECONDS, WrongTokens

# The tokens of a request with which it passed, in its scope.
_PASSED = "kscope.tokens"
# Of the hosts that a token is for, those that a refusal names.
_NAMED = 5


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Access:
    """Who may use a listener, and under which names beside local ones."""

    tokens: Tokens
    wrong: WrongTokens
    names: Sequence[str] = ()
    refusals: Refusals = field(default_factory=Refusals, hash=False)


@dataclass(frozen=True)
class RequireToken:
    """Middleware: with tokens declared, only a bearer of the scope passes.

    A browser asks its user for a password, which is the token, if the challenge is Basic.
    A request is refused before its body is read. Too many wrong tokens from one address get 429,
    but a correct one from there still passes: several clients can share an address.
    """

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.access.tokens.are_required:
            refusal = None if scope["path"] in OPEN_PATHS else self._refusal(scope)
            if refusal is not None:
                self.access.refusals.note(refusal.response.status_code, refusal.reason)
                await refusal.response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> "_Refusal | None":
        text = _presented(Headers(scope=scope).get("authorization", ""))
        address = address_group((scope.get("client") or ("",))[0])
        declared = self.access.tokens.matching(text) if text else []
        found = [each for each in declared if not has_expired(each)]
        wrong = self.access.wrong
        # Scopes have the names of the listeners.
        scope[_PASSED] = [each for each in found if each.may(wrong.listener)]
        if scope[_PASSED]:
            add_field("token", scope[_PASSED][0].name)
            return None
        if found:
            wrong.note_scope(found[0].name, address)
            return _Refusal(problem(403, f"this token has no scope '{wrong.listener}'"), "scope")
        if declared:
            wrong.note_expired(declared[0].name, address)
            return _Refusal(
                _challenge("this token has expired: ask for a new one"), "expired token"
            )
        if text and wrong.add(address):
            detail = "too many wrong tokens from this address: send a right one"
            headers = {"Retry-After": str(PERIOD_SECONDS), "Connection": "close"}
            return _Refusal(problem(429, detail, headers=headers), "throttled")
        needed = _challenge("a token is needed: send it as Authorization: Bearer TOKEN")
        return _Refusal(needed, "no token")


class _Refusal(NamedTuple):
    """An answer, and the reason that is counted."""

    response: Response
    reason: str


def tokens_of(scope: Scope) -> Sequence[Token]:
    """Return the tokens with which a request has passed; none where none are needed."""
    found: Sequence[Token] = scope.get(_PASSED, ())
    return found


class NoScopeProblem(HttpProblem):
    """A token without the scope that this needs."""

    reason: ClassVar[str] = "scope"


class OtherHostProblem(HttpProblem):
    """Rows of a host that the token is not for."""

    reason: ClassVar[str] = "other host"


def check_host(scope: Scope, host: str) -> None:
    """Raise HttpProblem if the request's token is for other hosts than that of these rows.

    Without rows there is no host.
    """
    passed = tokens_of(scope)
    if host and passed and not any(token.may_bring(host) for token in passed):
        names = ", ".join(passed[0].hosts[:_NAMED])
        raise OtherHostProblem(403, f"this token is for rows of {names}, not of {shown(host)}")


def _challenge(detail: str) -> Response:
    # Chromium reads one challenge per header: with Bearer first it does not ask its user.
    headers = {"WWW-Authenticate": 'Basic realm="Kernelscope", charset="UTF-8"'}
    return problem(401, detail, headers=headers)


@dataclass(frozen=True)
class OwnNames:
    """Middleware: only local host names, and `names`, are accepted.

    A web site whose name resolves to this server's address could otherwise read the data through
    its visitor's browser. An address as host is accepted: no name was resolved.
    """

    app: ASGIApp
    names: AbstractSet[str]
    refusals: Refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._is_own(scope):
            detail = "this name does not belong to this server: list it under `hosts`"
            self.refusals.note(403, "name")
            await problem(403, detail)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        host = Headers(scope=scope).get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.lower().rstrip(".")
        if not name or name in self.names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _presented(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
