"""The proxy in front of the listeners: the path that it puts before ours, and the client it names.

`Forwarded` (RFC 7239) is not read: a proxy that sets X-Forwarded-For passes a client's on as it is.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kscope.config import Network
from kscope.server.http.kept_apart import KeptApart

# Of the addresses in X-Forwarded-For, the last ones: proxies one behind the other.
_MOST_PROXIES = 16
_SCHEMES = frozenset({"http", "https"})
_READING = frozenset({"GET", "HEAD"})
# In the scope of a request: whether it came through a trusted proxy.
_PROXIED = "kscope.proxied"


@dataclass(frozen=True)
class Front:
    """Without settings each request is as it came."""

    base_path: str = ""
    proxies: Sequence[Network] = ()

    def trusts(self, host: str) -> bool:
        """Return whether the address is that of a trusted proxy."""
        address = _address(host) if self.proxies else None
        return address is not None and any(address in network for network in self.proxies)

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer the request as the client meant it.

        A proxy may pass the base path on or take it away. The page's addresses are relative to its
        folder, so one that asks for the base path without the slash is led there.
        """
        if self.base_path and scope["path"] == self.base_path and scope["method"] in _READING:
            query = scope["query_string"].decode("latin-1")
            place = f"{self.base_path}/{'?' if query else ''}{query}"
            answer = KeptApart(Response(status_code=308, headers={"Location": place}))
            await answer(scope, receive, send)
            return
        await app(self._meant(scope), receive, send)

    def _meant(self, scope: Scope) -> Scope:
        path = scope["path"]
        if self.base_path and (path + "/").startswith(self.base_path + "/"):
            scope = {**scope, "path": path.removeprefix(self.base_path) or "/"}
        peer = (scope.get("client") or ("",))[0]
        if not self.trusts(peer):
            return scope
        headers = Headers(scope=scope)
        scheme = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip()
        return {
            **scope,
            "client": (self._client(peer, headers), 0),
            "scheme": scheme if scheme in _SCHEMES else scope["scheme"],
            _PROXIED: "x-forwarded-for" in headers,
        }

    def _client(self, peer: str, headers: Headers) -> str:
        """Return the address that the outermost trusted proxy has seen.

        Each proxy adds its client's address at the end: those before the last one of a stranger
        are the stranger's word.
        """
        found = peer
        for address in _from_the_end(",".join(headers.getlist("x-forwarded-for"))):
            found = address
            if not self.trusts(address):
                break
        return found


def is_proxied(scope: Scope) -> bool:
    """Return whether the request came through a trusted proxy."""
    return bool(scope.get(_PROXIED))


def _from_the_end(text: str) -> Iterator[str]:
    """Yield addresses of X-Forwarded-For until one is none, such as `unknown`."""
    for entry in reversed(text.rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:]):
        address = _address(_without_port(entry.strip()))
        if address is None:
            return
        yield str(address)


def _without_port(text: str) -> str:
    """Read `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
