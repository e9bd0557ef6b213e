"""Answers are compressed by gzip for clients on other machines."""

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kscope.server.http.auth import is_loopback

# An answer of one or two packets gains nothing.
_LEAST = 2000
# The fastest level: numbers shrink to a third, and barely further with higher levels.
_LEVEL = 1


class Compress(GZipMiddleware):
    """Middleware: gzip for clients that accept it. A streamed answer stays streamed.

    Clients on this machine get none: a large flame graph takes 20 ms to compress, and no time to
    send. A proxy on this machine names its client in X-Forwarded-For.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=_LEAST, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (super().__call__ if _gains(scope) else self.app)(scope, receive, send)


def _gains(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    # Starlette only searches for the word, and would also accept gzip;q=0.
    return not _stays_here(scope, headers) and accepts(headers, "gzip")


def _stays_here(scope: Scope, headers: Headers) -> bool:
    """Return whether the client is on this machine, directly or through a proxy."""
    named = ",".join(headers.getlist("x-forwarded-for")).split(",")
    hosts = [(scope.get("client") or ("localhost",))[0], *filter(None, map(str.strip, named))]
    return all(map(is_loopback, hosts))


def accepts(headers: Headers, encoding: str) -> bool:
    """Return whether Accept-Encoding names the encoding with a weight above 0."""
    for offer in headers.get("accept-encoding", "").lower().split(","):
        name, _, parameters = offer.partition(";")
        if name.strip() == encoding:
            return _weight(parameters) > 0
    return False


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
