"""An id for each request: in its answer, in a problem's document, and in the lines of the log.

A client may send its own as `X-Request-ID`, for instance a proxy that logs it too.
"""

import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kscope.log_fields import with_fields

HEADER = b"x-request-id"
# The name of the field, in lines of JSON too.
FIELD = "request"
_TAKEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger("kscope.access")


def new_id() -> str:
    """Return 64 random bits, as 16 digits."""
    return secrets.token_hex(8)


async def with_request_id(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer a request, which has an id then."""
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    request = given.decode() if _TAKEN.fullmatch(given) else new_id()
    client = (scope.get("client") or ("",))[0]
    status = 0

    async def sent(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [*message["headers"], (HEADER, request.encode())]
            message = {**message, "headers": headers}
        await send(message)

    with with_fields(**{FIELD: request, "client": client}):
        if not log.isEnabledFor(logging.DEBUG):
            await app(scope, receive, sent)
            return
        began = time.perf_counter()
        try:
            await app(scope, receive, sent)
        finally:
            took = (time.perf_counter() - began) * 1000
            # The path as sent, without its question, which may be long.
            path = scope["raw_path"].decode("latin-1")
            log.debug("%s %s: %d in %.1f ms", scope["method"], path, status, took)
