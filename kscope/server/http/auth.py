"""Access: tokens with scopes, stored as hashes, and names for local use."""

import base64
import binascii
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kscope.config import Token
from kscope.server.http.connections import address_group
from kscope.server.http.problems import OPEN_PATHS, problem
from kscope.server.http.wrong_tokens import PERIOD_SECONDS, WrongTokens


def new_token() -> str:
    """Return a new token of 256 random bits, for which one round of SHA-256 is hash enough."""
    return f"kscope_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class RequireToken:
    """Middleware: with tokens declared, only a bearer of the scope passes.

    A browser asks its user for a password, which is the token, if the challenge is Basic.
    A request is refused before its body is read. Too many wrong tokens from one address get 429,
    but a correct one from there still passes: several clients can share an address.
    """

    app: ASGIApp
    scope: str
    tokens: Sequence[Token]
    wrong: WrongTokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.tokens and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        token = _presented(Headers(scope=scope).get("authorization", ""))
        found = self._declared(token) if token else []
        if any(self.scope in declared.scopes for declared in found):
            return None
        if found:
            return problem(403, f"this token has no scope '{self.scope}'")
        if token and self.wrong.add(address_group((scope.get("client") or ("",))[0])):
            detail = "too many wrong tokens from this address: send a right one"
            headers = {"Retry-After": str(PERIOD_SECONDS), "Connection": "close"}
            return problem(429, detail, headers=headers)
        # Chromium reads one challenge per header: with Bearer first it does not ask its user.
        headers = {"WWW-Authenticate": 'Basic realm="Kernelscope", charset="UTF-8"'}
        detail = "a token is needed: send it as Authorization: Bearer TOKEN"
        return problem(401, detail, headers=headers)

    def _declared(self, token: str) -> list[Token]:
        given = token_hash(token)
        return [each for each in self.tokens if hmac.compare_digest(each.sha256, given)]


@dataclass(frozen=True)
class LocalNames:
    """Middleware for a loopback listener without tokens: only local host names are accepted.

    A web site whose name resolves to 127.0.0.1 could otherwise read the data through its visitor's
    browser. An address as host is accepted: no name was resolved.
    """

    app: ASGIApp
    names: Sequence[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_local(Headers(scope=scope).get("host", "")):
            detail = "this name does not belong to this server: list it under `hosts`"
            await problem(403, detail)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_local(self, host: str) -> bool:
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
